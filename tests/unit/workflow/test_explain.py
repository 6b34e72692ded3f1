"""One sentence for every state."""

from datetime import timedelta

import pytest

from reconciler.model.condition import Condition
from reconciler.model.status import Fault, StopView, WriteBackView
from reconciler.workflow.explain import explain, find_reason, line_to_commit
from reconciler.workflow.wording import Place, word
from tests.unit.api.fakes import NOW, SINCE, application, condition, decision, gate, revision, run, step, waiting

LINE = 'gates.reconciler.dev/approve: "continue@0123456789ab"'
LATER = NOW + timedelta(minutes=10)
STOP = StopView("gates.reconciler.dev/run", "rollback@aaaaaaaaaaaa", "end@aaaaaaaaaaaa")
OUT = {"desired": revision(2), "sync": "OutOfSync"}


def worded(kind, reason, detail="", line="", since=SINCE):
    """The condition as the engine makes it."""
    told = word(kind, reason, detail, Place("default/web", "apps/web.yaml", line))
    return Condition(kind, "True", reason, told.message, since, told.help)


BACK = "reconciler rollback default/web --push"
SINCE_THEN = "(since 2026-03-01T09:30:00Z, for 2h30m)"
HELD = "it is held and not tried again by itself, only by `reconciler workflow restart default/web` or for a change pushed to apps/web.yaml"

# What is told of it, and what is to be copied.
STATES = {
    "synced": (application(), "default/web is at web-v1, as git declares it, and healthy.", ""),
    "synced for a while": (
        application(conditions=[condition("Ready", "Succeeded")]),
        f"default/web is at web-v1, as git declares it, and healthy {SINCE_THEN}.",
        "",
    ),
    "synced, not ready yet": (
        application(health="Progressing", trouble="Deployment default/web: 1 of 3 ready"),
        "and its objects are not ready yet: Deployment default/web: 1 of 3 ready; `reconciler cluster events -n default` may tell why.",
        "reconciler cluster events -n default",
    ),
    "synced, degraded": (
        application(health="Degraded", trouble="Deployment default/web: no image"),
        "but its objects are degraded: Deployment default/web: no image;",
        "reconciler cluster events -n default",
    ),
    "synced, objects missing": (
        application(health="Missing"),
        "objects of it are missing; the daemon puts them back.",
        "reconciler reconcile default/web",
    ),
    "synced, health unknown": (application(health="Unknown"), "as git declares it, and its health is unknown.", ""),
    "going on after a failure": (
        application(
            run=run(
                steps=[
                    step(name="g", phase="Failed", message="step bad: no"),
                    step(name="bad", group="g", phase="Failed", message="no"),
                    step(name="clean", phase="Running"),
                ],
                started_at=SINCE,
                stop=STOP,
            ),
            **OUT,
        ),
        "step clean is at work (since 2026-03-01T09:30:00Z, for 2h30m); step bad failed (no), and what is left is visited before the run ends.",
        'gates.reconciler.dev/run: "end@aaaaaaaaaaaa"',
    ),
    "progressing": (
        application(run=run(steps=[step(message="waiting for Deployment web: 1 of 3 updated", until=LATER)], started_at=SINCE, stop=STOP), **OUT),
        (
            "default/web is at web-v1, not web-v2, and moves to web-v2 in run web-v2-1: step apply is waiting for Deployment web: 1 of 3 updated, "
            "at the longest until 12:10:00 UTC (since 2026-03-01T09:30:00Z, for 2h30m, 10m left)."
        ),
        'gates.reconciler.dev/run: "end@aaaaaaaaaaaa"',
    ),
    "tried again": (
        application(run=run(steps=[step(phase="Pending", message="the cluster is away", retry_at=LATER)]), **OUT),
        "step apply failed and is tried again at 12:10:00 UTC: the cluster is away (10m left).",
        "",
    ),
    "in a queue": (
        application(run=run("Pending", [step(phase="Pending")], reason="Queued", message="waits in queue night to be admitted"), **OUT),
        "and moves to web-v2 in run web-v2-1: it waits in queue night to be admitted.",
        "",
    ),
    "at its gate that was opened, in a queue": (
        application(run=run("Waiting", [step(phase="Waiting")], reason="Queued", message="waits in queue night to be admitted"), **OUT),
        "and moves to web-v2 in run web-v2-1: it waits in queue night to be admitted.",
        "",
    ),
    "first run": (
        application(running=None, run=run(steps=[step(phase="Pending")]), **OUT),
        "default/web is at no revision yet, and moves to web-v2 in run web-v2-1: its first step has not begun.",
        "",
    ),
    "after superseded ones": (application(run=run(steps=[step()]), superseded=["web-v2", "web-v3"], **OUT), "after 2 superseded in a row", ""),
    "to be superseded": (
        application(run=run(steps=[step()]), desired=revision(3), sync="OutOfSync"),
        "; web-v3 is newer and takes its place as soon as what is under way has ended.",
        "",
    ),
    "not superseded any more": (
        application(run=run(steps=[step()]), desired=revision(5), sync="OutOfSync", superseded=["a", "b", "c"]),
        "; web-v5 is newer and waits until it is at a gate or its end, because 3 before it got no verdict.",
        "",
    ),
    "waiting": (
        waiting(),
        (
            f"default/web is at web-v1, not web-v2, because gate approve of web-v2 waits for a decision {SINCE_THEN}; "
            f"to let it go on, commit in apps/web.yaml the annotation {LINE}."
        ),
        LINE,
    ),
    "waiting for a timer": (
        waiting(gates=[gate(until=LATER)]),
        "waits for a decision (since 2026-03-01T09:30:00Z, for 2h30m, 10m left); it opens by itself at 2026-03-01T12:10:00Z; to let it",
        LINE,
    ),
    "waiting, with its purpose": (waiting(gates=[gate(message="Look at the graphs.")]), "waits for a decision (Look at the graphs) (since", LINE),
    "waiting, though someone decided": (
        waiting(conditions=[worded("DecisionIgnored", "StaleCode", "the code of approve is of an older run")]),
        "; a decision in git did not count (StaleCode: the code of approve is of an older run); to let it go on",
        LINE,
    ),
    "suspended at a gate": (
        waiting(suspended="holidays", conditions=[worded("Suspended", "Suspended", "holidays\nuntil Monday")]),
        f"because it is suspended (holidays\\nuntil Monday) in apps/web.yaml {SINCE_THEN}; to go on, `reconciler resume default/web --push`.",
        "reconciler resume default/web --push",
    ),
    "rolling back": (
        application(run=run("RollingBack", [step(phase="RollingBack")], decisions=[decision()]), **OUT),
        ", and goes back to web-v2 in run web-v2-1 by Ann <ann@example.com> at gate approve in commit cccccccccccc: step apply is at work.",
        "",
    ),
    "rejected": (
        application(run=run("RolledBack"), conditions=[worded("Rejected", "RolledBack", "web-v2 was rolled back by Ann at gate approve")], **OUT),
        f"because web-v2 was rolled back by Ann at gate approve and is rejected {SINCE_THEN}; push another change to go on, or set git back with",
        BACK,
    ),
    "rejected, the commit owed": (
        application(
            run=run("RolledBack", write_back=WriteBackView("Owed")), conditions=[worded("Rejected", "RolledBack", "web-v2 was rolled back")], **OUT
        ),
        "; the commit that sets git back is being made.",
        "",
    ),
    "rejected, the commit built": (
        application(
            run=run("RolledBack", write_back=WriteBackView("Built")), conditions=[worded("Rejected", "RolledBack", "web-v2 was rolled back")], **OUT
        ),
        "; the commit that sets git back is made and being pushed.",
        "",
    ),
    "git differs": (
        application(run=run("RolledBack"), conditions=[worded("GitDiffers", "BranchCheckedOut", ": /repo has it"), condition("Rejected")], **OUT),
        (
            f"because git still declares what was rolled back, and a work tree has the branch checked out: /repo has it {SINCE_THEN}; "
            f"make the commit with `{BACK}`."
        ),
        BACK,
    ),
    "git differs, and no commit takes it back": (
        application(conditions=[worded("GitDiffers", "NotExact", ": it is shared")], **OUT),
        (
            f"because git still declares what was rolled back: it is shared {SINCE_THEN}; no command makes that commit and the daemon does not try it "
            "again while git declares the same: push something newer to apps/web.yaml."
        ),
        "",
    ),
    "failed": (
        application(run=run("Failed", [step(phase="Failed", message="Deployment web: no image.")], reason="HealthTimeout", finished_at=SINCE), **OUT),
        (
            f"because run web-v2-1 failed at step apply: Deployment web: no image {SINCE_THEN}; {HELD}, or go back with `{BACK}`; "
            "`reconciler cluster events` may tell why."
        ),
        BACK,
    ),
    "failed, nowhere to go back": (
        application(running=None, run=run("Failed", reason="NoRollbackTarget"), **OUT),
        f"because run web-v2-1 failed: NoRollbackTarget; {HELD}.",
        "",
    ),
    "a restore that failed": (
        application(run=run("Failed", kind="restore", revision="web-v1", message="apply refused"), **OUT),
        f"because going back to web-v1 failed in run web-v2-1: apply refused; {HELD}.",
        "",
    ),
    "terminated": (
        application(run=run("Terminated", decisions=[decision("end")]), **OUT),
        f"because run web-v2-1 was ended by Ann <ann@example.com> at gate approve in commit cccccccccccc; {HELD}, or go back",
        BACK,
    ),
    "called off by its own context": (
        application(run=run("Terminated", decisions=[decision("end", by="engine", author="", commit="", message="the window is over")]), **OUT),
        f"because run web-v2-1 was ended by its own context (the window is over); {HELD}, or go back",
        BACK,
    ),
    "waiting for another application": (
        application(conditions=[worded("DependencyNotReady", "NotReady", "default/db is Degraded", "default/db")], **OUT),
        (
            "because it waits for applications that it depends on: default/db is Degraded (since 2026-03-01T09:30:00Z, for 2h30m); it goes on by "
            "itself as soon as they are ready; `reconciler why default/db` says more."
        ),
        "reconciler why default/db",
    ),
    "superseded": (application(run=run("Superseded"), **OUT), "because run web-v2-1 was superseded by a newer revision, whose turn is next.", ""),
    "being deleted": (
        application(sync="Unknown", conditions=[worded("Reconciling", "Deleting")]),
        "because git does not declare it any more, and its objects are being deleted",
        "",
    ),
    "removal in doubt": (
        application(sync="Unknown", conditions=[worded("RemovalInDoubt", "InDoubt", "its last file has a syntax error", "abc")]),
        (
            f"because it is not declared in git any more, but its last file has a syntax error: it is kept {SINCE_THEN}; "
            "if it is meant, add abc to `approved` in .reconciler/prune.yaml; if not, put the manifest back at apps/web.yaml."
        ),
        'approved: ["abc"]',
    ),
    "removal over the budget": (
        application(sync="Unknown", conditions=[worded("RemovalInDoubt", "Budget", "9 applications left git at once", "abc")]),
        "but 9 applications left git at once: it is kept",
        'approved: ["abc"]',
    ),
    "state lost": (
        waiting(gates=[gate("state-lost")], conditions=[worded("StateLost", "HistoryGone", "; in git stand rollback@abc", "state-lost: continue@f")]),
        "nothing that differs is touched; in git stand rollback@abc; to let it go on, commit in apps/web.yaml",
        "state-lost: continue@f",
    ),
    "manifest broken": (
        application(sync="Unknown", conditions=[worded("ManifestInvalid", "Invalid", "apps/web.yaml:4: unknown field spec.componets")]),
        (
            f"because its manifest has errors: apps/web.yaml:4: unknown field spec.componets {SINCE_THEN}; mend apps/web.yaml and push; "
            "`reconciler lint .` in your clone shows every mistake."
        ),
        "reconciler lint .",
    ),
    "manifest broken at a gate": (
        waiting(conditions=[worded("ManifestInvalid", "RenderFailed")]),
        "because its manifest cannot be rendered",
        "reconciler lint .",
    ),
    "stalled": (
        application(conditions=[worded("Stalled", "Internal", "etcd is away")], retry_at=LATER, **OUT),
        "because the daemon cannot go on with it: etcd is away (since 2026-03-01T09:30:00Z, for 2h30m, next try in 10m); it is tried again by itself",
        "reconciler reconcile default/web",
    ),
    "namespace missing": (
        application(run=run(steps=[step()]), conditions=[worded("NamespaceMissing", "NamespaceMissing", "namespace shop is missing")], **OUT),
        "because namespace shop is missing (since 2026-03-01T09:30:00Z, for 2h30m); create it, or let the daemon do so",
        'reconciler.dev/create-namespace: "true"',
    ),
    "prune blocked": (
        application(conditions=[worded("PruneBlocked", "ApprovalNeeded", "12 objects would go", "abc")]),
        f"web-v1, but objects that it no longer declares are kept: 12 objects would go {SINCE_THEN}; if it is meant, add abc to `approved` in",
        'approved: ["abc"]',
    ),
    "prune failed": (
        application(conditions=[worded("PruneFailed", "PruneFailed", "ConfigMap a: refused")]),
        "could not be deleted: ConfigMap a: refused",
        "reconciler reconcile default/web",
    ),
    "drift fought": (
        application(conditions=[worded("DriftFought", "Fought", "Deployment web")]),
        f"default/web is at web-v1, but something keeps changing Deployment web {SINCE_THEN}; it is healed ever more slowly; find that writer, or",
        'reconciler suspend default/web --reason "somebody changes it" --push',
    ),
    "decision ignored": (
        application(conditions=[worded("DecisionIgnored", "UnknownGate", "aprove names no gate")]),
        "and healthy; a decision in git did not count (UnknownGate: aprove names no gate; mend it, or take it out of apps/web.yaml).",
        "",
    ),
    "out of sync without a run": (application(**OUT), "because the run of web-v2 has not begun yet.", "reconciler reconcile default/web"),
    "out of sync for a told reason": (
        application(conditions=[condition("Ready", "Frozen", "a freeze is on", "False")], **OUT),
        "because a freeze is on.",
        "reconciler reconcile default/web",
    ),
    "not looked at yet": (application(sync="Unknown"), "and it is not known what git declares: no look at it has succeeded since the daemon", ""),
    "removed": (application(desired=None, sync="OutOfSync"), "default/web is at web-v1 and git no longer declares it: its objects are removed.", ""),
}


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_its_one_sentence_with_what_helps(name):
    status, expected, helping = STATES[name]
    sentence, told, _ = explain(status, NOW)
    assert expected in sentence
    assert told == helping
    assert sentence.startswith("default/web is at ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_rule_4a_the_whole_line_is_told_where_a_gate_waits_and_only_there():
    assert line_to_commit(waiting()) == LINE
    assert line_to_commit(application()) == ""


def test_rule_13e_what_a_manifest_says_cannot_break_the_sentence_into_lines():
    sentence = explain(waiting(gates=[gate(message="ok\n\rSigned-off-by: root\u202e")]), NOW).sentence
    assert "\n" not in sentence
    assert "\r" not in sentence
    assert "\u202e" not in sentence
    assert "(ok\\n\\rSigned-off-by: root\\u202e)" in sentence


@pytest.mark.parametrize("phase", ["Pending", "Running", "Waiting", "RollingBack", "Succeeded", "Failed", "RolledBack", "Terminated", "Superseded"])
@pytest.mark.parametrize("sync", ["Synced", "OutOfSync", "Unknown"])
@pytest.mark.parametrize("health", ["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"])
def test_no_combination_is_left_without_a_reason(phase, sync, health):
    sentence = explain(application(sync=sync, health=health, run=run(phase), desired=revision(2)), NOW).sentence
    assert len(sentence) > len("default/web is at web-v1, not web-v2.")


def test_git_that_cannot_be_read_is_told_beside_where_it_stands():
    told = explain(application(), NOW, Fault("no such\nref.", SINCE))
    assert told.sentence == (
        "default/web is at web-v1, as git declares it, and healthy; but git cannot be read since 2026-03-01T09:30:00Z (2h30m): no such\\nref; "
        "what it declares now is not known, and nothing is removed meanwhile."
    )


@pytest.mark.parametrize("name", STATES)
def test_rule_3d_what_is_stored_of_a_reason_does_not_change_with_the_time(name):
    reason = find_reason(STATES[name][0])
    assert "10m" not in reason.text
    assert "2h30m" not in reason.text
