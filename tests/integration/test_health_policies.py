"""Definitions that say when what they made is healthy (KubeVela's `spec.status`): steps wait by it, status tells it, a change is asked about once."""

# mypy: disable-error-code="union-attr"  # a status that is not there fails the test

import textwrap
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import ObjectRef
from reconciler.render.sandbox import shared
from tests.integration.harness import Clone, Daemon, running, virtual

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

NOTE, ROUTE = ObjectRef("v1", "ConfigMap", "default", "web"), ObjectRef("v1", "ConfigMap", "default", "web-route")
APPLICATION = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop}
spec:
  components:
  - name: web
    type: note
    properties: {wanted: "2"}
    traits: [{type: route, properties: {host: shop.example.org}}]
"""
TEMPLATE = 'output: {apiVersion: "v1", kind: "ConfigMap", data: wanted: parameter.wanted}\nparameter: wanted: string\n'
ROUTING = 'outputs: route: {apiVersion: "v1", kind: "ConfigMap", data: host: parameter.host}\nparameter: host: string\n'
HEALTH = 'isHealth: context.output.metadata.labels.ready == parameter.wanted && context.appName == "shop"'
MESSAGE = 'message: "\\(context.output.metadata.labels.ready) of \\(parameter.wanted) ready"'
OPEN = 'isHealth: *(context.outputs.route.metadata.labels.open == "yes") | false'


def definition(kind: str, name: str, template: str, **status: str) -> str:
    def block(key: str, text: str, depth: int) -> str:
        return f"{' ' * depth}{key}: |\n" + textwrap.indent(text.rstrip() + "\n", " " * (depth + 2))

    head = f"apiVersion: core.oam.dev/v1beta1\nkind: {kind}Definition\nmetadata: {{name: {name}}}\nspec:\n  schematic:\n    cue:\n"
    return head + block("template", template, 6) + ("  status:\n" + "".join(block(key, text, 4) for key, text in status.items()) if status else "")


def files(health: str = HEALTH, trait: str = OPEN) -> dict[str, str | None]:
    return {
        "shop.yaml": APPLICATION,
        "definitions/note.yaml": definition("Component", "note", TEMPLATE, healthPolicy=health, customStatus=MESSAGE),
        "definitions/route.yaml": definition("Trait", "route", ROUTING, healthPolicy=trait),
    }


async def label(daemon: Daemon, ref: ObjectRef, **labels: str) -> None:
    live = await daemon.cluster.get(ref)
    live["metadata"]["labels"] |= labels
    await daemon.cluster.replace(live)


def message(daemon: Daemon) -> Any:
    status = daemon.status("shop")
    return status.run.steps[0].message if status is not None and status.run is not None else ""


@virtual
async def test_a_step_waits_until_component_and_traits_are_healthy_by_their_own_policies(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push(files())
        await daemon.until(lambda: "its health can't be told: healthPolicy" in message(daemon), "no label yet: told, and waited for")
        await label(daemon, NOTE, ready="1")
        await daemon.until(lambda: "ConfigMap default/web: 1 of 2 ready" in message(daemon), "the policy's own words")
        await label(daemon, NOTE, ready="2")
        await daemon.until(lambda: "ConfigMap default/web-route" in message(daemon), "the trait's policy")
        await label(daemon, ROUTE, open="yes")
        status = await daemon.synced("shop")
        assert status.health == "Healthy"


@virtual
async def test_what_a_definition_says_of_a_healthy_component_is_told_and_renewed_with_what_it_speaks_of(tmp_path: Path) -> None:
    def told() -> Any:
        return [(said.component, said.message) for said in daemon.status("shop").messages]

    clone = Clone(tmp_path)
    wide = 'isHealth: *(context.output.metadata.labels.ready != "0") | false'
    async with running(clone) as daemon:
        clone.push(files(wide, "isHealth: true"))
        await daemon.until(lambda: "its message" in message(daemon))
        await label(daemon, NOTE, ready="2")
        status = await daemon.synced("shop")
        assert (status.health, told()) == ("Healthy", [("web", "2 of 2 ready")])
        await label(daemon, NOTE, ready="3")
        await daemon.until(lambda: told() == [("web", "3 of 2 ready")] and daemon.status("shop").health == "Healthy", "renewed")
        await label(daemon, NOTE, ready="0")
        await daemon.until(lambda: told() == [("web", "0 of 2 ready")] and daemon.status("shop").health == "Progressing", "not healthy: told as well")
        clone.push(
            {
                "shop.yaml": APPLICATION.replace("type: note", "type: k8s-objects").replace(
                    '{wanted: "2"}', "{objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}]}"
                )
            }
        )
        await daemon.until(lambda: daemon.status("shop").running.revision == "shop-v2", "no definition any more")
        assert told() == []


async def run_well(daemon: Daemon) -> None:
    await daemon.until(lambda: "its health" in message(daemon))
    await label(daemon, NOTE, ready="2")
    await label(daemon, ROUTE, open="yes")
    await daemon.synced("shop")


@virtual
async def test_what_happens_later_shows_in_the_status_also_after_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    told = "ConfigMap default/web: 0 of 2 ready"
    async with running(clone, state) as daemon:
        clone.push(files())
        await run_well(daemon)
        await label(daemon, NOTE, ready="0")
        await daemon.until(lambda: daemon.status("shop").health == "Progressing", "not healthy any more")
        assert daemon.status("shop").trouble == told
    async with running(clone, state) as daemon:
        await daemon.until(lambda: (found := daemon.status("shop")) and found.trouble == told, "known again")
        await label(daemon, NOTE, ready="2")
        await daemon.until(lambda: daemon.status("shop").health == "Healthy")


@virtual
async def test_rule_10_a_policy_is_evaluated_again_only_where_what_it_reads_has_changed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push(files())
        await run_well(daemon)
        before = shared().evaluated
        clone.push({"README.md": "nothing of it"})
        await daemon.looked()
        assert shared().evaluated == before
        await label(daemon, NOTE, ready="7")
        await daemon.until(lambda: daemon.status("shop").health == "Progressing")
        assert 1 <= shared().evaluated - before <= 2


@virtual
async def test_a_new_policy_judges_what_the_new_revision_applies_and_a_rollback_the_old_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push(files("isHealth: true", "isHealth: true"))
        await daemon.synced("shop")
        clone.push(files("isHealth: false", "isHealth: true"))
        await daemon.until(lambda: daemon.status("shop").run.revision == "shop-v2" and "ConfigMap default/web" in message(daemon), "waits")
        clone.push(files("isHealth: true", "isHealth: true"))
        await daemon.until(lambda: (found := daemon.status("shop")).running.revision == "shop-v1" and found.health == "Healthy", "back")


@virtual
async def test_the_policy_of_the_revision_before_says_nothing_of_what_is_applied_now(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    service = 'output: {apiVersion: "example.org/v1", kind: "Thing", spec: wanted: parameter.wanted}\nparameter: wanted: string\n'
    group = {"group": "example.org", "names": {"kind": "Thing", "plural": "things"}, "scope": "Namespaced"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}]
    meta = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.org"}}
    plain = APPLICATION.split("    traits:", maxsplit=1)[0]
    async with running(clone) as daemon:
        await daemon.cluster.create({**meta, "spec": {**group, "versions": versions}})
        clone.push({"shop.yaml": plain, "definitions/note.yaml": definition("Component", "note", service, healthPolicy="isHealth: true")})
        await daemon.synced("shop")
        thing = ObjectRef("example.org/v1", "Thing", "default", "web")
        waits = {"conditions": [{"type": "Ready", "status": "False", "message": "not yet"}]}
        await daemon.cluster.replace_status({**await daemon.cluster.get(thing), "status": waits})
        clone.push({"shop.yaml": plain.replace('"2"', '"3"'), "definitions/note.yaml": definition("Component", "note", service)})
        await daemon.until(
            lambda: daemon.status("shop").run.revision == "shop-v2" and "Thing default/web: not yet" in message(daemon), "our own rule"
        )


@virtual
async def test_rule_2_while_what_it_reads_can_not_be_read_nothing_is_concluded(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        ask = EmbeddedCluster.get

        async def refuse(cluster: EmbeddedCluster, ref: ObjectRef) -> Any:
            if ref == NOTE and asking:
                raise UnavailableError("not now")
            return await ask(cluster, ref)

        asking = False
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EmbeddedCluster, "get", refuse)
            clone.push(files("isHealth: true", "isHealth: true"))
            await daemon.synced("shop")
            live = await daemon.cluster.get(NOTE)
            live["metadata"]["labels"]["ready"] = "1"
            asking = True
            await daemon.cluster.replace(live)
            await daemon.until(lambda: daemon.status("shop").trouble == "ConfigMap default/web: its objects can't be read: not now", "told")
            asking = False
            await daemon.until(lambda: daemon.status("shop").health == "Healthy", "asked again")
