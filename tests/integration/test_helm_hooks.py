"""Helm's hooks on the embedded cluster: in waves, each complete before the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import NotFoundError
from reconciler.model.identity import ObjectRef
from tests.charts import Repository, serving
from tests.integration.harness import Clone, Daemon
from tests.integration.helming import app, deploying

pytestmark = pytest.mark.usefixtures("renderers")

HOOKED: dict[str, bytes | str] = {
    "templates/main.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: main}\ndata: {v: {{ .Values.v | quote }}}\n",
    "templates/before.yaml": """\
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "2"}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: migrate}]}}}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-weight: "1"}
---
apiVersion: batch/v1
kind: Job
metadata: {name: told, annotations: {helm.sh/hook: post-install}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: tell}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: tested, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: a, image: test}]}
""",
    "templates/kept.yaml": "{{ if .Values.kept }}apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n{{ end }}",
    "values.yaml": "v: 1\nkept: true\n",
}


def time_of(obj: dict[str, Any]) -> str:
    return str(obj["metadata"]["creationTimestamp"])


async def test_hooks_run_before_and_after_the_rest_each_complete_before_what_follows_and_again_with_each_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", HOOKED)
        clone.push({"web.yaml": app(repository.url)})
        async with deploying(clone) as daemon:
            status = await daemon.synced("web")
            assert status.run is not None
            migrate = await daemon.get("Job", "migrate", api_version="batch/v1")
            told = await daemon.get("Job", "told", api_version="batch/v1")
            settings, main = await daemon.get("ConfigMap", "settings"), await daemon.get("ConfigMap", "main")
            assert time_of(settings) <= time_of(migrate) <= migrate["status"]["completionTime"] <= time_of(main) <= time_of(told)
            assert told["status"]["succeeded"] == 1
            with pytest.raises(NotFoundError):
                await daemon.get("Pod", "tested")
            commit = clone.push({"web.yaml": app(repository.url, more=", values: {v: 2, kept: false}")})
            await daemon.synced("web", commit)
            again = await daemon.get("Job", "migrate", api_version="batch/v1")
            assert again["metadata"]["uid"] != migrate["metadata"]["uid"]
            assert (await daemon.get("Job", "told", api_version="batch/v1"))["metadata"]["uid"] == told["metadata"]["uid"]
            assert (await daemon.get("ConfigMap", "main"))["data"] == {"v": "2"}
            assert await daemon.get("ConfigMap", "kept")  # helm.sh/resource-policy: keep
            await daemon.cluster.delete(ObjectRef("batch/v1", "Job", "default", "told"))
            await daemon.looked()
            await daemon.until(daemon.idle, "at rest")
            with pytest.raises(NotFoundError):  # a hook that has run is not put back
                await daemon.get("Job", "told", api_version="batch/v1")


async def test_a_hook_that_fails_ends_the_run_before_anything_else_is_applied(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        job = str(HOOKED["templates/before.yaml"]).replace("image: migrate", "image: will-fail")
        repository.add("web", "1.0.0", {**HOOKED, "templates/before.yaml": job})
        clone.push({"web.yaml": app(repository.url)})
        async with deploying(clone) as daemon:
            await daemon.until(
                lambda: (found := daemon.status("web")) is not None and found.run is not None and found.run.phase == "Failed", "it failed"
            )
            with pytest.raises(NotFoundError):
                await daemon.get("ConfigMap", "main")


def hook(name: str, policy: str, image: str = "work", events: str = "pre-install,pre-upgrade") -> str:
    notes = f"{{helm.sh/hook: '{events}', helm.sh/hook-delete-policy: '{policy}'}}"
    return (
        f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, annotations: {notes}}}\n"
        f"spec: {{backoffLimit: 0, template: {{spec: {{restartPolicy: Never, containers: [{{name: a, image: {image}}}]}}}}}}\n---\n"
    )


async def there(daemon: Daemon, name: str) -> bool:
    try:
        await daemon.get("Job", name, api_version="batch/v1")
    except NotFoundError:
        return False
    return True


async def test_hooks_go_by_their_policy_when_their_wave_succeeded_and_come_back_with_the_next_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    hooks = hook("before", "hook-succeeded") + hook("kept", "before-hook-creation") + hook("failing", "hook-failed")
    after = hook("after", "before-hook-creation,hook-succeeded", events="post-install,post-upgrade")
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", {"templates/all.yaml": f"{hooks}{after}{HOOKED['templates/main.yaml']}"})
        async with deploying(clone) as daemon:
            for value in (1, 2):
                commit = clone.push({"web.yaml": app(repository.url, more=f", values: {{v: {value}}}")})
                status = await daemon.synced("web", commit)
                assert status.health == "Healthy"
                assert [name for name in ("before", "after", "kept", "failing") if await there(daemon, name)] == ["kept", "failing"]
                done = [event.fields["kind"] for event in daemon.sink.events if event.kind == "effect"]
                assert done == ["apply", "delete", "apply", "apply", "delete"] * value
            await daemon.looked()
            await daemon.until(daemon.idle, "at rest")
            assert not await there(daemon, "before")  # a hook that has run is not put back


async def test_rule_1_a_hook_that_failed_goes_where_it_says_so_and_the_others_of_its_wave_stay(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    hooks = hook("gone", "hook-failed", "will-fail") + hook("kept", "hook-succeeded", "will-fail")
    async with serving(Repository()) as repository:
        repository.add("web", "1.0.0", {"templates/all.yaml": f"{hooks}{HOOKED['templates/main.yaml']}"})
        clone.push({"web.yaml": app(repository.url)})
        async with deploying(clone) as daemon:

            def failed() -> str:
                status = daemon.status("web")
                return status.run.message if status is not None and status.run is not None and status.run.phase == "Failed" else ""

            assert "Job default/" in await daemon.until(failed, "it failed")
            assert [name for name in ("gone", "kept") if await there(daemon, name)] == ["kept"]
            with pytest.raises(NotFoundError):
                await daemon.get("ConfigMap", "main")


def pod_hook(image: str, policy: str = "", events: str = "pre-install,pre-upgrade") -> str:
    deleting = f", helm.sh/hook-delete-policy: {policy}" if policy else ""
    meta = f'{{name: migrate, annotations: {{helm.sh/hook: "{events}"{deleting}}}}}'
    return f"apiVersion: v1\nkind: Pod\nmetadata: {meta}\nspec: {{restartPolicy: Never, containers: [{{name: a, image: '{image}'}}]}}\n"


async def test_a_hook_that_is_a_pod_has_ended_before_the_rest_and_is_made_anew_for_each_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        main = HOOKED["templates/main.yaml"]
        repository.add("web", "1.0.0", {"templates/pod.yaml": pod_hook("work"), "templates/main.yaml": main, "values.yaml": "v: 1\n"})
        clone.push({"web.yaml": app(repository.url)})
        async with deploying(clone) as daemon:
            await daemon.synced("web")
            first = await daemon.get("Pod", "migrate")
            assert first["status"]["phase"] == "Succeeded"
            assert first["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] <= time_of(await daemon.get("ConfigMap", "main"))
            commit = clone.push({"web.yaml": app(repository.url, more=", values: {v: 2}")})
            await daemon.synced("web", commit)
            second = await daemon.get("Pod", "migrate")
            assert (second["status"]["phase"], second["metadata"]["uid"] == first["metadata"]["uid"]) == ("Succeeded", False)
            await daemon.looked()
            await daemon.until(daemon.idle, "at rest")
            assert (await daemon.get("Pod", "migrate"))["metadata"]["uid"] == second["metadata"]["uid"]


async def test_a_hook_that_is_a_pod_and_fails_ends_the_run_at_once_and_is_made_anew_when_it_is_tried_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with serving(Repository()) as repository:
        for version, image in (("1.0.0", "fail"), ("1.1.0", "work")):
            repository.add("web", version, {"templates/pod.yaml": pod_hook(image), "templates/main.yaml": HOOKED["templates/main.yaml"]})
        clone.push({"web.yaml": app(repository.url, "1.0.0")})
        async with deploying(clone) as daemon:
            status = await daemon.until(lambda: (found := daemon.status("web")) and found.run and found.run.phase == "Failed" and found, "failed")
            assert (status.run.reason, "Pod default/migrate" in status.run.message) == ("JobFailed", True)
            assert not await there(daemon, "main")
            failed = await daemon.get("Pod", "migrate")
            commit = clone.push({"web.yaml": app(repository.url, "1.1.0")})
            await daemon.synced("web", commit)
            again = await daemon.get("Pod", "migrate")
            assert (again["status"]["phase"], again["metadata"]["uid"] == failed["metadata"]["uid"]) == ("Succeeded", False)
