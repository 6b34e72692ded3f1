"""Why an application is where it is: one sentence, and the one thing that helps. Pure: the answer follows from the status alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from reconciler.model.condition import Condition
from reconciler.model.duration import format_duration
from reconciler.model.names import PRUNE_FILE, STATE_LOST_GATE, SUSPEND
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus, DecisionView, GateView, RevisionView, RunView, StepView
from reconciler.model.text import one_line

# Why the commit that a rollback owes was not made (rule 7c).
_NOT_WRITTEN: Final[Mapping[str, str]] = {
    "WriteBackOff": "write-back is off",
    "BranchCheckedOut": "a work tree has the branch checked out",
    "OtherWriter": "another writer is declared for the branch",
    "PushRefused": "the push was refused",
}


def explain(status: ApplicationStatus, now: datetime) -> str:
    """One sentence for every state, on one line: where the application stands, why, and what to commit or to run."""
    reason = next(reason for case in _CASES if (reason := case(status, now)) is not None)
    return f"{_standing(status)}{reason}."


def line_to_commit(status: ApplicationStatus) -> str:
    """The annotation that lets the first waiting gate go on, as a line of YAML; empty where no gate waits."""
    return f'{status.gate.key}: "{status.gate.continue_}"' if status.gate is not None else ""


def _lost(status: ApplicationStatus, _: datetime) -> str | None:
    lost = _condition(status, "StateLost")
    if lost is None:
        return None
    gate = next((gate for gate in status.gates if gate.step == STATE_LOST_GATE), status.gate)
    return f", because the state of the daemon was lost or is older than the cluster{_detail(lost)}{_ask(status, gate)}"


def _invalid(status: ApplicationStatus, _: datetime) -> str | None:
    invalid = _condition(status, "ManifestInvalid")
    return None if invalid is None else f", because its manifest cannot be read{_detail(invalid)}; mend {_place(status)} and push"


def _doubted(status: ApplicationStatus, _: datetime) -> str | None:
    doubt = _condition(status, "RemovalInDoubt")
    if doubt is None:
        return None
    told = _told(doubt, f"it is not sure that git removed it; put the manifest back, or approve the removal in {PRUNE_FILE}")
    return f" and is kept, because of a doubt: {told}"


def _suspended(status: ApplicationStatus, _: datetime) -> str | None:
    held = _condition(status, "Suspended")
    if not status.suspended and held is None:
        return None
    words = _text(status.suspended) or _text(held.message if held else "")
    return f", because it is suspended ({words or 'no reason given'}); remove the annotation {SUSPEND} from {_place(status)} to go on"


def _stalled(status: ApplicationStatus, _: datetime) -> str | None:
    stalled = _condition(status, "Stalled")
    if stalled is None or stalled.reason in _RUN_ENDINGS:
        return None
    return f", because the daemon cannot go on with it and tries again ever more rarely{_detail(stalled)}; its log says more"


def _waiting(status: ApplicationStatus, now: datetime) -> str | None:
    gate = status.gate
    if gate is None:
        return None
    purpose = f" ({_text(gate.message)})" if gate.message else ""
    waited = f"since {_time(gate.since)} ({format_duration(now - gate.since)})"
    return f", because gate {_text(gate.step)} of {_text(gate.revision)} waits for a decision{purpose} {waited}{_ignored(status)}{_ask(status, gate)}"


def _homeless(status: ApplicationStatus, _: datetime) -> str | None:
    missing = _condition(status, "NamespaceMissing")
    if missing is None:
        return None
    return f", because {_told(missing, 'a namespace is missing; create it, or let the daemon do it with --create-namespaces all')}"


def _moving(status: ApplicationStatus, _: datetime) -> str | None:
    run = status.run
    if run is None or run.phase not in (Phase.PENDING, Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK):
        return None
    if run.phase == Phase.ROLLING_BACK or run.kind == "restore":
        return f", and goes back to {_text(run.revision)} in run {_text(run.id)}{_step(run)}{_ignored(status)}"
    passed = f", after {len(status.superseded)} superseded in a row" if status.superseded else ""
    return f", and moves to {_text(run.revision)} in run {_text(run.id)}{passed}{_step(run)}{_ignored(status)}"


def _differing(status: ApplicationStatus, _: datetime) -> str | None:
    differs = _condition(status, "GitDiffers")
    if differs is None:
        return None
    if differs.reason == "NotExact":  # no command makes that commit either
        first = _text(differs.message.partition("\n")[0])
        return f", because {first or 'it was rolled back, and no edit of this manifest alone says so in git'}; push something newer to go on"
    why = _NOT_WRITTEN.get(differs.reason, _text(differs.reason))
    return f", because it was rolled back and git could not be set right: {why}; make the commit with `reconciler rollback {status.key} --push`"


def _ended(status: ApplicationStatus, _: datetime) -> str | None:
    """The desired revision had its verdict, and it was not success (rules 6c, 7b)."""
    run, rejected = status.run, _condition(status, "Rejected")
    if status.sync == "Synced" and rejected is None:
        return None
    if run is not None and run.kind == "restore" and run.phase == Phase.FAILED:
        return f", because going back to {_text(run.revision)} failed in run {_text(run.id)}{_failure(run)}; push a change that mends it"
    if run is not None and run.phase == Phase.FAILED:
        back = "" if status.running is None else f", or go back with `reconciler rollback {status.key} --push`"
        return f", because run {_text(run.id)} failed{_failure(run)}; it is not tried again by itself: push a change that mends it{back}"
    if run is not None and run.phase == Phase.TERMINATED:
        return f", because run {_text(run.id)} was ended{_decided(run)}; {_text(run.revision)} is held until a change is pushed"
    if rejected is not None or (run is not None and run.phase == Phase.ROLLED_BACK):
        name = _name(status.desired)
        return f", because {name} was rolled back{_decided(run)} and is rejected; push another change to go on"
    if run is not None and run.phase == Phase.SUPERSEDED:
        return f", because run {_text(run.id)} was superseded by a newer revision, whose turn is next"
    return None


def _unpruned(status: ApplicationStatus, _: datetime) -> str | None:
    blocked = _condition(status, "PruneBlocked")
    if blocked is not None:
        return f", but objects that it no longer declares are kept: {_told(blocked, f'approve their removal in {PRUNE_FILE}')}"
    failed = _condition(status, "PruneFailed")
    return None if failed is None else f", but objects that it no longer declares could not be removed{_detail(failed)}; the daemon tries again"


def _fought(status: ApplicationStatus, _: datetime) -> str | None:
    fought = _condition(status, "DriftFought")
    if fought is None:
        return None
    return f", but {_told(fought, 'something keeps changing its objects')}; find that writer, or suspend the application"


def _gone(status: ApplicationStatus, _: datetime) -> str | None:
    return " and git no longer declares it: its objects are removed" if status.desired is None else None


def _synced(status: ApplicationStatus, _: datetime) -> str | None:
    if status.sync != "Synced":
        return None
    ready = next((condition for condition in status.conditions if condition.type == "Ready" and condition.status == "False"), None)
    detail = _detail(ready)
    words = {
        "Healthy": "as git declares it, and healthy",
        "Progressing": f"as git declares it, and its objects are not ready yet{detail}",
        "Degraded": f"as git declares it, but its objects are degraded{detail}",
        "Missing": f"as git declares it, but objects of it are missing{detail}; the daemon puts them back",
    }
    return f", {words.get(status.health, f'as git declares it; its health is {status.health.lower()}')}{_ignored(status)}"


def _pending(status: ApplicationStatus, _: datetime) -> str:
    ready = next((condition for condition in status.conditions if condition.type == "Ready" and condition.status != "True"), None)
    if ready is not None and ready.message:
        return f", because {_text(ready.message)}{_ignored(status)}"
    return f", because the run of {_name(status.desired)} has not begun yet{_ignored(status)}"


# The first that applies is told: what keeps everything else from happening comes first. The last one always applies.
_CASES: Final[tuple[Callable[[ApplicationStatus, datetime], str | None], ...]] = (
    _lost,
    _invalid,
    _doubted,
    _suspended,
    _stalled,
    _waiting,
    _homeless,
    _moving,
    _differing,
    _ended,
    _gone,
    _unpruned,
    _fought,
    _synced,
    _pending,
)
# Stalled may only repeat how the run ended: then the run says more.
_RUN_ENDINGS: Final = frozenset({"Failed", "RolledBack", "Terminated", "NoRollbackTarget", "RunFailed", "Rejected"})


def _standing(status: ApplicationStatus) -> str:
    running, desired = status.running, status.desired
    if running is None:
        return f"{status.key} is at no revision yet"
    if desired is None or desired.digest == running.digest:
        return f"{status.key} is at {_name(running)}"
    return f"{status.key} is at {_name(running)}, not {_name(desired)}"


def _ask(status: ApplicationStatus, gate: GateView | None) -> str:
    if gate is None:
        return ""
    return f'; to let it go on, commit in {_place(status)} the annotation {gate.key}: "{gate.continue_}"'


def _ignored(status: ApplicationStatus) -> str:
    """A decision that stands in git and did not count is never silent (rule 4f)."""
    ignored = _condition(status, "DecisionIgnored")
    return "" if ignored is None else f"; a decision in git did not count ({_text(ignored.reason)}{_detail(ignored)})"


def _step(run: RunView) -> str:
    active = (Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK)
    step = next((step for step in run.steps if step.phase in active or (step.phase == Phase.PENDING and step.message)), None)
    if step is None:
        return ": its first step has not begun" if all(step.phase == Phase.PENDING for step in run.steps) else ""
    doing = _text(step.message) or "at work"
    return f": step {_text(step.name)} is {doing}" if not step.message or doing.startswith("waiting ") else f": step {_text(step.name)}: {doing}"


def _failure(run: RunView) -> str:
    step: StepView | None = next((step for step in run.steps if step.phase == Phase.FAILED), None)
    if step is not None:
        return f" at step {_text(step.name)}: {_text(step.message or run.message or run.reason)}"
    return f": {_text(run.message or run.reason)}" if run.message or run.reason else ""


def _decided(run: RunView | None) -> str:
    decision: DecisionView | None = run.decisions[-1] if run is not None and run.decisions else None
    if decision is None or decision.verb == "continue":
        return ""
    author = f" by {_text(decision.author)}" if decision.author else ""
    commit = f" in commit {_text(decision.commit[:12])}" if decision.commit else ""
    return f"{author} at gate {_text(decision.step)}{commit}"


def _condition(status: ApplicationStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind and condition.status == "True"), None)


def _detail(condition: Condition | None) -> str:
    return f": {_text(condition.message)}" if condition is not None and condition.message else ""


def _told(condition: Condition | None, otherwise: str) -> str:
    """The condition's own sentence, which says what helps, or another where it has none."""
    return _text(condition.message) if condition is not None and condition.message else otherwise


def _name(revision: RevisionView | None) -> str:
    if revision is None:
        return "nothing"
    return _text(revision.revision) if revision.revision else f"commit {revision.commit[:12]}"


def _place(status: ApplicationStatus) -> str:
    return _text(status.path) if status.path else "its manifest"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(text: str) -> str:
    """Untrusted text inside the sentence: one line, without the full stop that it may end in."""
    return one_line(text.strip(), 600).rstrip(".")
