"""Values of charts from ConfigMaps and Secrets of the cluster (rules 12 and 13c)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.identity import AppKey, JsonObject
from tests.charts import chart_files
from tests.integration.harness import Clone, Daemon, running
from tests.integration.helming import app, data, problem

pytestmark = pytest.mark.usefixtures("renderers")

PASSWORD = "c4nary-of-the-secret"
TEMPLATES = """\
apiVersion: v1
kind: Secret
metadata: {name: web-login}
stringData: {password: {{ .Values.auth.password | quote }}}
data: {same: {{ .Values.auth.password | b64enc }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: nginx
          env: [{name: PASSWORD, value: {{ .Values.auth.password | quote }}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-settings}
data: {user: {{ .Values.auth.user | quote }}, debug: {{ .Values.debug | kindOf }}, port: {{ .Values.port | kindOf }}}
"""
ENTRIES = {"user": "auth.user", "debug": "debug", "port": "port"}
FROM_SECRET = "{kind: Secret, name: login, valuesKey: password, targetPath: auth.password}"
LEAK = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: leak}\ndata: {shown: {{ .Values.auth.password | quote }}}\n"
ELSEWHERE = "apiVersion: v1\nkind: Secret\nmetadata: {name: web-login, namespace: other}\nstringData: {p: {{ .Values.auth.password | quote }}}\n"


def secret(value: str = PASSWORD, consent: str = "helm-values@web", key: str = "password") -> JsonObject:
    annotations = {"annotations": {"reconciler.dev/allow-steps": consent}} if consent else {}
    entry = base64.b64encode(value.encode()).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "default", **annotations}, "data": {key: entry}}


def settings(**entries: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}, "data": entries}


def files(sources: str, template: str = TEMPLATES, values: str = "{auth: {user: shop}}") -> dict[str, str | None]:
    chart = chart_files("web", "1.0.0", {"templates/all.yaml": template, "values.yaml": "debug: x\nport: x\n"})
    text = app("").replace("url: '', chart: web, version: '1.x'", f"path: charts/web, valuesFrom: [{sources}], values: {values}")
    return {"web.yaml": text, **{f"charts/web/{path}": str(content) for path, content in chart.items()}}


async def stored(daemon: Daemon) -> list[Any]:
    """All that is in the cluster but Secrets, where values may stand."""
    kinds = [kind for kind in await daemon.cluster.kinds() if kind.gvk.kind != "Secret"]
    return [obj for kind in kinds for obj in (await daemon.cluster.list(kind.gvk)).items]


async def test_rule_12_a_value_of_a_secret_stands_in_secrets_alone_and_reaches_containers_through_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push(files(FROM_SECRET))
    async with running(clone) as daemon:
        await daemon.cluster.create(secret())
        await daemon.synced("web")
        login = (await daemon.get("Secret", "web-login"))["data"]
        assert {key: base64.b64decode(value).decode() for key, value in login.items()} == {"password": PASSWORD, "same": PASSWORD}
        deployment = await daemon.get("Deployment", "web", api_version="apps/v1")
        [variable] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        named = variable["valueFrom"]["secretKeyRef"]
        assert base64.b64decode((await daemon.get("Secret", named["name"]))["data"][named["key"]]).decode() == PASSWORD
        told = str(await stored(daemon)) + str(daemon.sink.events) + str(daemon.status("web"))
        for form in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
            assert form not in told
        first = daemon.engine._context.apps[AppKey("default", "web")].records[0]
        await daemon.cluster.apply(secret("another"), "test", force=True)
        commit = clone.push(files(FROM_SECRET, values="{auth: {user: other}}"))
        await daemon.synced("web", commit)
        assert base64.b64decode((await daemon.get("Secret", "web-login"))["data"]["password"]) == b"another"
        second = daemon.engine._context.apps[AppKey("default", "web")].records[1]
        assert first.pins["values/web"] != second.pins["values/web"]
        commit = clone.push(files(FROM_SECRET))  # back to what ran before: it is restored from what is stored
        await daemon.synced("web", commit)
        assert base64.b64decode((await daemon.get("Secret", "web-login"))["data"]["password"]).decode() == PASSWORD


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (secret(consent=""), "its owner allows that by the annotation reconciler.dev/allow-steps: helm-values@web"),
        (secret(consent="helm-values@shop, helm@web"), "its owner allows that"),
        (secret(key="other"), "has no entry password"),
        (None, "Secret default/login is not there"),
    ],
)
async def test_rule_13c_a_secret_whose_owner_does_not_name_the_application_gives_it_no_values(tmp_path: Path, made: Any, said: str) -> None:
    clone = Clone(tmp_path)
    clone.push(files(FROM_SECRET))
    async with running(clone) as daemon:
        if made is not None:
            await daemon.cluster.create(made)
        clone.push(files(FROM_SECRET, values="{auth: {user: other}}"))
        assert PASSWORD not in await problem(daemon, said)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (LEAK, "may stand in a Secret's data or in a container's variable, not here"),
        (ELSEWHERE, "values of a Secret go into Secrets and containers of its own namespace alone"),
        (LEAK.replace("v1", "example.org/v1", 1).replace("ConfigMap", "Shop"), "of its own namespace alone"),
        (TEMPLATES.replace("| b64enc", '| printf "mysql://%s@db" | b64enc'), "an encrypted value can't be a part of a text"),
    ],
    ids=["a ConfigMap", "another namespace", "a custom resource", "a part of a text"],
)
async def test_rule_12_a_chart_that_would_show_a_value_of_a_secret_is_an_error_that_does_not(tmp_path: Path, template: str, said: str) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await daemon.cluster.create(secret())
        clone.push(files(FROM_SECRET, template))
        assert PASSWORD not in await problem(daemon, said)


async def test_values_of_a_whole_document_in_a_secret_are_texts_and_an_error_shows_none_of_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await daemon.cluster.create(secret(f"auth: {{password: {PASSWORD}}}", key="values.yaml"))
        clone.push(files("{kind: Secret, name: login}"))
        await daemon.synced("web")
        assert base64.b64decode((await daemon.get("Secret", "web-login"))["data"]["password"]).decode() == PASSWORD
        for broken, said in ((f"auth: {{password: {PASSWORD}", "is no YAML of values"), (f"{PASSWORD}: 5", "a value that is no text")):
            await daemon.cluster.apply(secret(broken, key="values.yaml"), "test", force=True)
            clone.push(files("{kind: Secret, name: login}", values=f"{{auth: {{user: '{len(broken)}'}}}}"))
            assert PASSWORD not in await problem(daemon, said)


async def test_an_entry_of_a_config_map_stands_below_its_target_path_and_optional_ones_may_be_missing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    entries = [f"{{kind: ConfigMap, name: settings, valuesKey: {key}, targetPath: {path}}}" for key, path in ENTRIES.items()]
    missing = [
        "{kind: ConfigMap, name: settings, valuesKey: none, targetPath: auth.user, optional: true}",
        "{kind: Secret, name: none, optional: true}",
    ]
    sources = ", ".join([*entries, *missing])
    async with running(clone) as daemon:
        await daemon.cluster.create(settings(user="shop", debug="true", port="8080"))
        clone.push(files(sources, values="{auth: {password: x}}"))
        await daemon.synced("web")
        assert await data(daemon) == {"user": "shop", "debug": "bool", "port": "float64"}
