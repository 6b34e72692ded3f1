"""Every state played for real: `why` says what is, why, and the one command or line that helps."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler.cluster.protocol import UnavailableError
from reconciler.model.identity import ObjectRef
from reconciler.source.git import GitSource
from reconciler.source.protocol import Head, UnreadableError
from reconciler.workflow.explain import Explanation, explain
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import GATE, gate_of, push, replace_data

Play = Callable[[Daemon, Clone, pytest.MonkeyPatch], Awaitable[None]]
CODE = "[0-9a-f]{12}"
BACK = re.escape("reconciler rollback default/web --push")
HELD = "it is held and not tried again by itself, only by `reconciler workflow restart default/web` or for a change pushed to web.yaml"


def why(daemon: Daemon) -> Explanation:
    status = daemon.status("web")
    assert status is not None
    return explain(status, datetime.now(UTC), daemon.engine.reader.fault())


def app(text: str, line: str = "", **options: Any) -> str:
    return config_map_app("web", text, gate=True, annotations={GATE: line} if line else None, **options)


def deployment(**step: str) -> str:
    """An application whose Deployment never is ready."""
    text = config_map_app("web", "1").replace("apiVersion: v1\n            kind: ConfigMap", "apiVersion: apps/v1\n            kind: Deployment")
    pod = "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: never-ready}]}}"
    text = text.replace('data: {value: "1"}', f"spec: {{selector: {{matchLabels: {{app: web}}}}, {pod}}}")
    lines = (
        ["  workflow:", "    steps:", f"      - {{type: apply-component, name: apply, properties: {{component: settings, {step['more']}}}}}"]
        if step
        else []
    )
    return text + "".join(f"{line}\n" for line in lines)


async def at_gate(daemon: Daemon, clone: Clone) -> None:
    """web-v1 runs, web-v2 waits at its gate."""
    clone.push({"web.yaml": app("1")})
    await daemon.waiting("web")
    clone.push({"web.yaml": app("1", gate_of(daemon, "web").continue_)})
    await daemon.synced("web")
    await push(daemon, clone, {"web.yaml": app("2")})


async def started(daemon: Daemon, clone: Clone) -> None:
    clone.push({"web.yaml": config_map_app("web", "1"), "other.yaml": config_map_app("other", "1")})
    await daemon.synced("web")
    await daemon.looked()


async def synced(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)


async def gate(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await at_gate(daemon, clone)


async def timer(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await push(daemon, clone, {"web.yaml": app("1").replace("name: approve}", "name: approve, properties: {duration: 2h}}")})


async def health(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    clone.push({"web.yaml": deployment()})
    await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.steps[0].until)


async def timeout(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    clone.push({"web.yaml": deployment(more="timeout: 1ms").replace("apply-component,", "apply-and-wait,").replace("component: settings", WAIT)})
    await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.phase == "Failed")


WAIT = "component: settings, resourceType: Deployment, resourceAPIVersion: apps/v1, names: [web]"


async def back_off(daemon: Daemon, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)

    async def refuse(*_: Any, **__: Any) -> None:
        raise UnavailableError("the API server is away")

    monkeypatch.setattr(daemon.cluster, "apply", refuse)
    clone.push({"web.yaml": config_map_app("web", "2")})
    await daemon.until(lambda: (status := daemon.status("web")) and status.run and status.run.steps[0].retry_at)


async def ended(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await at_gate(daemon, clone)
    await push(daemon, clone, {"web.yaml": app("2", "end")})


async def nothing_to_go_back_to(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    clone.push({"web.yaml": app("1")})
    await daemon.waiting("web")
    await push(daemon, clone, {"web.yaml": app("1", "rollback")})


async def git_differs(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await at_gate(daemon, clone)
    clone.push({"web.yaml": app("2", "rollback")})
    await daemon.until(lambda: "GitDiffers" in daemon.conditions("web") and (status := daemon.status("web")) and status.run.phase == "Succeeded")  # type: ignore[union-attr]


async def invalid(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    await push(daemon, clone, {"web.yaml": config_map_app("web", "1").replace("components:", "componets:")})


async def doubt(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    await push(daemon, clone, {"web.yaml": None, "other.yaml": "kind: [\n"})


async def budget(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    await push(daemon, clone, {"web.yaml": None, "other.yaml": None})


async def suspended(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    await push(daemon, clone, {"web.yaml": config_map_app("web", "2", annotations={"reconciler.dev/suspend": "wait for Ada"})})


async def homeless(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    away = config_map_app("web", "1").replace("metadata: {name: web}", "metadata: {name: web, namespace: shop}")
    clone.push({"web.yaml": away})
    await daemon.until(lambda: "NamespaceMissing" in daemon.conditions("web"))


async def lost(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)
    await daemon.cluster.delete(ObjectRef("reconciler.dev/v1alpha1", "Application", "reconciler-system", "default.web"))
    await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
    await daemon.until(lambda: "StateLost" in daemon.conditions("web"))


async def unpruned(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    more = "".join(f"          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: web-{number}}}}}\n" for number in range(11))
    clone.push({"web.yaml": config_map_app("web", "1") + more})
    await daemon.synced("web")
    await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
    await daemon.until(lambda: "PruneBlocked" in daemon.conditions("web"))


async def fought(daemon: Daemon, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.heal._FIRST", 0.0)
    await started(daemon, clone)
    for hand in range(4):
        await replace_data(daemon, "web", {"value": f"by hand {hand}"})
        await daemon.until(lambda: len([item for item in daemon.sink.events if item.kind == "drift-healed"]) > hand)  # noqa: B023
    await daemon.until(lambda: "DriftFought" in daemon.conditions("web"))


async def stalled(daemon: Daemon, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.queue._FIRST", 60.0)
    await started(daemon, clone)

    async def fail(_: Any) -> None:
        raise UnavailableError("no quorum")

    monkeypatch.setattr(daemon.engine._reconciler, "_play", fail)
    await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
    await daemon.until(lambda: (status := daemon.status("web")) and status.retry_at and "Stalled" in daemon.conditions("web"))


async def unreadable(daemon: Daemon, clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    await started(daemon, clone)

    def fail(_: GitSource) -> Head:
        raise UnreadableError("the folder is gone")

    monkeypatch.setattr(GitSource, "head", fail)
    await daemon.until(daemon.engine.reader.fault)


async def passed_over(daemon: Daemon, clone: Clone, _: pytest.MonkeyPatch) -> None:
    slow = deployment()
    clone.push({"web.yaml": slow})
    await daemon.until(lambda: (status := daemon.status("web")) and status.run)
    for number in range(4):
        await push(daemon, clone, {"web.yaml": slow.replace("never-ready", f"never-ready:{number}")})
    await push(daemon, clone, {"web.yaml": slow.replace("never-ready", "never-ready:last")})


class State(NamedTuple):
    """`sentence` and `help`: patterns. `options`: of the daemon."""

    play: Play
    sentence: str
    help: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012  # of a NamedTuple


STATES = [
    State(synced, r"^default/web is at web-v1, as git declares it, and healthy \(since 20\d\d-\S+, for \w+\)\.$"),
    State(gate, r"is at web-v1, not web-v2, because gate approve of web-v2 waits for a decision \(since .*\); to let it go on, .* in web.yaml", f'{GATE}: "continue@{CODE}"'),
    State(timer, r"waits for a decision \(since .*, 1h59m left\); it opens by itself at 20\S+Z; to let it", f'{GATE}: "continue@{CODE}"'),
    State(health, r"moves to web-v1 in run web-v1-1: step \S+ is waiting for Deployment default/web: .*, at the longest until \S+ UTC \(since .*, 9m\d+s left\)", f'gates.reconciler.dev/run: "end@{CODE}"'),
    State(timeout, rf"because run web-v2-1 failed at step apply: not healthy in time: Deployment default/web: .*; {HELD}, or go back with `{BACK}`", BACK),
    State(back_off, r"moves to web-v2 in run web-v2-1: step \S+ failed and is tried again at \S+ UTC: .*the API server is away", f'gates.reconciler.dev/run: "end@{CODE}"'),
    State(ended, rf"because run web-v2-1 was ended by Author <author@example.org> at gate approve in commit {CODE} \(since .*\); {HELD}, or go back", BACK),
    State(nothing_to_go_back_to, rf"is at no revision yet, because run web-v1-1 failed: there is no promoted revision to go back to \(since .*\); .*{HELD}"),
    State(git_differs, rf"not web-v2, because git still declares what was rolled back, and write-back is off \(since .*\); make the commit with `{BACK}`", BACK, {"write_back": False}),
    State(invalid, r"because its manifest has errors: web\.yaml:\d+: .*componets.*; mend web.yaml and push; `reconciler lint .` in your clone", re.escape("reconciler lint .")),
    State(doubt, rf"it is not declared in git any more, but other.yaml could not be read .*ConfigMap default/web.*: it is kept .*add {CODE} to `approved`", rf'approved: \["{CODE}"\]'),
    State(budget, rf"but 2 applications left git at once \(default/other, default/web\): it is kept .*add {CODE} to `approved`", rf'approved: \["{CODE}"\]'),
    State(suspended, r"not .*, because it is suspended \(wait for Ada\) in web.yaml \(since .*\); to go on, `reconciler resume", re.escape("reconciler resume default/web --push")),
    State(homeless, r"because .*namespace.*shop.*\(since .*\); create it, or let the daemon do so", re.escape('reconciler.dev/create-namespace: "true"'), {"create_namespaces": "none"}),
    State(lost, r"because its objects run, but their history is gone .*to let it go on, commit in web.yaml the annotation", f'gates.reconciler.dev/state-lost: "continue@{CODE}"'),
    State(unpruned, rf"is at web-v2, but objects that it no longer declares are kept: 11 of 12 objects would go .*ConfigMap default/web-0.*add {CODE} to", rf'approved: \["{CODE}"\]'),
    State(fought, r"is at web-v1, but something keeps changing ConfigMap default/web \(\.data\.value by 'kubectl-edit'\) \(since .*\); it is healed ever more slowly; find that writer", "reconciler suspend default/web .*--push"),
    State(stalled, r"because the daemon cannot go on with it: no quorum \(since .*, next try in \w+\); it is tried again by itself, and at once with `reconciler", re.escape("reconciler reconcile default/web")),
    State(unreadable, r"and healthy \(since .*\); but git cannot be read since 20\S+Z \(\w+\): the folder is gone; what it declares now is not known"),
    State(passed_over, r"moves to web-v\d in run web-v\d-1, after \d superseded in a row: .*; \S+ .*is newer and waits until it is at a gate or its end, because \d before it", f'gates.reconciler.dev/run: "end@{CODE}"'),
]  # fmt: skip


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.play.__name__)
async def test_a_state_that_is_lived_through_is_told_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State) -> None:
    clone = Clone(tmp_path)
    clone.push({"README.md": "nothing of ours"})
    async with running(clone, **state.options) as daemon:
        await state.play(daemon, clone, monkeypatch)
        told = why(daemon)
        assert re.search(state.sentence, told.sentence), told.sentence
        assert re.fullmatch(state.help, told.help), told.help
        status = daemon.status("web")
        assert status is not None
        ready = next(condition for condition in status.conditions if condition.type == "Ready")
        assert ready.status == "True" or (ready.help == told.help and ready.message.partition("; ")[2] in told.sentence), "one wording"
