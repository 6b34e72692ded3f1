"""The repository's own health rules: a rule that changes judges anew and applies nothing."""

from __future__ import annotations

import pytest

from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import GVK, ObjectRef
from tests.integration.harness import Clone, Daemon, config_map_app, running, virtual

PATH = ".reconciler/health/service.yaml"
RULE = """\
apiVersion: reconciler.dev/v1alpha1
kind: HealthRule
metadata: {name: service}
spec:
  kind: Service
  healthy: status.loadBalancer.ingress[0].ip != null
  degraded: status.loadBalancer.broken == true
  message: '"no address yet"'
"""
SERVICE = ObjectRef("v1", "Service", "default", "web")


def service() -> str:
    return config_map_app("web", "1").replace("kind: ConfigMap", "kind: Service").replace('data: {value: "1"}', "spec: {ports: [{port: 80}]}")


async def version(daemon: Daemon) -> str:
    return (await daemon.cluster.get(SERVICE))["metadata"]["resourceVersion"]


async def report(daemon: Daemon, **status: object) -> None:
    live = await daemon.cluster.get(SERVICE)
    await daemon.cluster.replace_status({**live, "status": {"loadBalancer": status}})


@virtual
async def test_a_step_waits_as_a_rule_of_the_repository_says(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": service(), PATH: RULE})
        await daemon.until(lambda: (status := daemon.status("web")) and status.run and "no address yet" in status.run.steps[0].message)
        await report(daemon, ingress=[{"ip": "192.0.2.1"}])
        await daemon.synced("web")


@virtual
async def test_rule_5a_a_rule_that_changes_judges_anew_and_applies_nothing(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": service()})
        before = await daemon.synced("web")
        at = await version(daemon)
        clone.push({PATH: RULE})
        status = await daemon.until(lambda: (found := daemon.status("web")) and found.health == "Progressing" and found)
        assert (status.sync, status.running, status.run.id) == ("Synced", before.running, before.run.id)
        assert status.trouble == "Service default/web: no address yet"
        clone.push({PATH: None})
        await daemon.until(lambda: (found := daemon.status("web")) and found.health == "Healthy")
        assert await version(daemon) == at
        assert daemon.status("web").run.id == before.run.id


@virtual
async def test_a_rule_with_an_error_is_told_and_the_one_before_stays(tmp_path):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": service(), PATH: RULE.replace("healthy: status.loadBalancer.ingress[0].ip != null", "healthy: always")})
        await daemon.synced("web")
        clone.push({PATH: RULE.replace("ingress[0].ip !=", "ingress[0].ip ~")})
        await daemon.until(lambda: any((problem["path"], problem["field"]) == (PATH, "spec.healthy") for problem in daemon.engine.reader.problems()))
        await report(daemon, broken=True)
        status = await daemon.until(lambda: (found := daemon.status("web")) and found.health == "Degraded" and found)
        assert status.sync == "Synced", "an error in a rule is no application's"
        clone.push({PATH: RULE})
        await daemon.until(lambda: not daemon.engine.reader.problems())


@virtual
async def test_a_rule_holds_from_the_start_on_after_a_restart(tmp_path):
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        clone.push({"web.yaml": service()})
        await daemon.synced("web")
    clone.push({PATH: RULE})
    async with running(clone, state) as daemon:
        await daemon.until(lambda: (found := daemon.status("web")) and found.health == "Progressing")


@virtual
async def test_a_kind_that_cannot_be_read_keeps_nobody_from_git_and_is_read_later(tmp_path, monkeypatch):
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        clone.push({"web.yaml": service()})
        await daemon.synced("web")
        ask = daemon.cluster.list

        async def refuse(kind: GVK | None, *args: object, **kwargs: object) -> object:
            if kind is not None and kind.kind == "Service":
                raise UnavailableError("services can't be listed")
            return await ask(kind, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(daemon.cluster, "list", refuse)
            clone.push({PATH: RULE, "other.yaml": config_map_app("other", "1")})
            await daemon.synced("other")
            assert daemon.status("web").health == "Healthy"
        await daemon.until(lambda: (found := daemon.status("web")) and found.health == "Progressing")
