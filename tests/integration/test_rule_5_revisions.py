"""Rules 5a and 5b on real commits: what makes a revision, and what going back to one does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push, value


def _comment(text: str) -> dict[str, str | None]:
    return {"web.yaml": "# a comment\n" + text.replace("spec:", "spec:  # and one more")}


def _formatting(text: str) -> dict[str, str | None]:
    return {
        "web.yaml": text.replace('data: {value: "1"}', "data:\n              value: '1'").replace(
            "metadata: {name: web}", 'metadata: { "name": "web" }'
        )
    }


def _moved(text: str) -> dict[str, str | None]:
    return {"web.yaml": None, "deeper/still/renamed.yml": text}


def _second_document(text: str) -> dict[str, str | None]:
    return {"web.yaml": f"{config_map_app('api', '1')}---\n{text}"}


def _decisions(text: str) -> dict[str, str | None]:
    annotations = {"gates.reconciler.dev/approve": "continue@0123456789ab", "context.reconciler.dev/rollback": "nonsense"}
    return {"web.yaml": config_map_app("web", "1", gate=True, annotations=annotations)}


@pytest.mark.parametrize("change", [_comment, _formatting, _moved, _second_document, _decisions], ids=lambda change: change.__name__.strip("_"))
async def test_rule_5a_what_is_no_content_starts_no_run(tmp_path: Path, change: Callable[[str], dict[str, str | None]]) -> None:
    clone = Clone(tmp_path)
    text = config_map_app("web", "1", gate=True)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": text})
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={gate.key: gate.continue_})})
        before = (await daemon.synced("web")).running
        await push(daemon, clone, change(text))
        after = await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]
        assert after.running == before
        assert after.desired.digest == before.digest


async def test_rule_5a_the_environment_and_referred_files_are_content(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    app = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: web}\nspec:\n  components:\n    - {name: all, type: manifests, properties: {path: m}}\n"

    def config_map(text: str) -> str:
        return f'apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{value: "{text}"}}\n'

    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": app, "m/a.yaml": config_map("1")})
        await daemon.synced("web")
        await push(daemon, clone, {"m/a.yaml": config_map("2")})
        await daemon.synced("web")
        assert await value(daemon, "web") == "2"
        environment = "apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: staging}\nspec: {namespace: default}\n"
        await push(daemon, clone, {"environment.yaml": environment})
        await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 Succeeded", "web-v3-1 Succeeded"]


async def test_rule_5b_going_back_to_a_promoted_revision_is_a_restore_run_without_its_gates(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    async def promote(number: str) -> None:
        await push(daemon, clone, {"web.yaml": config_map_app("web", number, gate=True)})
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", number, gate=True, annotations={gate.key: gate.continue_})})
        await daemon.synced("web")

    async with running(clone) as daemon:
        await promote("1")
        await promote("2")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        status = await daemon.synced("web")
        assert status.running.revision == "web-v1"
        assert (status.run.id, status.run.kind) == ("web-v1-2", "restore")
        assert await value(daemon, "web") == "1"


async def test_rule_5b_back_to_what_runs_with_nothing_newer_applied_starts_no_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        version = (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"]
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
        gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        status = await daemon.synced("web")
        assert phases(daemon, "web") == ["web-v1-1 Succeeded", "web-v2-1 Superseded"]
        assert status.desired.revision == "web-v1"
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["resourceVersion"] == version


async def test_rule_5b_back_to_what_runs_after_something_newer_was_applied_restores_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": canary_app("web", "1")})
        gate = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "1", annotations={GATE: gate.continue_})})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": canary_app("web", "2")})
        gate_of(daemon, "web")
        assert await value(daemon, "web-canary") == "2"
        await push(daemon, clone, {"web.yaml": canary_app("web", "1")})
        status = await daemon.synced("web")
        assert status.run.kind == "restore"
        assert await value(daemon, "web-canary") == "1"


async def test_rule_5b_back_to_a_revision_that_was_never_promoted_waits_at_its_gates_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        first = gate_of(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2", gate=True)})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True)})
        again = gate_of(daemon, "web")
        assert phases(daemon, "web")[-1] == "web-v1-2 Waiting"
        assert again.continue_ != first.continue_
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={first.key: first.continue_})})
        assert phases(daemon, "web")[-1] == "web-v1-2 Waiting"
