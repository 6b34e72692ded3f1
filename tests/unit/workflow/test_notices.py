"""What a callback is owed by two looks at a run: what became different, in the order in which one follows from the other."""

from datetime import UTC, datetime

import msgspec
import pytest

from reconciler.model.run import Phase, Run, Shared, StepState
from reconciler.workflow.notices import add_notices

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
BEGUN = {"started_at": NOW, "phase": Phase.RUNNING}


def run(*phases, **more):
    steps = [StepState(name, "apply", name, phase=phase) for name, phase in zip("abc", phases, strict=False)]
    return Run("web-v1-1", "shop/web", "web-v1", "digest", owner="uid", steps=steps, **more)


def told(before, after):
    add_notices(before, after, NOW)
    return [f"{notice.step or 'run'} {notice.phase}" for notice in after.notices]


def test_a_run_that_waits_in_its_queue_owes_nothing_until_it_begins():
    assert told(run(Phase.PENDING), run(Phase.PENDING, reason="Queued")) == []
    assert told(run(Phase.PENDING), run(Phase.RUNNING, **BEGUN)) == ["run Running"]


def test_a_gate_that_opens_is_no_change_of_the_run():
    before = run(Phase.WAITING, started_at=NOW, phase=Phase.WAITING)
    assert told(before, run(Phase.SUCCEEDED, Phase.RUNNING, **BEGUN)) == ["a Succeeded"]


def test_one_look_that_begins_and_ends_a_run_tells_all_in_order():
    after = run(Phase.SUCCEEDED, started_at=NOW, phase=Phase.SUCCEEDED)
    assert told(run(Phase.PENDING), after) == ["run Running", "a Succeeded", "run Succeeded"]


def test_why_it_is_undone_comes_before_how_far_it_is():
    before = run(Phase.SUCCEEDED, Phase.RUNNING, **BEGUN)
    after = run(Phase.ROLLING_BACK, Phase.FAILED, started_at=NOW, phase=Phase.ROLLING_BACK)
    assert told(before, after) == ["b Failed", "run RollingBack", "a RollingBack"]
    last = run(Phase.ROLLED_BACK, Phase.FAILED, started_at=NOW, phase=Phase.ROLLED_BACK)
    assert told(msgspec.structs.replace(after, notices=[]), last) == ["a RolledBack", "run RolledBack"]


def test_what_is_undone_comes_before_what_is_undone_next():
    before = run(Phase.SUCCEEDED, Phase.SUCCEEDED, started_at=NOW, phase=Phase.ROLLING_BACK)
    after = run(Phase.ROLLING_BACK, Phase.ROLLED_BACK, started_at=NOW, phase=Phase.ROLLING_BACK)
    assert told(before, after) == ["b RolledBack", "a RollingBack"]


@pytest.mark.parametrize(("reason", "word"), [("Removed", "RolledBack"), ("Ended", "Terminated")])
def test_what_was_removed_is_told_as_undone(reason, word):
    after = run(Phase.ROLLED_BACK, started_at=NOW, phase=Phase.TERMINATED, reason=reason)
    assert told(run(Phase.ROLLED_BACK, started_at=NOW, phase=Phase.ROLLING_BACK), after) == [f"run {word}"]


def test_a_step_that_is_done_again_is_told_again_and_one_that_stays_is_not():
    before = run(Phase.SUCCEEDED, Phase.SUCCEEDED, **BEGUN)
    after = run(Phase.SUCCEEDED, Phase.SUCCEEDED, **BEGUN)
    after.steps[1].round = 1
    assert told(before, after) == ["b Succeeded"]


def test_rule_9b_a_notice_knows_what_was_shared_by_then():
    before, after = run(Phase.PENDING), run(Phase.SUCCEEDED, **BEGUN, shared=[Shared("a", {"x": 1})])
    add_notices(before, after, NOW)
    assert [(str(notice.phase), notice.known) for notice in after.notices] == [("Running", 0), ("Succeeded", 1)]
