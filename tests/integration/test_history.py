"""The history of an application tells what happened to it, who decided so and why, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from reconciler.model.identity import AppKey
from reconciler.model.status import History, RunHistory
from tests.integration.harness import Clone, Daemon, running
from tests.integration.sequences import GATE, canary_app, gate_of, phases, push

AUTHOR = "Author <author@example.org>"


async def history(daemon: Daemon) -> History:
    found = await daemon.engine.reader.history(AppKey("default", "web"))
    assert found is not None
    return found


async def decide(daemon: Daemon, clone: Clone, text: str, revision: str, verb: str, message: str) -> str:
    """Waits for the gate of that revision and decides it; answers the commit."""
    await daemon.waiting("web", revision=revision)
    gate = gate_of(daemon, "web")
    line = {"continue": gate.continue_, "rollback": gate.rollback, "end": gate.end}[verb]
    return clone.push({"web.yaml": canary_app("web", text, annotations={GATE: line})}, message)


async def ended(daemon: Daemon, *wanted: str) -> None:
    await daemon.until(lambda: phases(daemon, "web")[-len(wanted) :] == list(wanted) and daemon.idle(), f"{wanted}")


def decisions(run: RunHistory) -> list[tuple[str, str, str, str, str]]:
    return [(item.step, item.verb, item.commit, item.author, item.message) for item in run.decisions]


class Past(NamedTuple):
    """What `live_through` did, by commit, and what the history says of it."""

    first: str
    approved: str
    second: str
    third: str
    taken_back: str
    mended: str
    rejected: str
    back: str
    told: History


async def live_through(clone: Clone) -> Past:
    """Four revisions: approved; superseded; rolled back, and mended in git by the daemon; ended; and then the first again."""
    first = clone.push({"web.yaml": canary_app("web", "1")}, "One")
    async with running(clone) as daemon:
        approved = await decide(daemon, clone, "1", "web-v1", "continue", "Looks good")
        await ended(daemon, "web-v1-1 Succeeded")
        second = clone.push({"web.yaml": canary_app("web", "2")}, "Two")
        await daemon.waiting("web", revision="web-v2")
        third = clone.push({"web.yaml": canary_app("web", "3")}, "Three")
        taken_back = await decide(daemon, clone, "3", "web-v3", "rollback", "Errors went up")
        await ended(daemon, "web-v3-1 RolledBack", "web-v1-2 Succeeded")
        await daemon.synced("web")
        clone.pull()
        mended = clone.git("rev-parse", "HEAD")
        clone.push({"web.yaml": canary_app("web", "4")}, "Four")
        rejected = await decide(daemon, clone, "4", "web-v4", "end", "Not now")
        await ended(daemon, "web-v4-1 Terminated")
        back = await push(daemon, clone, {"web.yaml": canary_app("web", "1")}, "Back to one")
        await daemon.synced("web", back)
        return Past(first, approved, second, third, taken_back, mended, rejected, back, await history(daemon))


async def test_it_tells_exactly_what_was_deployed_approved_superseded_rolled_back_and_rejected(tmp_path: Path) -> None:
    first, approved, second, third, taken_back, mended, rejected, back, told = await live_through(Clone(tmp_path))
    assert [(item.revision, item.running, item.promoted, item.rejected, item.kept) for item in told.revisions] == [
        ("web-v4", False, False, False, True),
        ("web-v3", False, False, False, True),
        ("web-v2", False, False, False, True),
        ("web-v1", True, True, False, True),
    ]
    v4, v3, v2, v1 = told.revisions
    assert [(item.commit.id, item.commit.author, item.commit.message) for item in (v3, v2, v1) if item.commit] == [
        (third, AUTHOR, "Three"),
        (second, AUTHOR, "Two"),
        (first, AUTHOR, "One"),
    ]
    assert [(run.run, run.kind, run.phase) for item in (v1, v2, v3, v4) for run in item.runs] == [
        ("web-v1-1", "deploy", "Succeeded"),
        ("web-v1-2", "restore", "Succeeded"),
        ("web-v1-3", "restore", "Succeeded"),
        ("web-v2-1", "deploy", "Superseded"),
        ("web-v3-1", "deploy", "RolledBack"),
        ("web-v4-1", "deploy", "Terminated"),
    ]
    deploy, rollback, revert = v1.runs
    assert decisions(deploy) == [("approve", "continue", approved, AUTHOR, "Looks good")]
    assert deploy.decisions[0].at.tzinfo is not None
    assert v2.runs[0].superseded_by == "web-v3"
    assert v3.runs[0].supersedes == [f"web-v2-1 ({second[:12]})"]
    assert decisions(v3.runs[0]) == [("approve", "rollback", taken_back, AUTHOR, "Errors went up")]
    assert (v3.runs[0].restored_by, v3.runs[0].restore_target) == ("web-v1-2", "web-v1")
    assert (v3.runs[0].write_back.state, v3.runs[0].write_back.commit) == ("Landed", mended)  # type: ignore[union-attr]
    assert rollback.restores == "web-v3-1"
    assert rollback.commit is not None
    assert (rollback.commit.id, rollback.commit.message) == (taken_back, "Errors went up")
    assert decisions(v4.runs[0]) == [("approve", "end", rejected, AUTHOR, "Not now")]
    assert (revert.restores, revert.undoes) == ("", ["web-v4-1"])
    assert revert.commit is not None
    assert (revert.commit.id, revert.commit.message) == (back, "Back to one")
    assert {item.id: item.message for item in v1.same_commits} == {mended: "Roll back web in default to web-v1", back: "Back to one"}, "rule 5b"
    assert [item.same_commits for item in (v2, v3, v4)] == [[], [], []]
    assert told.desired is not None
    assert (told.desired.revision, told.desired.commit) == ("web-v1", back)
    assert told.superseded == []


async def test_rule_12_no_secret_is_in_it_not_even_where_git_differs(tmp_path: Path) -> None:
    clone = Clone(tmp_path)

    def secret(text: str, annotations: dict[str, str] | None = None) -> str:
        plain = canary_app("web", text, annotations=annotations)
        return plain.replace("kind: ConfigMap", "kind: Secret").replace("data: {value", "stringData: {value")

    clone.push({"web.yaml": secret("hunter1")}, "See https://ann:hunter2@example.org/x")
    async with running(clone, write_back=False) as daemon:
        line = (await daemon.waiting("web")).gate.continue_  # type: ignore[union-attr]
        clone.push({"web.yaml": secret("hunter1", {GATE: line})}, "Fetched from https://ann:hunter2@example.org/y")
        await ended(daemon, "web-v1-1 Succeeded")
        clone.push({"web.yaml": secret("hunter3")})
        line = (await daemon.waiting("web", revision="web-v2")).gate.rollback  # type: ignore[union-attr]
        clone.push({"web.yaml": secret("hunter3", {GATE: line})})
        await daemon.until(lambda: "GitDiffers" in daemon.conditions("web"))
        told = await history(daemon)
    assert "hunter" not in msgspec.json.encode(told).decode()
    v2, v1 = told.revisions
    assert v1.commit is not None
    assert v1.commit.message == "See https://***@example.org/x"
    assert v1.runs[0].decisions[0].message == "Fetched from https://***@example.org/y"
    assert v2.rejected
    assert v2.runs[0].write_back is not None
    assert (v2.runs[0].write_back.state, v2.runs[0].write_back.reason) == ("Differs", "WriteBackOff")


async def test_what_is_no_longer_kept_is_told_by_its_runs(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        for number in range(1, 9):
            clone.push({"web.yaml": canary_app("web", str(number))}, f"Change {number}")
            await daemon.waiting("web", revision=f"web-v{number}")
        told = await history(daemon)
    assert [item.revision for item in told.revisions] == [f"web-v{number}" for number in range(8, 0, -1)]
    gone = told.revisions[-1]
    assert (gone.kept, gone.created_at, gone.runs[0].phase) == (False, None, "Superseded")
    assert gone.commit is not None
    assert gone.commit.message == "Change 1"
    assert [line.partition(" ")[0] for line in told.superseded] == [f"web-v{number}-1" for number in range(1, 8)]


async def test_a_timer_has_no_author_and_a_commit_that_git_lost_is_an_id(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    timer = "{type: suspend, name: approve, properties: {duration: 1s}}"
    first = clone.push({"web.yaml": canary_app("web", "1", gate=timer)})
    async with running(clone) as daemon:
        await daemon.synced("web", first)
        [run] = (await history(daemon)).revisions[0].runs
        assert [(item.verb, item.by, item.commit, item.author) for item in run.decisions] == [("continue", "timer", "", "")]
        daemon.engine._context.apps[AppKey("default", "web")].records[0].commit = "f" * 40
        [told] = (await history(daemon)).revisions
    assert told.commit is not None
    assert (told.commit.id, told.commit.author, told.commit.time) == ("f" * 40, "", None)
    assert [item.id for item in told.same_commits] == [first]


async def test_an_application_that_nobody_knows_has_none(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"README.md": "nothing of ours"})
    async with running(clone) as daemon:
        await daemon.until(lambda: daemon.engine.reader.ready()[0])
        assert await daemon.engine.reader.history(AppKey("default", "web")) is None
