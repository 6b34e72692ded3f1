"""What charts know of the cluster is what it serves when the revision is made, and what that revision is rendered from ever after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.model.identity import AppKey, JsonObject
from tests.charts import Repository, chart_files, serving
from tests.integration.harness import Clone, Daemon, running
from tests.integration.helming import app, data, deploying
from tests.integration.test_helm import SEED, seed_repository

pytestmark = pytest.mark.usefixtures("renderers")

SHOPS: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shops.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Shop", "plural": "shops"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}
ASKING: dict[str, bytes | str] = {
    "templates/settings.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web-settings}
data:
  value: {{ .Values.value | quote }}
  version: {{ .Capabilities.KubeVersion.Version }}
{{- range list "v1" "apps/v1/Deployment" "policy/v1beta1" "example.org/v1" "example.org/v1/Shop" }}
  {{ . | replace "/" "_" }}: {{ $.Capabilities.APIVersions.Has . | quote }}
{{- end }}
""",
    "values.yaml": "value: one\n",
}


def folder(more: str = "") -> str:
    return app("").replace("url: '', chart: web, version: '1.x'", f"path: charts/web{more}")


def pins(daemon: Daemon) -> list[dict[str, str]]:
    return [record.pins for record in daemon.engine._context.apps[AppKey("default", "web")].records]


async def test_rule_5a_a_chart_sees_what_the_cluster_serves_when_its_revision_is_made_and_a_rollback_what_it_served_then(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    chart: dict[str, str | None] = {f"charts/web/{path}": str(content) for path, content in chart_files("web", "1.0.0", ASKING).items()}
    clone.push({"web.yaml": folder(), **chart})
    async with running(clone) as daemon:
        await daemon.synced("web")
        before = await data(daemon)
        version = (await daemon.cluster.capabilities()).kube_version
        served = {"v1": "true", "apps_v1_Deployment": "true", "policy_v1beta1": "false"}
        assert before == {"value": "one", "version": version, **served, "example.org_v1": "false", "example.org_v1_Shop": "false"}
        await daemon.cluster.create(SHOPS)
        commit = clone.push({"web.yaml": folder(", values: {value: two}")})
        await daemon.synced("web", commit)
        assert await data(daemon) == before | {"value": "two", "example.org_v1": "true", "example.org_v1_Shop": "true"}
        first, second = pins(daemon)
        assert first["cluster"].startswith(f"Kubernetes {version}; ")
        assert first["cluster"] != second["cluster"]
        commit = clone.push({"web.yaml": folder()})
        await daemon.synced("web", commit)
        assert await data(daemon) == before


async def test_rule_5a_a_chart_that_takes_inputs_sees_the_cluster_of_its_revision_however_late_it_is_rendered(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    gated = SEED.replace("      - name: deploy-web\n", "      - {name: approve, type: suspend}\n      - name: deploy-web\n")
    deployment = "{{ if .Values.mysqlConn }}" + DEPLOYMENT + "{{ end }}"
    async with serving(Repository()) as repository:
        seed_repository(repository)
        repository.add("my-web", "1.0.1", {"templates/web.yaml": deployment})
        clone.push({"shop.yaml": gated.replace("REPOSITORY", repository.url)})
        state = str(tmp_path / "state.db")
        async with deploying(clone, tmp_path / "cache", state=state) as daemon:
            await daemon.waiting("shop")
            await daemon.cluster.create(SHOPS)
        async with deploying(clone, tmp_path / "cache", state=state) as daemon:
            waiting = await daemon.waiting("shop")
            assert waiting.gate is not None
            clone.pull()
            opened = f"{{name: shop, annotations: {{gates.reconciler.dev/approve: {waiting.gate.continue_}}}}}"
            clone.push({"shop.yaml": clone.read("shop.yaml").replace("{name: shop}", opened)})
            await daemon.synced("shop")
            made: Any = await daemon.get("Deployment", "my-web", api_version="apps/v1")
            assert made["metadata"]["annotations"]["example.org/shops"] == "false"


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-web
  annotations: {example.org/shops: {{ .Capabilities.APIVersions.Has "example.org/v1" | quote }}}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: nginx}]}}
"""
