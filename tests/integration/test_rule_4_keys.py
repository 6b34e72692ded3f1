"""Rules 4f and 4g: keys, typos, what stops a whole run, and workflows that weaken their gates."""

from pathlib import Path

import pytest

from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import gate_of, phases, push, value


def app(text: str, **annotations: str) -> str:
    """The application `web` behind its gate."""
    return config_map_app("web", text, gate=True, annotations={f"gates.reconciler.dev/{gate}": line for gate, line in annotations.items()})


async def started(daemon: Daemon, clone: Clone) -> None:
    """`web` runs revision 1, promoted through its gate."""
    clone.push({"web.yaml": app("1")})
    await daemon.waiting("web")
    clone.push({"web.yaml": app("1", approve=gate_of(daemon, "web").continue_)})
    await daemon.synced("web")


async def test_rule_4f_the_codes_of_the_whole_run_are_printed_and_stop_it_at_any_time(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    never = (
        config_map_app("web", "1")
        .replace("apiVersion: v1\n            kind: ConfigMap", "apiVersion: apps/v1\n            kind: Deployment")
        .replace(
            'data: {value: "1"}',
            "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: never-ready}]}}}",
        )
    )
    clone.push({"web.yaml": never})
    async with running(clone) as daemon:
        await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.phase == "Running" and status.run.stop)
        status = daemon.status("web")
        assert status is not None
        assert status.run is not None
        assert status.run.stop is not None
        stop = status.run.stop
        assert stop.key == "gates.reconciler.dev/run"
        assert f"{stop.key}: {stop.end}" in daemon.conditions("web")["Reconciling"]
        stopped = never.replace("  name: web\n", f'  name: web\n  annotations: {{{stop.key}: "{stop.end}"}}\n', 1)
        await push(daemon, clone, {"web.yaml": stopped})
        assert phases(daemon, "web") == ["web-v1-1 Terminated"]
        assert daemon.status("web").run.stop is None  # type: ignore[union-attr]


async def test_rule_4f_run_rollback_goes_back_at_any_time(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": app("2")})
        await daemon.waiting("web", revision="web-v2")
        clone.push({"web.yaml": app("2", run="rollback")})
        status = await daemon.synced("web")
        assert status.running is not None
        assert status.running.revision == "web-v1"
        assert phases(daemon, "web")[1] == "web-v2-1 RolledBack"


@pytest.mark.parametrize(
    ("annotation", "reason", "sentence"),
    [
        ("gates.reconciler.dev/aprove: continue", "UnknownGate", "aprove names no gate of this workflow (its gates: approve"),
        ("gates.reconciler.dev/approve: contineu", "Malformed", "'contineu' is no decision; write continue@CODE, rollback or end"),
        ("gates.reconciler.dev/approve: continue@ABCDEF012345", "Malformed", "a code has 12 lower-case hex digits"),
        ("gates.reconciler.dev/approve: continue@abc", "Malformed", "a code has 12 lower-case hex digits"),
        ("gates.reconciler.dev/run: continue@abcdef012345", "Malformed", "takes rollback and end, not continue"),
        ("gate.reconciler.dev/approve: rollback", "UnknownAnnotation", "gates.reconciler.dev/approve"),
        ("reconciler.dev/supsend: later", "UnknownAnnotation", "reconciler.dev/suspend"),
    ],
)
async def test_rule_4f_a_typo_is_a_condition_with_the_sentence_that_helps(tmp_path: Path, annotation: str, reason: str, sentence: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("1")})
    key, _, text = annotation.partition(": ")
    async with running(clone) as daemon:
        await daemon.waiting("web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1", gate=True, annotations={key: text})})
        assert gate_of(daemon, "web").step == "approve"
        ignored = daemon.conditions("web")["DecisionIgnored"]
        assert ignored.startswith(f"{reason}: ")
        assert sentence in ignored
        await push(daemon, clone, {"web.yaml": app("1")})
        assert "DecisionIgnored" not in daemon.conditions("web")


@pytest.mark.parametrize(
    ("annotations", "reason", "instead"),
    [
        ({"run": "rollback@000000000000"}, "StaleCode", "web-v1-1 has ended: to go back, `reconciler rollback default/web --push`"),
        ({"run": "rollback"}, "TooLate", "rollback for gate run came after its end"),
        ({"approve": "end"}, "TooLate", "end for gate approve came after its end"),
    ],
)
async def test_rule_4f_a_decision_after_the_end_is_told_until_it_is_taken_out(
    tmp_path: Path, annotations: dict[str, str], reason: str, instead: str
) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        assert "DecisionIgnored" not in daemon.conditions("web"), "a used decision may stay in git"
        await push(daemon, clone, {"web.yaml": app("1", **annotations)})
        ignored = daemon.conditions("web")["DecisionIgnored"]
        assert ignored.startswith(f"{reason}: ")
        assert instead in ignored
        assert phases(daemon, "web") == ["web-v1-1 Succeeded"]
        await push(daemon, clone, {"web.yaml": app("1")})
        assert "DecisionIgnored" not in daemon.conditions("web")


async def test_rule_4f_a_stale_code_for_the_open_run_is_told_with_the_line_that_stops_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("1")})
    async with running(clone) as daemon:
        await daemon.waiting("web")
        await push(daemon, clone, {"web.yaml": app("1", run="end@000000000000")})
        stop = daemon.status("web").run.stop  # type: ignore[union-attr]
        assert stop is not None
        assert f'commit {stop.key}: "{stop.end}"' in daemon.conditions("web")["DecisionIgnored"]
        assert gate_of(daemon, "web").step == "approve"


async def test_rule_4g_a_workflow_that_drops_the_gate_waits_at_the_implicit_one(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        clone.push({"web.yaml": config_map_app("web", "2")})
        gate = (await daemon.waiting("web", revision="web-v2")).gate
        assert gate is not None
        assert (gate.step, gate.key) == ("workflow-changed", "gates.reconciler.dev/workflow-changed")
        assert await value(daemon, "web") == "1"
        clone.push({"web.yaml": config_map_app("web", "2", annotations={gate.key: gate.continue_})})
        await daemon.synced("web")
        assert await value(daemon, "web") == "2"
        commit = clone.push({"web.yaml": config_map_app("web", "3", annotations={gate.key: gate.continue_})})
        await daemon.synced("web", commit)
        assert "DecisionIgnored" not in daemon.conditions("web"), "a used decision may stay in git"


async def test_rule_4g_a_gate_that_gains_a_duration_waits_first(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await started(daemon, clone)
        weaker = app("2").replace("{type: suspend, name: approve}", "{type: suspend, name: approve, properties: {duration: 1s}}")
        clone.push({"web.yaml": weaker})
        assert (await daemon.waiting("web", revision="web-v2")).gate.step == "workflow-changed"  # type: ignore[union-attr]
