"""Rules 3b and 3e: contents in parts, large results in objects of their own, outputs in Secrets; all of it read back."""

import hashlib
from pathlib import Path

import pytest

from reconciler.engine import content, store
from reconciler.model.identity import GVK, JsonObject
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import replace_data

COUNT = 120


def large(turn: int) -> str:
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: large}", "spec:", "  components:", "    - name: many"]
    lines += ["      type: k8s-objects", "      properties:", "        objects:"]
    for number in range(COUNT):
        text = hashlib.sha256(f"{turn} {number}".encode()).hexdigest()
        lines.append(f'          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: part-{number}}}, data: {{value: "{text}"}}}}')
    return "\n".join(lines) + "\n"


async def objects(daemon: Daemon, kind: str) -> list[JsonObject]:
    gvk = GVK("", "v1", kind) if kind in ("ConfigMap", "Secret") else GVK("reconciler.dev", "v1alpha1", kind)
    return (await daemon.cluster.list(gvk, "reconciler-system")).items


async def test_rule_3b_3e_a_large_application_is_kept_in_parts_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_PART", 4000)
    monkeypatch.setattr(store, "RESULT_LIMIT", 2000)
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        clone.push({"large.yaml": large(1)})
        await daemon.synced("large")
        [revision] = await objects(daemon, "ApplicationRevision")
        assert "inline" not in revision["spec"]
        assert len(revision["spec"]["record"]["parts"]) > 1
        [run] = await objects(daemon, "WorkflowRun")
        assert all(set(result["value"]) == {"part"} for step in run["status"]["steps"] for result in step["results"].values())
    async with running(clone, state) as daemon:
        await daemon.synced("large")
        await replace_data(daemon, "part-7", {"value": "edited"})
        wanted = hashlib.sha256(b"1 7").hexdigest()
        await daemon.until(lambda: any(event.kind == "drift-healed" for event in daemon.sink.events), "healed from the stored parts")
        assert (await daemon.get("ConfigMap", "part-7"))["data"]["value"] == wanted
        await daemon.synced("large", clone.push({"large.yaml": large(2)}))
        back = clone.push({"large.yaml": large(1)})
        status = await daemon.synced("large", back)
        assert status.run is not None
        assert status.run.kind == "restore"
        assert (await daemon.get("ConfigMap", "part-7"))["data"]["value"] == wanted


DATA = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: data}
spec:
  components:
    - name: db
      type: statefulset
      properties: {image: db, ports: [{port: 5432, expose: true}]}
    - name: web
      type: webservice
      properties: {image: web, env: [{name: DB_HOST, value: none}]}
  workflow:
    steps:
      - {name: db, type: apply-component, properties: {component: db}, outputs: [{name: host, valueFrom: connection.host}]}
      - {name: pause, type: suspend}
      - {name: web, type: apply-component, properties: {component: web}, inputs: [{from: host, parameterKey: "env[0].value"}]}
"""


async def test_rule_3e_outputs_live_in_a_secret_and_reach_their_input_over_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"data.yaml": DATA})
    async with running(clone, state) as daemon:
        await daemon.waiting("data")
        [run] = await objects(daemon, "WorkflowRun")
        [exported] = [step["outputs"] for step in run["status"]["steps"] if step.get("outputs")]
        assert exported["secret"] in {secret["metadata"]["name"] for secret in await objects(daemon, "Secret")}
    async with running(clone, state) as daemon:
        gate = (await daemon.waiting("data")).gate
        assert gate is not None
        clone.push({"data.yaml": DATA.replace("{name: data}", f'{{name: data, annotations: {{{gate.key}: "{gate.continue_}"}}}}', 1)})
        await daemon.synced("data")
        deployment = await daemon.get("Deployment", "web", api_version="apps/v1")
        assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "DB_HOST", "value": "db.default.svc"}]
        await daemon.cluster.replace({**deployment, "spec": {**deployment["spec"], "replicas": 3}}, manager="kubectl-scale")
        live = await daemon.get("Deployment", "web", api_version="apps/v1")
        live["spec"]["template"]["spec"]["containers"][0]["env"] = []
        await daemon.cluster.replace(live, manager="kubectl-edit")
        await daemon.until(lambda: any(event.kind == "drift-healed" for event in daemon.sink.events), "healed with the input that it had")
        healed = await daemon.get("Deployment", "web", api_version="apps/v1")
        assert healed["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "DB_HOST", "value": "db.default.svc"}]
        assert healed["spec"]["replicas"] == 3, "replicas is nobody's in git: an autoscaler may own it"
