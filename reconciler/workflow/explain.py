"""Why an application is where it is: one sentence, and the one thing that helps. Pure: the answer follows from the status alone.

Conditions hold their sentences already (`wording.py`); here it is chosen which of them is told, and what no condition says is worded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from reconciler.model.condition import Condition, broken
from reconciler.model.duration import format_duration
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus, Fault, GateView, RevisionView, RunView
from reconciler.workflow.waiting import describe_failure, describe_step, ends_at, first_failed
from reconciler.workflow.wording import Place, decided, plain, word_end

_PATIENCE: Final = 3  # rule 6b


class Reason(NamedTuple):
    """`text` follows where the application stands; it holds no running time, so that it may be stored. `help`: what to copy."""

    text: str
    help: str = ""
    since: datetime | None = None
    until: datetime | None = None


class Explanation(NamedTuple):
    """`sentence`: one line. `help`: the command to run or the line to commit, empty where none helps. `since`: as far as it is known."""

    sentence: str
    help: str
    since: datetime | None


def explain(status: ApplicationStatus, now: datetime, fault: Fault | None = None) -> Explanation:
    """For every state: where the application stands, why, since when, and what helps. `fault`: why git can't be read just now."""
    reason = find_reason(status)
    times = [f"since {_time(reason.since)}, for {format_duration(now - reason.since)}"] if reason.since else []
    times += [f"{format_duration(reason.until - now)} left"] if reason.until and reason.until > now else []
    if status.retry_at is not None and broken(status.conditions):
        times += [f"next try in {format_duration(status.retry_at - now)}"]
    why, colon, advice = reason.text.partition("; ")
    stands = f"{_standing(status)}{why}{_parentheses(times)}{colon}{advice}"
    if fault is None:
        return Explanation(f"{stands}.", reason.help, reason.since)
    unread = f"git cannot be read since {_time(fault.since)} ({format_duration(now - fault.since)}): {plain(fault.message)}"
    return Explanation(f"{stands}; but {unread}; what it declares now is not known, and nothing is removed meanwhile.", reason.help, reason.since)


def describe(status: ApplicationStatus) -> str:
    """The same sentence without the times: it is another one only when something has changed."""
    return f"{_standing(status)}{find_reason(status).text}."


def _parentheses(times: list[str]) -> str:
    return f" ({', '.join(times)})" if times else ""


def find_reason(status: ApplicationStatus) -> Reason:
    """What keeps everything else from happening comes first."""
    return next(reason for case in _CASES if (reason := case(status)) is not None)


def line_to_commit(status: ApplicationStatus) -> str:
    """The annotation that lets the first waiting gate go on, as a line of YAML; empty where no gate waits."""
    return _line(status.gate)


def _of(kind: str, glue: str = ", because ") -> Callable[[ApplicationStatus], Reason | None]:
    """The case of a condition, which is told in its own words: what comes after its first line is for who asks for it."""

    def tell(status: ApplicationStatus) -> Reason | None:
        found = _condition(status, kind)
        if found is None:
            return None
        message = plain(found.message.partition("\n")[0], 4096) or f"of {kind} ({found.reason})"
        return Reason(f"{glue}{message}", found.help, found.since)

    return tell


def _broken(status: ApplicationStatus) -> Reason | None:
    """What else stalls is told by its cause."""
    return _of("Stalled")(status) if broken(status.conditions) else None


def _waiting(status: ApplicationStatus) -> Reason | None:
    gate = status.gate
    if gate is None:
        return None
    purpose = f" ({plain(gate.message)})" if gate.message else ""
    timer = f"; it opens by itself at {_time(gate.until)}" if gate.until else ""
    timer += f"; without one it fails at {_time(gate.deadline)}" if gate.deadline else ""
    ask = f"; to let it go on, commit in {_place(status)} the annotation {_line(gate)}"
    failure = describe_failure(status.run) if status.run is not None else ""
    behind = f"{timer}{failure}{_newer(status, gate.revision)}{_ignored(status)}"
    text = f", because gate {plain(gate.step)} of {plain(gate.revision)} waits for a decision{purpose}{behind}{ask}"
    return Reason(text, _line(gate), gate.since, gate.until)


def _moving(status: ApplicationStatus) -> Reason | None:
    run = status.run
    if run is None or Phase(run.phase).final:
        return None
    if run.phase == Phase.ROLLING_BACK and run.reason == "Compensating":
        doing, _, cause = plain(run.message).partition(": ")
        text = f", and is {doing} in run {plain(run.id)} ({cause}){decided(run)}{describe_step(run)}{_ignored(status)}"
        return Reason(text, f'{run.stop.key}: "{run.stop.end}"' if run.stop else "", run.started_at, ends_at(run))
    if run.phase == Phase.ROLLING_BACK or run.kind == "restore":
        text = f", and goes back to {plain(run.revision)} in run {plain(run.id)}{decided(run)}{describe_step(run)}{_ignored(status)}"
        return Reason(text, "", run.started_at, ends_at(run))
    passed = f", after {len(status.superseded)} superseded in a row" if status.superseded else ""
    behind = f"{describe_failure(run)}{_newer(status, run.revision)}{_ignored(status)}"
    text = f", and moves to {plain(run.revision)} in run {plain(run.id)}{passed}{describe_step(run)}{behind}"
    return Reason(text, f'{run.stop.key}: "{run.stop.end}"' if run.stop else "", run.started_at, ends_at(run))


def _newer(status: ApplicationStatus, revision: str) -> str:
    """Rule 6b: what waits behind the run of that revision."""
    run, desired = status.run, status.desired
    if run is None or desired is None or run.kind == "restore" or desired.revision == revision or status.sync == "Unknown":
        return ""
    if len(status.superseded) < _PATIENCE:
        return f"; {_name(desired)} is newer and takes its place as soon as what is under way has ended"
    return f"; {_name(desired)} is newer and waits until it is at a gate or its end, because {len(status.superseded)} before it got no verdict"


def _rejected(status: ApplicationStatus) -> Reason | None:
    """A rollback is done; what is left is git's."""
    reason = _of("Rejected")(status)
    owed = status.run.write_back if status.run is not None else None
    if reason is None or owed is None or owed.state not in ("Owed", "Built"):
        return reason
    return Reason(
        f"{reason.text}; the commit that sets git back is {'made and being pushed' if owed.state == 'Built' else 'being made'}", "", reason.since
    )


def _ended(status: ApplicationStatus) -> Reason | None:
    """The desired revision had its verdict, and it was not success (rule 6c)."""
    run = status.run
    if status.sync == "Synced" or run is None or run.phase not in (Phase.FAILED, Phase.TERMINATED, Phase.ROLLED_BACK, Phase.SUPERSEDED):
        return None
    if run.phase == Phase.SUPERSEDED:
        return Reason(f", because run {plain(run.id)} was superseded by a newer revision, whose turn is next", "", run.finished_at)
    if run.phase == Phase.FAILED:
        what = f"going back to {plain(run.revision)} failed in run {plain(run.id)}" if run.kind == "restore" else f"run {plain(run.id)} failed"
        what += _failure(run)
    else:
        what = f"run {plain(run.id)} was {'ended' if run.phase == Phase.TERMINATED else 'rolled back'}{decided(run)}"
        what += f": {plain(run.message)}" if run.reason == "StepFailed" else ""
    told = word_end(run.reason, Place(str(status.key), status.path), back=status.running is not None and run.kind != "restore")
    return Reason(f", because {what}; {told.message}", told.help, run.finished_at)


def _gone(status: ApplicationStatus) -> Reason | None:
    return Reason(" and git no longer declares it: its objects are removed") if status.desired is None else None


def _synced(status: ApplicationStatus) -> Reason | None:
    if status.sync != "Synced":
        return None
    detail = f": {plain(status.trouble)}" if status.trouble else ""
    cause = f"`reconciler cluster events -n {status.namespace}`"
    words = {
        "Healthy": ("and healthy", ""),
        "Progressing": (f"and its objects are not ready yet{detail}; {cause} may tell why", cause),
        "Degraded": (f"but its objects are degraded{detail}; {cause} may tell why", cause),
        "Missing": (f"but objects of it are missing{detail}; the daemon puts them back", f"`reconciler reconcile {status.key}`"),
    }
    text, help_ = words.get(status.health, (f"and its health is {status.health.lower()}{detail}", ""))
    return Reason(f", as git declares it, {text}{_ignored(status)}", help_.strip("`"), _ready(status))


def _unknown(status: ApplicationStatus) -> Reason | None:
    if status.sync != "Unknown":
        return None
    return Reason(f", and it is not known what git declares: no look at it has succeeded since the daemon started{_ignored(status)}")


def _pending(status: ApplicationStatus) -> Reason:
    ready = next((condition for condition in status.conditions if condition.type == "Ready" and condition.status != "True"), None)
    told = plain(ready.message) if ready is not None else ""
    text = f", because {told}" if told else f", because the run of {_name(status.desired)} has not begun yet"
    return Reason(f"{text}{_ignored(status)}", f"reconciler reconcile {status.key}", status.since)


# The first that applies is told. The last one always applies.
_CASES: Final[tuple[Callable[[ApplicationStatus], Reason | None], ...]] = (
    _of("StateLost"),
    _of("ManifestInvalid"),
    _of("RemovalInDoubt"),
    _of("Suspended"),
    _broken,
    _waiting,
    _of("NamespaceMissing"),
    _moving,
    _of("DependencyNotReady"),
    _of("GitDiffers"),
    _rejected,
    _ended,
    _of("Reconciling"),
    _gone,
    _of("PruneBlocked", ", but "),
    _of("PruneFailed", ", but "),
    _of("DriftFought", ", but "),
    _of("CallbackOwed", ", but "),
    _synced,
    _unknown,
    _pending,
)


def _standing(status: ApplicationStatus) -> str:
    running, desired = status.running, status.desired
    if running is None:
        return f"{status.key} is at no revision yet"
    if desired is None or desired.digest == running.digest:
        return f"{status.key} is at {_name(running)}"
    return f"{status.key} is at {_name(running)}, not {_name(desired)}"


def _line(gate: GateView | None) -> str:
    return f'{gate.key}: "{gate.continue_}"' if gate is not None else ""


def _ignored(status: ApplicationStatus) -> str:
    """A decision that stands in git and did not count is never silent (rule 4f)."""
    ignored = _condition(status, "DecisionIgnored")
    detail = f": {plain(ignored.message, 4096)}" if ignored is not None and ignored.message else ""
    return "" if ignored is None else f"; a decision in git did not count ({plain(ignored.reason)}{detail})"


def _failure(run: RunView) -> str:
    step = first_failed(run)
    if step is not None:
        return f" at step {plain(step.name)}: {plain(step.message or run.message or run.reason)}"
    return f": {plain(run.message or run.reason)}" if run.message or run.reason else ""


def _ready(status: ApplicationStatus) -> datetime | None:
    return next((condition.since for condition in status.conditions if condition.type == "Ready"), None)


def _condition(status: ApplicationStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind and condition.status == "True"), None)


def _name(revision: RevisionView | None) -> str:
    if revision is None:
        return "nothing"
    return plain(revision.revision) if revision.revision else f"commit {revision.commit[:12]}"


def _place(status: ApplicationStatus) -> str:
    return plain(status.path) if status.path else "its manifest"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
