"""KubeVela's steps that read, on a cluster: what comes later is found, and what may not be read is not there (rules 12, 13a, 13c)."""

import base64
import json
from pathlib import Path

import msgspec

from tests.integration.builtins import ended, stands, step_of, workflow
from tests.integration.harness import Clone, running, virtual
from tests.integration.sequences import runs

KEEP = "{{name: keep, type: export2config, inputs: [{{from: {0}, parameterKey: data.{0}}}], properties: {{configName: kept, data: {{}}}}}}"


def other(kind: str, name: str, namespace: str = "default", **more: object) -> dict[str, object]:
    """An object of somebody else."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


@virtual
async def test_an_object_that_comes_later_is_read_when_it_is_there(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    read = "{name: read, type: read-object, outputs: [{name: colour, valueFrom: output.value.data.colour}], properties: {apiVersion: v1, kind: ConfigMap, name: paint}}"
    clone.push({"flow.yaml": workflow(read, KEEP.format("colour"))})
    async with running(clone) as daemon:
        await daemon.until(lambda: (found := runs(daemon, "flow")) and found[-1].steps[0].attempt, "tried in vain")
        await daemon.cluster.create(other("ConfigMap", "paint", data={"colour": "green"}))
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"colour": "green"}


@virtual
async def test_rule_13c_nothing_of_a_secret_becomes_an_output(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    read = "{name: read, type: read-object, outputs: [{name: all, valueFrom: output.value.data.password}], properties: {apiVersion: v1, kind: Secret, name: s}}"
    far = "{name: far, type: read-object, if: always, retryPolicy: {limit: 0}, properties: {apiVersion: v1, kind: Secret, name: s, namespace: elsewhere}}"
    clone.push({"flow.yaml": workflow(read, KEEP.format("all"), far)})
    async with running(clone) as daemon:
        for namespace in ("default", "elsewhere"):
            if namespace != "default":
                await daemon.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            await daemon.cluster.create(other("Secret", "s", namespace, data={"password": base64.b64encode(b"hunter2hunter2").decode()}))
        run = await ended(daemon)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"all": "***"}
        assert step_of(run, "far").reason == "ObjectMissing"
        assert base64.b64encode(b"hunter2hunter2").decode() not in msgspec.json.encode(run).decode()


@virtual
async def test_configs_that_one_step_makes_are_read_and_listed_by_others(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push(
        {
            "flow.yaml": workflow(
                "{name: make, type: create-config, properties: {name: db, template: postgres, config: {host: db.internal}}}",
                "{name: read, type: read-config, outputs: [{name: host, valueFrom: output.config.host}], properties: {name: db}}",
                "{name: list, type: list-config, outputs: [{name: first, valueFrom: 'output.configs[0].name'}], properties: {template: postgres}}",
                "{name: keep, type: export2config, inputs: [{from: host, parameterKey: data.host}, {from: first, parameterKey: data.first}], "
                "properties: {configName: kept, data: {}}}",
            )
        }
    )
    async with running(clone) as daemon:
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"first": "db", "host": "db.internal"}


@virtual
async def test_endpoints_and_a_database_connection_reach_the_component_that_needs_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    app = """\
        apiVersion: core.oam.dev/v1beta1
        kind: Application
        metadata: {name: shop}
        spec:
          components:
            - {name: web, type: webservice, properties: {image: "web:1", ports: [{port: 8080, expose: true}]}}
            - {name: report, type: worker, properties: {image: "report:1"}}
          workflow:
            steps:
              - {name: web, type: apply-component, properties: {component: web}}
              - name: place
                type: collect-service-endpoints
                outputs: [{name: url, valueFrom: value.url}]
              - {name: db, type: generate-jdbc-connection, properties: {name: login}, outputs: [{name: env, valueFrom: env}]}
              - {name: report, type: apply-component, properties: {component: report}, inputs: [{from: env, parameterKey: env}]}
              - {name: keep, type: export2config, inputs: [{from: url, parameterKey: data.url}], properties: {configName: kept, data: {}}}
        """
    async with running(clone) as daemon:
        login = {key: base64.b64encode(f"secret-{key}".encode()).decode() for key in ("DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD")}
        await daemon.cluster.create(other("Secret", "login", data=login))
        clone.push({"shop.yaml": app})
        daemon.engine.look()
        run = await ended(daemon, "shop")
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"url": "http://web.default.svc:8080"}
        report = await daemon.get("Deployment", "report", api_version="apps/v1")
        env = {item["name"]: item for item in report["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert env["password"]["valueFrom"]["secretKeyRef"] == {"name": "login", "key": "DB_PASSWORD"}
        assert "secret-DB" not in json.dumps(report)


@virtual
async def test_outputs_of_a_component_are_expressions_over_the_objects_as_they_live(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    objects = "{apiVersion: v1, kind: ConfigMap, metadata: {name: paint}, data: {colour: green}}"
    clone.push(
        {
            "app.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: flow}\nspec:\n  components:\n"
            f"    - {{name: paint, type: k8s-objects, properties: {{objects: [{objects}]}}}}\n"
            "  workflow:\n    steps:\n"
            "    - name: apply\n      type: apply-component\n      properties: {component: paint}\n"
            '      outputs: [{name: colour, valueFrom: \'"\\(context.appName)-\\(output.data["colour"])-\\(len(output.metadata.uid) > 0)"\'}]\n'
            "    - {name: keep, type: export2config, inputs: [{from: colour, parameterKey: data.colour}], properties: {configName: kept, data: {}}}\n"
        }
    )
    async with running(clone) as daemon:
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert (await daemon.get("ConfigMap", "kept"))["data"] == {"colour": "flow-green-true"}
