"""What came of a request to look again, in one sentence."""

import pytest

from reconciler.model.identity import AppKey
from reconciler.workflow.attention import Seen, report
from tests.unit.api.fakes import NOW, application, condition, revision, run, waiting

KEY = AppKey("default", "web")
STOOD = application()
HEAD = Seen("c" * 40)

CASES = {
    "nothing new": (STOOD, HEAD, "Unchanged", "looked at commit cccccccccccc: nothing is new and no object differs; default/web is at web-v1"),
    "a new commit": (waiting(), HEAD, "Changed", "a new commit was found and run web-v2-1 of web-v2 has begun; default/web is at web-v1, not web-v2, because gate"),
    "a new commit without a run": (
        application(desired=revision(2), sync="OutOfSync", suspended="no"), HEAD, "Changed", "a new commit was found, 000000000000; default/web",
    ),
    "drift": (STOOD, HEAD._replace(healed=("ConfigMap default/a", "Secret default/b")), "Healed", "drift was healed on 2 objects (ConfigMap default/a, Secret default/b); "),
    "drift of one": (STOOD, HEAD._replace(healed=("ConfigMap default/a",)), "Healed", "drift was healed on 1 object (ConfigMap default/a); "),
    "drift that waits": (STOOD, HEAD._replace(drifted=NOW), "BackOff", "objects differ and are not healed before 12:00:00 UTC; "),
    "a turn that failed": (application(conditions=[condition("Stalled", "Internal", message="no space")]), HEAD, "BackOff", "its turn failed again; default/web is at web-v1"),
    "a run that failed": (application(run=run("Failed", message="no image"), desired=revision(2), sync="OutOfSync"), HEAD, "Failed", "has begun, and its run failed; "),
    "git unreadable": (STOOD, Seen("c" * 40, fault="no such\nref."), "Failed", "git cannot be read (no such\\nref); default/web is at web-v1"),
    "not in time": (STOOD, Seen(fault="git has not answered within 2 s", timed_out=True), "TimedOut", "git has not answered within 2 s; default/web"),
    "gone": (None, HEAD, "Changed", "it has left git; default/web is removed."),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_outcome_has_its_result_and_its_sentence_with_where_it_stands_now(name):
    after, seen, result, words = CASES[name]
    told = report(KEY, STOOD, after, seen, NOW)
    assert told.result == result
    assert words in told.message
    assert "\n" not in told.message
    assert told.message.endswith(".")


def test_a_run_that_had_failed_before_is_no_new_failure():
    failed = application(run=run("Failed"), desired=revision(2), sync="OutOfSync")
    assert report(KEY, failed, failed, HEAD, NOW).result == "Unchanged"
