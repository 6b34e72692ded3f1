"""Encrypted values in git (rules 3b, 5a, 12, 13c): decrypted in memory, applied in Secrets, and seen nowhere else."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import yaml

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.engine.unsealing import Unsealing
from reconciler.model.identity import ObjectRef
from reconciler.model.names import ANNOTATION_SEALED
from reconciler.sealing.command import Command
from reconciler.sealing.opening import Place
from reconciler.simulation.clock import VirtualClock, VirtualLoop
from reconciler.simulation.simulate import Request, simulate
from tests.integration.harness import Clone, Daemon, config_map_app, running, virtual
from tests.integration.sealed import CANARY, PERSON, Keys, annotate, app, folder, plain
from tests.integration.sequences import phases, push
from tests.unit.sealing.encrypting import Person, as_yaml, seal, sealed_secret


async def version(daemon: Daemon, kind: str, name: str, api_version: str = "v1") -> str:
    return str((await daemon.get(kind, name, api_version=api_version))["metadata"]["resourceVersion"])


async def test_an_encrypted_secret_of_a_folder_is_applied_decrypted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app(folder()), "secrets/db.yaml": as_yaml(sealed_secret("db", {"password": CANARY, "empty": ""}, PERSON))})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        await daemon.synced("web")
        secret = await daemon.get("Secret", "db")
        assert plain(secret) == {"password": CANARY, "empty": ""}
        assert "sops" not in secret


async def test_rule_5a_encrypted_anew_with_the_same_values_is_a_new_revision_that_applies_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    env = seal({"image": "nginx", "env": [{"name": "TOKEN", "value": CANARY}]}, PERSON, regex="^value$")
    component = {"name": "web", "type": "webservice", "properties": env}

    def files() -> dict[str, str | None]:
        return {"secrets/db.yaml": as_yaml(sealed_secret("db", {"password": CANARY}, PERSON))}

    clone.push({"web.yaml": app(folder(), component), **files()})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        await daemon.synced("web")
        before = [await version(daemon, "Secret", "db"), await version(daemon, "Secret", "web-sealed")]
        env = seal({"image": "nginx", "env": [{"name": "TOKEN", "value": CANARY}]}, PERSON, regex="^value$")
        commit = clone.push({"web.yaml": app(folder(), {**component, "properties": env}), **files()})
        status = await daemon.synced("web", commit)
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert [await version(daemon, "Secret", "db"), await version(daemon, "Secret", "web-sealed")] == before
        results = [event.fields["result"] for event in daemon.sink.events if event.kind == "apply"]
        assert results[-3:] == ["unchanged"] * 3


async def test_encrypted_variables_of_a_component_go_to_a_secret_and_a_change_makes_new_pods(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def web(value: str) -> dict[str, str | None]:
        properties = seal({"image": "nginx", "env": [{"name": "TOKEN", "value": value}]}, PERSON, regex="^value$")
        return {"web.yaml": app({"name": "web", "type": "webservice", "properties": properties})}

    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        await push(daemon, clone, web(CANARY))
        await daemon.synced("web")
        template = (await daemon.get("Deployment", "web", api_version="apps/v1"))["spec"]["template"]
        reference = {"secretKeyRef": {"name": "web-sealed", "key": "deployment.web.TOKEN"}}
        assert template["spec"]["containers"][0]["env"] == [{"name": "TOKEN", "valueFrom": reference}]
        assert plain(await daemon.get("Secret", "web-sealed")) == {"deployment.web.TOKEN": CANARY}
        commit = await push(daemon, clone, web("another"))
        await daemon.synced("web", commit)
        again = (await daemon.get("Deployment", "web", api_version="apps/v1"))["spec"]["template"]
        assert again["metadata"]["annotations"][ANNOTATION_SEALED] != template["metadata"]["annotations"][ANNOTATION_SEALED]


async def test_rule_3b_a_rollback_needs_no_key(tmp_path: Path) -> None:
    clone, keys = Clone(tmp_path), Keys(tmp_path, PERSON)
    steps: list[dict[str, Any]] = [{"type": "apply-component", "name": "all", "properties": {"component": "secrets"}}]

    def secret(value: str) -> str:
        return as_yaml(sealed_secret("db", {"password": value}, PERSON))

    async with running(clone, unsealer=keys.unsealer()) as daemon:
        await push(daemon, clone, {"web.yaml": app(folder(), steps=steps), "secrets/db.yaml": secret("first")})
        await daemon.synced("web")
        steps.append({"type": "suspend", "name": "approve"})
        await push(daemon, clone, {"web.yaml": app(folder(), steps=steps), "secrets/db.yaml": secret("second")})
        gate = (await daemon.waiting("web")).gate
        assert gate is not None
        assert plain(await daemon.get("Secret", "db")) == {"password": "second"}
        keys.put()  # no key any more
        text = yaml.safe_load(clone.read("web.yaml"))
        text["metadata"]["annotations"] = {gate.key: gate.rollback}
        await push(daemon, clone, {"web.yaml": as_yaml(text)})
        await daemon.until(lambda: phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 RolledBack", "web-v1-2 Succeeded"], "restored")
        assert plain(await daemon.get("Secret", "db")) == {"password": "first"}


@virtual
async def test_a_missing_key_harms_that_application_alone_and_is_tried_again(tmp_path: Path) -> None:
    clone, keys = Clone(tmp_path), Keys(tmp_path, Person())
    clone.push(
        {
            "web.yaml": app(folder()),
            "secrets/db.yaml": "# a comment\n" + as_yaml(sealed_secret("db", {"password": CANARY}, PERSON)),
            "other.yaml": config_map_app("other", "1"),
        }
    )
    async with running(clone, unsealer=keys.unsealer()) as daemon:
        await daemon.synced("other")
        told = await daemon.until(lambda: daemon.conditions("web").get("ManifestInvalid"), "told")
        assert "secrets/db.yaml:8: Application web: sops: no key to decrypt it with" in told
        assert PERSON.recipient in told
        keys.put(PERSON)  # git stays as it is
        await daemon.synced("web")
        assert "ManifestInvalid" not in daemon.conditions("web")


async def test_a_broken_checksum_is_told_with_file_line_and_field_and_nothing_is_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    document = sealed_secret("db", {"password": CANARY}, PERSON)
    document["metadata"]["name"] = "another"
    clone.push({"web.yaml": app(folder()), "secrets/db.yaml": as_yaml(document)})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        told = await daemon.until(lambda: daemon.conditions("web").get("ManifestInvalid"), "told")
        assert "secrets/db.yaml:" in told
        assert "sops.mac" in told
        assert CANARY not in told
        assert not (await daemon.cluster.list(ObjectRef("v1", "Secret", "", "").gvk, "default")).items


async def test_a_decrypted_value_is_refused_where_others_would_see_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    document = seal({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": CANARY}}, PERSON, regex="^data$")
    clone.push({"web.yaml": app({"name": "c", "type": "k8s-objects", "properties": {"objects": [document]}})})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        told = await daemon.until(lambda: daemon.conditions("web").get("ManifestInvalid"), "told")
        assert "ConfigMap" in told
        assert "data.a" in told
        assert "may stand in a Secret" in told


async def test_an_object_that_another_operator_decrypts_is_left_as_it_is(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sopssecrets.isindir.github.com"},
        "spec": {
            "group": "isindir.github.com",
            "names": {"kind": "SopsSecret", "plural": "sopssecrets"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1alpha3",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    document = seal(
        {"apiVersion": "isindir.github.com/v1alpha3", "kind": "SopsSecret", "metadata": {"name": "s"}, "spec": {"secretTemplates": [{"a": "b"}]}},
        Person(),
        regex="^secretTemplates$",
    )
    async with running(clone) as daemon:
        await daemon.cluster.create(crd)
        await push(daemon, clone, {"web.yaml": app({"name": "c", "type": "k8s-objects", "properties": {"objects": [document]}})})
        await daemon.synced("web")
        assert (await daemon.get("SopsSecret", "s", api_version="isindir.github.com/v1alpha3"))["sops"]["mac"] == document["sops"]["mac"]


async def test_a_component_that_takes_inputs_is_decrypted_without_a_key_when_it_is_rendered(tmp_path: Path) -> None:
    clone, keys = Clone(tmp_path), Keys(tmp_path, PERSON)
    sealed = seal({"image": "nginx", "env": [{"name": "TOKEN", "value": CANARY}, {"name": "HOST"}]}, PERSON, regex="^value$")
    db = {"name": "db", "type": "statefulset", "properties": {"image": "db", "ports": [{"port": 5432, "expose": True}]}}
    steps = [
        {"type": "apply-component", "name": "db", "properties": {"component": "db"}, "outputs": [{"name": "host", "valueFrom": "connection.host"}]},
        {"type": "suspend", "name": "wait"},
        {
            "type": "apply-component",
            "name": "web",
            "properties": {"component": "web"},
            "inputs": [{"from": "host", "parameterKey": "env[1].value"}],
        },
    ]
    clone.push({"web.yaml": app(db, {"name": "web", "type": "webservice", "properties": sealed}, steps=steps)})
    async with running(clone, unsealer=keys.unsealer()) as daemon:
        gate = (await daemon.waiting("web")).gate
        assert gate is not None
        keys.put()
        await annotate(clone, gate.key, gate.continue_)
        await daemon.synced("web")
        assert plain(await daemon.get("Secret", "web-sealed")) == {"deployment.web.TOKEN": CANARY}
        deployment = await daemon.get("Deployment", "web", api_version="apps/v1")
        assert deployment["spec"]["template"]["spec"]["containers"][0]["env"][1] == {"name": "HOST", "value": "db.default.svc"}


async def test_defaults_of_a_sreworks_component_may_be_encrypted(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    env = {"values": {"image": {"repository": "nginx"}, "env": [{"name": "TOKEN", "value": CANARY}]}}
    manifest = {
        "apiVersion": "core.oam.dev/v1alpha2",
        "kind": "ApplicationConfiguration",
        "metadata": {"name": "shop"},
        "spec": {"components": [{"revisionName": "K8S_MICROSERVICE|api|_"}]},
    }
    clone.push({"shop.yaml": as_yaml(manifest), "components/K8S_MICROSERVICE/api/_.yaml": as_yaml(seal(env, PERSON, regex="^value$"))})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        await daemon.synced("shop")
        assert plain(await daemon.get("Secret", "api-sealed")) == {"statefulset.api.TOKEN": CANARY}


async def test_a_workflow_of_step_flow_may_hold_an_encrypted_secret(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = as_yaml(sealed_secret("db", {"password": CANARY}, PERSON))
    manifest = {
        "apiVersion": "workflow.example.com/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "flow"},
        "spec": {"steps": [{"name": "s", "stepTemplate": {"type": "apply", "parameters": {"manifest": text}}}]},
    }
    clone.push({"flow.yaml": yaml.safe_dump(manifest, sort_keys=False, default_style=None, width=100_000)})
    async with running(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
        await daemon.until(lambda: daemon.status("flow"), "known")
        await daemon.synced("flow")
        assert plain(await daemon.get("Secret", "db")) == {"password": CANARY}


async def test_each_folder_has_its_own_keys_and_gets_no_others_decrypted(tmp_path: Path) -> None:
    clone, one, other = Clone(tmp_path), Person(), Person()
    files = {"a": one, "b": other}
    for name, person in files.items():
        (tmp_path / f"{name}.txt").write_text(person.secret)
    places = [Place(f"teams/{name}", str(tmp_path / f"{name}.txt")) for name in files]
    clone.push(
        {
            "teams/a/web.yaml": app(folder("./secrets")),
            "teams/a/secrets/db.yaml": as_yaml(sealed_secret("db", {"password": CANARY}, one)),
            "teams/b/thief.yaml": app(folder("teams/a/secrets"), name="thief"),
            "teams/b/copy.yaml": app(folder("./copied"), name="copy"),
            "teams/b/copied/db.yaml": as_yaml(sealed_secret("db2", {"password": CANARY}, one)),
        }
    )
    async with running(clone, unsealer=Unsealing(None, places, Command())) as daemon:
        await daemon.synced("web")
        told = await daemon.until(lambda: daemon.conditions("thief").get("ManifestInvalid"), "told")
        assert "another folder of the operator's keys" in told
        assert "no key to decrypt it with" in await daemon.until(lambda: daemon.conditions("copy").get("ManifestInvalid"), "told")


@virtual
async def test_keys_may_stand_in_a_secret_of_the_cluster(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app(folder()), "secrets/db.yaml": as_yaml(sealed_secret("db", {"password": CANARY}, PERSON))})
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    cluster = EmbeddedCluster(":memory:", VirtualClock(loop), speed=1000.0)
    await cluster.start()
    unsealer = Unsealing(cluster, [Place("", "", "reconciler-system/sops-keys")], Command())
    async with running(clone, cluster=cluster, unsealer=unsealer) as daemon:
        told = await daemon.until(lambda: daemon.conditions("web").get("ManifestInvalid"), "told")
        assert "Secret reconciler-system/sops-keys of --sops-secret is not there" in told
        data = {"me.agekey": base64.b64encode(PERSON.secret.encode()).decode(), "readme": base64.b64encode(b"x").decode()}
        await cluster.create(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sops-keys", "namespace": "reconciler-system"}, "data": data}
        )
        await daemon.synced("web")
    await cluster.close()


async def test_a_simulation_reads_no_key_and_shows_what_would_be_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    properties = seal({"image": "nginx", "env": [{"name": "TOKEN", "value": CANARY}]}, PERSON, regex="^value$")
    component = {"name": "web", "type": "webservice", "properties": properties}
    clone.push({"web.yaml": app(folder(), component), "secrets/db.yaml": as_yaml(sealed_secret("db", {"password": CANARY}, PERSON, field="data"))})
    report = await asyncio.to_thread(simulate, Request(str(clone.path)))
    assert not report.problems
    [found] = report.applications
    assert sorted(change.object for change in found.changes) == ["Deployment default/web", "Secret default/db", "Secret default/web-sealed"]
