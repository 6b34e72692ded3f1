"""Applications with Helm charts (rules 3b, 5a, 13b, 13c): from git and a chart repository to objects in the embedded cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import AppKey
from tests.charts import Repository, chart_files, endless, serving
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.helming import app, data, deploying, problem
from tests.integration.sealed import CANARY, PERSON, Keys, plain
from tests.integration.sealed import app as sealed_app
from tests.unit.sealing.encrypting import seal

pytestmark = pytest.mark.usefixtures("renderers")

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-settings}
data:
  chart: {{ .Chart.Version | quote }}
  value: {{ .Values.value | quote }}
"""
WEB: dict[str, bytes | str] = {"templates/settings.yaml": TEMPLATE, "values.yaml": "value: default\n"}


@pytest.fixture(autouse=True)
def _new_index_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.charts.repository._FRESH", 0.0)


async def test_rule_5a_a_range_is_pinned_by_the_revision_and_moves_with_the_next_one_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", WEB)
        clone.push({"web.yaml": app(repository.url)})
        async with deploying(clone) as daemon:
            first = await daemon.synced("web")
            assert await data(daemon) == {"chart": "1.0.0", "value": "default"}
            record = daemon.engine._context.apps[AppKey("default", "web")].records[0]
            assert record.pins["chart/web"].startswith("web 1.0.0 sha256:")
            assert f"{repository.url}/web-1.0.0.tgz" in record.pins["chart/web"]
            repository.add("web", "1.1.0", WEB)
            await daemon.looked()
            status = daemon.status("web")
            assert status is not None
            assert status.running == first.running
            commit = clone.push({"web.yaml": app(repository.url, more=", values: {value: mine}")})
            await daemon.synced("web", commit)
            assert await data(daemon) == {"chart": "1.1.0", "value": "mine"}


async def test_rule_3b_a_rollback_applies_the_stored_objects_and_fetches_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", WEB)
        before = app(repository.url, "1.0.0")
        clone.push({"web.yaml": before})
        async with deploying(clone) as daemon:
            await daemon.synced("web")
            repository.add("web", "1.1.0", WEB)
            commit = clone.push({"web.yaml": app(repository.url, "1.1.0")})
            await daemon.synced("web", commit)
            repository.charts.clear()
            asked = len(repository.asked)
            commit = clone.push({"web.yaml": before})
            await daemon.synced("web", commit)
            assert await data(daemon) == {"chart": "1.0.0", "value": "default"}
            assert len(repository.asked) == asked


async def test_a_chart_that_is_not_to_be_had_is_that_applications_problem_and_passes_when_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.engine.planning.AGAIN", 0.1)
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        repository.add("web", "0.9.0", WEB)
        clone.push({"web.yaml": app(repository.url), "other.yaml": config_map_app("other", "1")})
        async with deploying(clone) as daemon:
            await daemon.synced("other")
            said = await problem(daemon, "there is no version that fits; there are 0.9.0")
            assert f"chart web 1.x of {repository.url}" in said
            assert "web.yaml" in said
            repository.add("web", "1.0.0", WEB)
            await daemon.synced("web")


async def test_rule_8a_a_repository_that_never_answers_holds_up_nobody_else(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        answer = asyncio.Event()

        async def hang(_: web.Request) -> web.StreamResponse:
            await answer.wait()
            return web.Response(status=500)

        repository.routes["/charts/index.yaml"] = hang
        files: dict[str, str | None] = {f"web{number}.yaml": app(repository.url, name=f"web{number}") for number in range(12)}
        clone.push(files)
        async with deploying(clone, width=2) as daemon:
            await daemon.until(lambda: repository.asked, "the index is asked for")
            commit = clone.push({"other.yaml": config_map_app("other", "1")})
            await daemon.synced("other", commit)
            answer.set()
            await problem(daemon, "answered 500", "web3")


@pytest.mark.parametrize("attack", ["redirect", "endless", "bomb", "traversal"])
async def test_rule_13b_an_attack_is_an_error_of_that_application_and_its_neighbour_goes_on(tmp_path: Path, attack: str) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:

        async def away(_: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": "http://10.0.0.1/web.tgz"})

        repository.add("web", "1.0.0", WEB)
        said = "10.0.0.1:80 is a private address"
        if attack == "redirect":
            repository.routes["/charts/web-1.0.0.tgz"] = away
        elif attack == "endless":
            repository.routes["/charts/index.yaml"], said = endless, "answered with more than 48 MiB"
        elif attack == "bomb":
            repository.add("web", "1.0.0", {"values.yaml": b"\0" * (40 << 20)})
            said = "unpacks to more than 32 MiB"
        else:
            repository.add("web", "1.0.0", {"../../etc/passwd": "x"})
            said = "leads out of the chart"
        clone.push({"web.yaml": app(repository.url), "other.yaml": config_map_app("other", "1")})
        async with deploying(clone) as daemon:
            await problem(daemon, said)
            await daemon.synced("other")
            with pytest.raises(NotFoundError):
                await data(daemon)


async def test_a_chart_of_the_repository_is_rendered_and_a_change_in_it_is_a_new_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    text = app("").replace("url: '', chart: web, version: '1.x'", "path: charts/web, releaseName: shop")
    files: dict[str, str | None] = {f"charts/web/{path}": str(content) for path, content in chart_files("web", "1.0.0", WEB).items()}
    clone.push({"web.yaml": text, **files})
    async with running(clone) as daemon:
        await daemon.synced("web")
        assert await data(daemon, "shop-settings") == {"chart": "1.0.0", "value": "default"}
        commit = clone.push({"charts/web/values.yaml": "value: changed\n"})
        status = await daemon.synced("web", commit)
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert (await data(daemon, "shop-settings"))["value"] == "changed"


async def test_values_come_from_files_and_config_maps_in_order_and_the_manifest_wins(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web-settings}\ndata: {{ .Values.data | toJson }}\n"
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", {"templates/a.yaml": template})
        sources = (
            ", valuesFrom: [{kind: File, path: values/prod.yaml}, {kind: ConfigMap, name: more}, {kind: ConfigMap, name: none, optional: true}]"
            ", values: {data: {d: git}}"
        )
        clone.push({"web.yaml": app(repository.url, "1.0.0", sources), "values/prod.yaml": "data: {a: file, b: file, c: file, d: file}\n"})
        async with deploying(clone) as daemon:
            await problem(daemon, "valuesFrom: ConfigMap default/more is not there")
            more = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "more", "namespace": "default"},
                "data": {"values.yaml": "data: {b: map, d: map}"},
            }
            await daemon.cluster.create(more)
            commit = clone.push({"values/prod.yaml": "data: {a: new, b: new, c: new, d: new}\n"})
            await daemon.synced("web", commit)
            assert await data(daemon) == {"a": "new", "b": "map", "c": "new", "d": "git"}
            record = daemon.engine._context.apps[AppKey("default", "web")].records[-1]
            assert set(record.pins) == {"chart/web", "values/web", "cluster"}


SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "opener", "namespace": "default"},
    "data": {"username": "bWU=", "password": "czNjcmV0"},
}


async def test_rule_13c_a_secret_opens_a_repository_where_its_owner_names_the_host_and_is_never_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.engine.planning.AGAIN", 0.1)
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        repository.user = "me:s3cret"
        repository.add("web", "1.0.0", WEB)
        clone.push({"web.yaml": app(repository.url, more=", secretRef: opener")})
        async with deploying(clone) as daemon:
            await problem(daemon, "the Secret opener of secretRef is not in the namespace default")
            made = await daemon.cluster.create(SECRET)
            await problem(daemon, "its owner allows that by the annotation reconciler.dev/allow-steps: helm@HOST")
            made["metadata"]["annotations"] = {"reconciler.dev/allow-steps": "notification@127.0.0.1, helm@charts.example.org"}
            made = await daemon.cluster.replace(made)
            await problem(daemon, f"its Secret may not be used for {repository.host}")
            made["metadata"]["annotations"] = {"reconciler.dev/allow-steps": f"helm@{repository.host}"}
            await daemon.cluster.replace(made)
            await daemon.synced("web")
            for event in daemon.sink.events:
                assert "s3cret" not in str(event)
            stored = [
                str(obj)
                for kind in await daemon.cluster.kinds()
                for obj in (await daemon.cluster.list(kind.gvk)).items
                if obj["metadata"]["name"] != "opener"
            ]
            assert "s3cret" not in "".join(stored)
            assert "czNjcmV0" not in "".join(stored)


SEED = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: shop}
spec:
  components:
    - name: database
      type: helm
      properties:
        repoUrl: REPOSITORY
        chart: mysql

    - name: web
      type: helm
      properties:
        repoUrl: REPOSITORY
        chart: my-web
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
            - mysql

      - name: deploy-web
        type: apply-and-wait
        inputs:
          - from: db-conn # input comes from the output from `deploy-database` step
            parameterKey: mysqlConn
        properties:
          component: web
          resourceType: Deployment
          resourceAPIVersion: apps/v1
          names:
            - my-web
"""
MYSQL: dict[str, bytes | str] = {
    "templates/all.yaml": """\
apiVersion: v1
kind: Service
metadata: {name: {{ .Chart.Name }}}
spec: {selector: {app: mysql}, ports: [{port: 3306}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ .Chart.Name }}}
spec:
  serviceName: mysql
  selector: {matchLabels: {app: mysql}}
  template: {metadata: {labels: {app: mysql}}, spec: {containers: [{name: mysql, image: "mysql:{{ .Chart.AppVersion }}"}]}}
"""
}
MY_WEB: dict[str, bytes | str] = {
    "templates/web.yaml": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Chart.Name }}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: nginx
          env: [{name: DATABASE, value: "{{ required "mysqlConn is needed" .Values.mysqlConn.host }}:{{ .Values.mysqlConn.port }}"}]
"""
}


def seed_repository(repository: Repository) -> None:
    repository.add("mysql", "9.0.0", MYSQL, appVersion="8.0")
    repository.add("my-web", "1.0.0", MY_WEB)


async def test_seed_001_with_charts_of_a_repository_runs_the_database_first_and_fills_the_connection_into_web(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        seed_repository(repository)
        clone.push({"shop.yaml": SEED.replace("REPOSITORY", repository.url)})
        async with deploying(clone) as daemon:
            await daemon.synced("shop")
            deployment = await daemon.get("Deployment", "my-web", api_version="apps/v1")
            database = await daemon.get("StatefulSet", "mysql", api_version="apps/v1")
            env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
            assert env == [{"name": "DATABASE", "value": "mysql.default.svc:3306"}]
            assert database["status"]["readyReplicas"] == 1
            assert int(database["metadata"]["resourceVersion"]) > 0
            assert database["metadata"]["creationTimestamp"] <= deployment["metadata"]["creationTimestamp"]


async def test_a_component_with_inputs_is_rendered_from_the_chart_of_its_pin_after_a_restart_too(tmp_path: Path) -> None:
    """The gate stands between the revision and its rendering: meanwhile the daemon is started anew, and the range means another chart."""
    clone = Clone(tmp_path)
    gate = "      - {name: approve, type: suspend}\n      - name: deploy-web\n"
    async with serving(Repository()) as repository:
        seed_repository(repository)
        clone.push({"shop.yaml": SEED.replace("REPOSITORY", repository.url).replace("      - name: deploy-web\n", gate)})
        state = str(tmp_path / "state.db")
        async with deploying(clone, tmp_path / "cache", state=state) as daemon:
            await daemon.waiting("shop")
        repository.add("my-web", "2.0.0", {"templates/web.yaml": "not: rendered"})
        async with deploying(clone, None, state=state) as daemon:  # nothing is kept: it is fetched again, by its digest
            waiting = await daemon.waiting("shop")
            assert waiting.gate is not None
            clone.pull()
            text = clone.read("shop.yaml").replace(
                "{name: shop}", f"{{name: shop, annotations: {{gates.reconciler.dev/approve: {waiting.gate.continue_}}}}}"
            )
            clone.push({"shop.yaml": text})
            await daemon.synced("shop")
            deployment = await daemon.get("Deployment", "my-web", api_version="apps/v1")
            assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx"
            assert repository.count("/charts/my-web-1.0.0.tgz") == 2


async def test_a_chart_of_the_repository_that_takes_inputs_is_stored_with_its_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    local = SEED.replace("repoUrl: REPOSITORY\n        chart: mysql", "path: charts/mysql").replace(
        "repoUrl: REPOSITORY\n        chart: my-web", "path: charts/my-web"
    )
    files: dict[str, str | None] = {}
    for name, content in (("mysql", chart_files("mysql", "9.0.0", MYSQL, appVersion="8.0")), ("my-web", chart_files("my-web", "1.0.0", MY_WEB))):
        files |= {f"charts/{name}/{path}": str(text) for path, text in content.items()}
    clone.push({"shop.yaml": local, **files})
    async with running(clone) as daemon:
        await daemon.synced("shop")
        deployment = await daemon.get("Deployment", "my-web", api_version="apps/v1")
        assert deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "mysql.default.svc:3306"


async def test_rule_12_an_encrypted_value_reaches_a_secret_also_through_base64_and_nothing_else(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
    async with serving(Repository()) as repository:
        repository.add(
            "web",
            "1.0.0",
            {"templates/a.yaml": secret + "data: {password: {{ .Values.password | b64enc }}}\nstringData: {same: {{ .Values.password | quote }}}\n"},
        )
        repository.add("leaky", "1.0.0", {"templates/a.yaml": secret + 'data: {url: {{ printf "mysql://%s@db" .Values.password | b64enc }}}\n'})
        values = seal({"password": CANARY}, PERSON, regex="^password$")
        properties = {"url": repository.url, "chart": "web", "version": "1.0.0", "values": values}
        leaky = {"name": "leaky", "type": "helm", "properties": {**properties, "chart": "leaky"}}
        clone.push({"web.yaml": sealed_app({"name": "web", "type": "helm", "properties": properties}), "leaky.yaml": sealed_app(leaky, name="leaky")})
        async with deploying(clone, unsealer=Keys(tmp_path, PERSON).unsealer()) as daemon:
            await daemon.synced("web")
            assert plain(await daemon.get("Secret", "db")) == {"password": CANARY, "same": CANARY}
            await problem(daemon, "data.url: an encrypted value can't be a part of a text", "leaky")
