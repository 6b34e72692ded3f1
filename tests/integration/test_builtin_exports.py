"""KubeVela's built-in steps that make objects: what they make, and that inputs and secrets go where they belong."""

import base64
import json
from pathlib import Path

import msgspec

from tests.integration.builtins import ended, stands, workflow
from tests.integration.harness import Clone, running, virtual

HOST = """{name: service, type: apply-object, outputs: [{name: who, valueFrom: "objects[0].name"}],
       properties: {value: {apiVersion: v1, kind: ConfigMap, metadata: {name: source}}}}"""


@virtual
async def test_what_steps_export_is_applied_with_its_inputs_in_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push(
        {
            "flow.yaml": workflow(
                HOST,
                "{name: config, type: export2config, inputs: [{from: who, parameterKey: data.host}], "
                "properties: {configName: settings, data: {port: 5432, tls: true}}}",
                "{name: secret, type: export2secret, inputs: [{from: who, parameterKey: data.user}], "
                "properties: {secretName: login, data: {password: hunter2hunter2}}}",
                "{name: docker, type: export2secret, inputs: [{from: who, parameterKey: dockerRegistry.password}], "
                "properties: {secretName: pull, kind: docker-registry, dockerRegistry: {username: me}}}",
                "{name: data, type: export-data, properties: {data: {a: b}}}",
                "{name: kept, type: create-config, properties: {name: db, template: database, config: {host: db, ports: [1, 2]}}}",
            )
        }
    )
    async with running(clone) as daemon:
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}
        assert (await daemon.get("ConfigMap", "settings"))["data"] == {"host": "source", "port": "5432", "tls": "true"}
        secret = await daemon.get("Secret", "login")
        assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {"password": "hunter2hunter2", "user": "source"}
        pull = await daemon.get("Secret", "pull")
        assert pull["type"] == "kubernetes.io/dockerconfigjson"
        assert json.loads(base64.b64decode(pull["data"][".dockerconfigjson"]))["auths"] == {
            "https://index.docker.io/v1/": {"username": "me", "password": "source", "auth": base64.b64encode(b"me:source").decode()}
        }
        assert (await daemon.get("ConfigMap", "flow"))["data"] == {"a": "b"}
        config = await daemon.get("ConfigMap", "db")
        assert json.loads(config["data"]["input-properties"]) == {"host": "db", "ports": [1, 2]}
        assert config["metadata"]["labels"]["config.oam.dev/type"] == "database"
        status = daemon.status("flow")
        assert status is not None
        assert "hunter2hunter2" not in msgspec.json.encode(status).decode() + msgspec.json.encode(run).decode()
        assert all("hunter2hunter2" not in str(event) for event in daemon.sink.events)


@virtual
async def test_rule_12_what_is_exported_to_a_secret_stands_in_no_other_object(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"flow.yaml": workflow("{name: s, type: export2secret, properties: {secretName: login, data: {password: hunter2hunter2}}}")})
    async with running(clone) as daemon:
        await ended(daemon)
        held = set()
        for kind in await daemon.cluster.kinds():
            for obj in (await daemon.cluster.list(kind.served)).items:
                if "hunter2" in json.dumps(obj) or base64.b64encode(b"hunter2hunter2").decode() in json.dumps(obj):
                    held.add(obj["kind"])
        assert held == {"Secret"}


@virtual
async def test_an_export_that_is_declared_no_more_is_pruned(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    both = ["{name: a, type: export2config, properties: {configName: a, data: {x: y}}}", "{name: b, type: export-data, properties: {data: {x: y}}}"]
    clone.push({"flow.yaml": workflow(*both)})
    async with running(clone) as daemon:
        await daemon.synced("flow")
        clone.push({"flow.yaml": workflow(both[0])})
        daemon.engine.look()

        async def there() -> set[str]:
            listed = await daemon.cluster.list((await daemon.cluster.lookup("configmap")).served, "default")
            return {item["metadata"]["name"] for item in listed.items}

        await daemon.until(lambda: daemon.status("flow").run.revision == "flow-v2", "the new revision")  # type: ignore[union-attr]
        await daemon.synced("flow")
        assert await there() == {"a"}


@virtual
async def test_a_deployment_and_a_job_are_waited_for_and_read_by_kubevelas_paths(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    job = "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: m}]}}}}"
    clone.push(
        {
            "flow.yaml": workflow(
                "{name: web, type: apply-deployment, outputs: [{name: ready, valueFrom: output.value.status.readyReplicas}], "
                "properties: {image: 'nginx:1', replicas: 2, cmd: [run]}}",
                "{name: job, type: apply-job, outputs: [{name: done, valueFrom: apply.value.status.succeeded}], properties: {value: " + job + "}}",
                "{name: note, type: export2config, inputs: [{from: ready, parameterKey: data.ready}, {from: done, parameterKey: data.done}], "
                "properties: {configName: note, data: {}}}",
            )
        }
    )
    async with running(clone) as daemon:
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert (await daemon.get("ConfigMap", "note"))["data"] == {"ready": "2", "done": "1"}
        web = await daemon.get("Deployment", "web", api_version="apps/v1")
        assert web["spec"]["selector"]["matchLabels"] == {"workflow.oam.dev/step-name": "flow-web"}
        assert web["spec"]["template"]["spec"]["containers"][0]["command"] == ["run"]
