"""SREWorks' gray release from end to end: a partition of three pods, the pair of suspend and rollout-promotion, all or back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.identity import GVK
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import gate_of, phases, push, runs

CONTINUE, ROLLBACK = "context.reconciler.dev/continueRollout", "context.reconciler.dev/rollback"

# The body of the SREWorks documentation's `POST /workflow/launch`, as it stands there.
LAUNCH = """\
apiVersion: core.oam.dev/v1alpha2
kind: ApplicationConfiguration
metadata:
  annotations:
    appId: testapp
    appInstanceName: "test-app-instance"
  name: deploy-workflow
spec:
  parameterValues:
  components:
    - revisionName: K8S_MICROSERVICE|clustermanage|_
  policies:
    - name: topology-e2e-env
      type: topology
      properties:
        namespace: "abm-daily"
    - type: override
      name: override-e2e-env
      properties:
        components:
          - revisionName: K8S_MICROSERVICE|clustermanage|_
            dataInputs:
              - valueFrom:
                  dataOutputName: "Global.KUBECONFIG"
                toFieldPaths:
                  - spec.base64Kubeconfig
            parameterValues:
              - name: name
                value: "appmanager-helm-e2e-rollout"
                toFieldPaths:
                  - spec.name
              - name: ignoreCreateNamespace
                value: true
                toFieldPaths:
                  - spec.ignoreCreateNamespace
              - name: values
                value:
                  resources:
                    limits:
                      cpu: "0.5"
                      memory: "1Gi"
                  image:
                    repository: "nginx"
                    tag: "latest"
                  replicaCount: 3
                toFieldPaths:
                  - spec.values
  workflow:
    steps:
      - type: apply-components
        properties:
          policies:
            - topology-e2e-env
            - override-e2e-env
          components:
            - type: K8S_MICROSERVICE
              name: clustermanage
          rollout:
            type: partition
            properties:
              partition: "1"
              name: "abmRolloutPartition"
      - type: suspend
      - type: rollout-promotion
      - type: apply-components
        properties:
          policies:
            - topology-e2e-env
            - override-e2e-env
          components:
            - type: K8S_MICROSERVICE
              name: clustermanage
"""

# The documentation's first body: no kind, two components, placed and named by the environment's globals.
BODY = """\
components:
  - revisionName: "K8S_MICROSERVICE|clustermanage-test|_"
  - revisionName: "K8S_MICROSERVICE|clustermanage|_"
    scopes:
      - scopeRef:
          apiVersion: apps.abm.io/v1
          kind: Namespace
          name: "{{ Global.deployNamespace }}"
    dataInputs:
      - valueFrom:
          dataOutputName: "Global.clusterId"
        toFieldPaths:
          - spec.name
    parameterValues:
      - name: values
        value:
          deployNamespace: "{{ Global.deployNamespace }}"
        toFieldPaths:
          - spec.values
workflow:
  steps:
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage-test
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage
        rollout:
          type: partition
          properties:
            partition: "1"
            name: "abmRolloutPartition"
    - type: suspend
    - type: rollout-promotion
    - type: apply-components
      properties:
        components:
        - type: K8S_MICROSERVICE
          name: clustermanage
"""

APP, NAMESPACE, WORKLOAD = "deploy-workflow", "abm-daily", "appmanager-helm-e2e-rollout"


def launch(tag: str = "latest", **annotations: str) -> str:
    """The launch body with another image tag and with further annotations (`/` in a name is written `__`)."""
    lines = "".join(f'    {name.replace("__", "/")}: "{text}"\n' for name, text in annotations.items())
    return LAUNCH.replace('tag: "latest"', f'tag: "{tag}"').replace("  name: deploy-workflow\n", f"{lines}  name: deploy-workflow\n")


def decided(tag: str, **decision: str) -> str:
    """The launch body with decisions by key."""
    text = launch(tag)
    lines = "".join(f'    {name}: "{value}"\n' for name, value in decision.items())
    return text.replace("  name: deploy-workflow\n", f"{lines}  name: deploy-workflow\n")


async def images(daemon: Daemon, workload: str = WORKLOAD, namespace: str = NAMESPACE) -> list[str]:
    """The tags of the workload's pods, by ordinal."""
    found: dict[int, str] = {}
    for pod in (await daemon.cluster.list(GVK("", "v1", "Pod"), namespace)).items:
        match = re.fullmatch(rf"{workload}-(\d+)", pod["metadata"]["name"])
        if match:
            found[int(match[1])] = pod["spec"]["containers"][0]["image"].rpartition(":")[2]
    return [found[ordinal] for ordinal in sorted(found)]


async def partition(daemon: Daemon, workload: str = WORKLOAD, namespace: str = NAMESPACE) -> int:
    """The partition that holds; 0 where the field is not there."""
    spec: dict[str, Any] = (await daemon.get("StatefulSet", workload, namespace, "apps/v1"))["spec"]
    value: int = spec.get("updateStrategy", {}).get("rollingUpdate", {}).get("partition", 0)
    return value


@asynccontextmanager
async def canary(tmp_path: Path) -> AsyncIterator[tuple[Clone, Daemon]]:
    """`latest` is promoted; the update to `1.27` waits behind its partition."""
    clone = Clone(tmp_path)
    clone.push({"app.yaml": launch()})
    async with running(clone) as daemon:
        gate = (await daemon.waiting(APP)).gate
        assert gate is not None
        clone.push({"app.yaml": decided("latest", **{gate.key: gate.continue_})})
        await daemon.synced(APP)
        assert await images(daemon) == ["latest"] * 3
        await push(daemon, clone, {"app.yaml": launch("1.27")})
        await daemon.waiting(APP, revision=f"{APP}-v2")
        yield clone, daemon


async def test_an_update_waits_with_two_of_three_pods_updated_and_one_code_brings_the_rest(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        assert await images(daemon) == ["latest", "1.27", "1.27"]
        assert await partition(daemon) == 1
        gate = gate_of(daemon, APP)
        assert (gate.step, gate.key) == ("suspend-1", "gates.reconciler.dev/rollout-promotion-2")
        clone.push({"app.yaml": decided("1.27", **{gate.key: gate.continue_})})
        status = await daemon.synced(APP)
        assert status.running is not None
        assert status.running.revision == f"{APP}-v2"
        assert await images(daemon) == ["1.27"] * 3
        assert await partition(daemon) == 0
        assert [decision.verb for decision in runs(daemon, APP)[-1].decisions] == ["continue"], "one decision passes both gates"


async def test_rule_7_rollback_at_the_promotion_brings_every_pod_back_and_the_partition_to_0(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        gate = gate_of(daemon, APP)
        clone.push({"app.yaml": decided("1.27", **{gate.key: gate.rollback})})
        status = await daemon.synced(APP)
        assert status.running is not None
        assert status.running.revision == f"{APP}-v1"
        assert await images(daemon) == ["latest"] * 3
        assert await partition(daemon) == 0
        clone.pull()
        assert 'tag: "latest"' in clone.read("app.yaml")


async def test_end_leaves_the_canary_where_it_is(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        gate = gate_of(daemon, APP)
        await push(daemon, clone, {"app.yaml": decided("1.27", **{gate.key: gate.end})})
        assert phases(daemon, APP)[-1] == f"{APP}-v2-1 Terminated"
        assert await images(daemon) == ["latest", "1.27", "1.27"]
        assert await partition(daemon) == 1


@pytest.mark.parametrize("order", [(CONTINUE, ROLLBACK), (ROLLBACK, CONTINUE)])
async def test_rule_4d_the_pair_of_annotations_continues_with_the_code_on_either_key(tmp_path: Path, order: tuple[str, str]) -> None:
    async with canary(tmp_path) as (clone, daemon):
        code = gate_of(daemon, APP).continue_.partition("@")[2]
        values = {CONTINUE: "true", ROLLBACK: "false"}
        values[order[0]] += f"@{code}"
        clone.push({"app.yaml": decided("1.27", **values)})
        await daemon.synced(APP)
        assert await images(daemon) == ["1.27"] * 3


async def test_rule_4d_the_pair_rolls_back_without_a_code(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        clone.push({"app.yaml": decided("1.27", **{CONTINUE: "false", ROLLBACK: "true"})})
        await daemon.synced(APP)
        assert await images(daemon) == ["latest"] * 3


async def test_rule_4d_the_pair_of_two_noes_ends(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        await push(daemon, clone, {"app.yaml": decided("1.27", **{CONTINUE: "false", ROLLBACK: "false"})})
        assert phases(daemon, APP)[-1] == f"{APP}-v2-1 Terminated"
        assert await images(daemon) == ["latest", "1.27", "1.27"]


async def test_rule_4d_a_half_waits_without_a_code_nothing_continues_and_a_contradiction_is_10002(tmp_path: Path) -> None:
    async with canary(tmp_path) as (clone, daemon):
        await push(daemon, clone, {"app.yaml": decided("1.27", **{CONTINUE: "true"})})
        assert gate_of(daemon, APP).revision == f"{APP}-v2"
        await push(daemon, clone, {"app.yaml": decided("1.27", **{CONTINUE: "true", ROLLBACK: "false"})})
        assert gate_of(daemon, APP).revision == f"{APP}-v2"
        assert gate_of(daemon, APP).continue_.partition("@")[2] in daemon.conditions(APP)["DecisionIgnored"]
        await push(daemon, clone, {"app.yaml": decided("1.27", **{CONTINUE: "true", ROLLBACK: "true"})})
        assert gate_of(daemon, APP).revision == f"{APP}-v2"
        assert "10002" in daemon.conditions(APP)["DecisionIgnored"]
        assert await images(daemon) == ["latest", "1.27", "1.27"]


ENVIRONMENT = """\
apiVersion: reconciler.dev/v1alpha1
kind: Environment
metadata: {name: daily}
spec:
  namespace: team
  global: {deployNamespace: daily-ns, clusterId: cluster-a}
"""
FOLDER = "components/K8S_MICROSERVICE"


def defaults(tag: str) -> str:
    return f"values:\n  image: {{repository: nginx, tag: '{tag}'}}\n  replicaCount: 3\n"


def body(key: str = "", line: str = "") -> str:
    return f'metadata: {{annotations: {{{key}: "{line}"}}}}\n{BODY}' if key else BODY


async def test_the_bare_body_rolls_out_in_parts_what_the_repositorys_defaults_and_globals_make_of_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    files: dict[str, str | None] = {"daily/environment.yaml": ENVIRONMENT, "daily/gray.yaml": body()}
    clone.push({**files, f"{FOLDER}/clustermanage/_.yaml": defaults("one"), f"{FOLDER}/clustermanage-test/_.yaml": defaults("test")})
    async with running(clone) as daemon:
        gate = (await daemon.waiting("gray", "team")).gate
        assert gate is not None
        assert gate.step == "suspend-2"
        clone.push({"daily/gray.yaml": body(gate.key, gate.continue_)})
        await daemon.synced("gray", namespace="team")
        assert await images(daemon, "clustermanage-test", "team") == ["test"] * 3
        assert await images(daemon, "cluster-a", "daily-ns") == ["one"] * 3
        await push(daemon, clone, {f"{FOLDER}/clustermanage/_.yaml": defaults("two")})
        gate = (await daemon.waiting("gray", "team", "gray-v2")).gate
        assert gate is not None
        assert await images(daemon, "cluster-a", "daily-ns") == ["one", "two", "two"]
        clone.push({"daily/gray.yaml": body(gate.key, gate.continue_)})
        await daemon.synced("gray", namespace="team")
        assert await images(daemon, "cluster-a", "daily-ns") == ["two"] * 3


# Seed 001's Application with its charts replaced by what runs here: its workflow is as the documentation writes it.
IN_ORDER = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
spec:
  components:
    - name: database
      type: statefulset
      properties:
        image: mysql:8
        ports: [{port: 3306, expose: true}]
    - name: web
      type: webservice
      properties:
        image: my-web:1
        env: [{name: MYSQL_HOST}, {name: MYSQL_PORT}]
  workflow:
    steps:
      - name: deploy-database
        type: apply-and-wait
        outputs:
          - name: db-conn
            exportKey: dbConn
        properties:
          component: database
          resourceType: StatefulSet
          resourceAPIVersion: apps/v1beta2
          names:
            - database
      - name: deploy-web
        type: apply-and-wait
        inputs:
          - from: db-conn.host
            parameterKey: env[0].value
          - from: db-conn.port
            parameterKey: env[1].value
        properties:
          component: web
          resourceType: Deployment
          resourceAPIVersion: apps/v1
          names:
            - web
"""


async def test_the_first_components_connection_is_the_seconds_input_and_the_second_waits_for_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"website.yaml": IN_ORDER.replace("mysql:8", "mysql:never-ready")})
    async with running(clone) as daemon:
        await daemon.until(lambda: (status := daemon.status("website")) and status.run and status.run.steps[0].phase == "Running")
        await daemon.looked()
        status = daemon.status("website")
        assert status is not None
        assert status.run is not None
        assert [step.phase for step in status.run.steps] == ["Running", "Pending"]
        assert await daemon.engine.reader.objects("deployment", "", "web") == []
        commit = clone.push({"website.yaml": IN_ORDER})
        await daemon.synced("website", commit)
        database = await daemon.get("StatefulSet", "database", api_version="apps/v1")
        assert database["status"]["readyReplicas"] == 1
        web = await daemon.get("Deployment", "web", api_version="apps/v1")
        [container] = web["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [{"name": "MYSQL_HOST", "value": "database.default.svc"}, {"name": "MYSQL_PORT", "value": "3306"}]
        assert web["metadata"]["creationTimestamp"] >= database["metadata"]["creationTimestamp"]
