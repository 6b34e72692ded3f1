"""One sentence for every state."""

import pytest

from reconciler.workflow.explain import explain, line_to_commit
from tests.unit.api.fakes import NOW, application, condition, decision, gate, revision, run, step, waiting

LINE = 'gates.reconciler.dev/approve: "continue@0123456789ab"'
OUT = {"desired": revision(2), "sync": "OutOfSync"}

STATES = {
    "synced": (application(), "default/web is at web-v1, as git declares it, and healthy."),
    "synced, not ready yet": (
        application(health="Progressing", conditions=[condition("Ready", "Progressing", "1 of 3 ready", "False")]),
        "default/web is at web-v1, as git declares it, and its objects are not ready yet: 1 of 3 ready.",
    ),
    "synced, degraded": (application(health="Degraded"), "its objects are degraded."),
    "synced, objects missing": (application(health="Missing"), "objects of it are missing; the daemon puts them back."),
    "progressing": (
        application(run=run(steps=[step(message="waiting for Deployment web: 1 of 3 updated")]), **OUT),
        "default/web is at web-v1, not web-v2, and moves to web-v2 in run web-v2-1: step apply is waiting for Deployment web: 1 of 3 updated.",
    ),
    "first run": (
        application(running=None, run=run(steps=[step(phase="Pending")]), **OUT),
        "default/web is at no revision yet, and moves to web-v2 in run web-v2-1: its first step has not begun.",
    ),
    "after superseded ones": (application(run=run(steps=[step()]), superseded=["web-v2", "web-v3"], **OUT), "after 2 superseded in a row"),
    "waiting": (
        waiting(),
        (
            "default/web is at web-v1, not web-v2, because gate approve of web-v2 waits for a decision since 2026-03-01T09:30:00Z (2h30m); "
            f"to let it go on, commit in apps/web.yaml the annotation {LINE}."
        ),
    ),
    "waiting, with its purpose": (waiting(gates=[gate(message="Look at the graphs.")]), "waits for a decision (Look at the graphs) since"),
    "waiting, though someone decided": (
        waiting(conditions=[condition("DecisionIgnored", "StaleCode", "the code of approve is of an older run")]),
        "; a decision in git did not count (StaleCode: the code of approve is of an older run); to let it go on",
    ),
    "suspended at a gate": (
        waiting(suspended="holidays\nuntil Monday"),
        "because it is suspended (holidays\\nuntil Monday); remove the annotation reconciler.dev/suspend from apps/web.yaml to go on.",
    ),
    "suspended by condition": (application(conditions=[condition("Suspended")], **OUT), "because it is suspended (no reason given)"),
    "rolling back": (
        application(run=run("RollingBack", [step(phase="RollingBack")]), **OUT),
        ", and goes back to web-v2 in run web-v2-1: step apply is at work.",
    ),
    "rejected": (
        application(run=run("RolledBack", decisions=[decision()]), conditions=[condition("Rejected")], **OUT),
        "because web-v2 was rolled back by Ann <ann@example.com> at gate approve in commit cccccccccccc and is rejected; push another change to go on.",
    ),
    "rejected, and git says so": (
        application(conditions=[condition("Rejected", message="its digest is 0002")]),
        "because web-v1 was rolled back and is rejected; push another change to go on.",
    ),
    "git differs": (
        application(run=run("RolledBack"), conditions=[condition("GitDiffers", "BranchCheckedOut", "--- a\n+++ b"), condition("Rejected")], **OUT),
        (
            "because it was rolled back and git could not be set right: a work tree has the branch checked out; "
            "make the commit with `reconciler rollback default/web --push`."
        ),
    ),
    "git differs, and no commit takes it back": (
        application(conditions=[condition("GitDiffers", "NotExact", "git still declares what was rolled back: it is shared\n--- a\n+++ b")], **OUT),
        "default/web is at web-v1, not web-v2, because git still declares what was rolled back: it is shared; push something newer to go on.",
    ),
    "failed": (
        application(run=run("Failed", [step(phase="Failed", message="Deployment web: image is missing.")]), **OUT),
        (
            "because run web-v2-1 failed at step apply: Deployment web: image is missing; it is not tried again by itself: "
            "push a change that mends it, or go back with `reconciler rollback default/web --push`."
        ),
    ),
    "failed, nowhere to go back": (
        application(running=None, run=run("Failed", reason="NoRollbackTarget"), conditions=[condition("Stalled", "NoRollbackTarget")], **OUT),
        "because run web-v2-1 failed: NoRollbackTarget; it is not tried again by itself: push a change that mends it.",
    ),
    "a restore that failed": (
        application(run=run("Failed", kind="restore", revision="web-v1", message="apply refused"), **OUT),
        "because going back to web-v1 failed in run web-v2-1: apply refused; push a change that mends it.",
    ),
    "terminated": (
        application(run=run("Terminated", decisions=[decision("end")]), **OUT),
        "because run web-v2-1 was ended by Ann <ann@example.com> at gate approve in commit cccccccccccc; web-v2 is held until a change is pushed.",
    ),
    "superseded": (application(run=run("Superseded"), **OUT), "because run web-v2-1 was superseded by a newer revision, whose turn is next."),
    "removal in doubt": (
        application(
            desired=None, sync="Unknown", conditions=[condition("RemovalInDoubt", message="its last file has a syntax error; add abc to approved")]
        ),
        "default/web is at web-v1 and is kept, because of a doubt: its last file has a syntax error; add abc to approved.",
    ),
    "removal in doubt, untold": (
        application(desired=None, sync="Unknown", conditions=[condition("RemovalInDoubt")]),
        "put the manifest back, or approve the removal in .reconciler/prune.yaml.",
    ),
    "state lost": (
        waiting(gates=[gate("state-lost", "ffffffffffff")], conditions=[condition("StateLost", message="rollback@abc stands in git")]),
        (
            "because the state of the daemon was lost or is older than the cluster: rollback@abc stands in git; to let it go on, commit in apps/web.yaml "
            'the annotation gates.reconciler.dev/state-lost: "continue@ffffffffffff".'
        ),
    ),
    "manifest broken": (
        application(sync="Unknown", conditions=[condition("ManifestInvalid", message="apps/web.yaml:4: unknown field spec.componets")]),
        "because its manifest cannot be read: apps/web.yaml:4: unknown field spec.componets; mend apps/web.yaml and push.",
    ),
    "manifest broken at a gate": (waiting(conditions=[condition("ManifestInvalid")]), "because its manifest cannot be read"),
    "stalled": (application(conditions=[condition("Stalled", "Panic", "division by zero")], **OUT), "tries again ever more rarely: division by zero"),
    "namespace missing": (
        application(run=run(steps=[step()]), conditions=[condition("NamespaceMissing")], **OUT),
        "because a namespace is missing; create it, or let the daemon do it with --create-namespaces all.",
    ),
    "prune blocked": (
        application(conditions=[condition("PruneBlocked", message="12 objects")]),
        "kept: 12 objects.",
    ),
    "prune failed": (
        application(conditions=[condition("PruneFailed", message="ConfigMap a")]),
        "could not be removed: ConfigMap a; the daemon tries again.",
    ),
    "drift fought": (
        application(conditions=[condition("DriftFought", message="something keeps changing Deployment web")]),
        "default/web is at web-v1, but something keeps changing Deployment web; find that writer, or suspend the application.",
    ),
    "decision ignored": (
        application(conditions=[condition("DecisionIgnored", "UnknownGate", "no gate is called aprove; did you mean approve?")]),
        "and healthy; a decision in git did not count (UnknownGate: no gate is called aprove; did you mean approve?).",
    ),
    "out of sync without a run": (application(**OUT), "because the run of web-v2 has not begun yet."),
    "out of sync for a told reason": (
        application(conditions=[condition("Ready", "Frozen", "a freeze is on", "False")], **OUT),
        "because a freeze is on.",
    ),
    "removed": (application(desired=None, sync="OutOfSync"), "default/web is at web-v1 and git no longer declares it: its objects are removed."),
}


@pytest.mark.parametrize("name", STATES)
def test_every_state_has_its_one_sentence_with_what_helps(name):
    status, expected = STATES[name]
    sentence = explain(status, NOW)
    assert expected in sentence
    assert sentence.startswith("default/web is at ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_rule_4a_the_whole_line_is_told_where_a_gate_waits_and_only_there():
    assert line_to_commit(waiting()) == LINE
    assert line_to_commit(application()) == ""


def test_rule_13e_what_a_manifest_says_cannot_break_the_sentence_into_lines():
    sentence = explain(waiting(gates=[gate(message="ok\n\rSigned-off-by: root\u202e")]), NOW)
    assert "\n" not in sentence
    assert "\r" not in sentence
    assert "\u202e" not in sentence
    assert "(ok\\n\\rSigned-off-by: root\\u202e)" in sentence


@pytest.mark.parametrize("phase", ["Pending", "Running", "Waiting", "RollingBack", "Succeeded", "Failed", "RolledBack", "Terminated", "Superseded"])
@pytest.mark.parametrize("sync", ["Synced", "OutOfSync", "Unknown"])
@pytest.mark.parametrize("health", ["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"])
def test_no_combination_is_left_without_a_reason(phase, sync, health):
    sentence = explain(application(sync=sync, health=health, run=run(phase), desired=revision(2)), NOW)
    assert len(sentence) > len("default/web is at web-v1, not web-v2.")
