"""The conditions of an application, each with the sentence that helps. `True` means that it applies."""

from __future__ import annotations

import re

import msgspec

from reconciler.engine.applications import FOUGHT, Application
from reconciler.engine.callbacks import next_owed
from reconciler.engine.index import Entry
from reconciler.model.condition import Condition, Status
from reconciler.model.names import STATE_LOST_GATE
from reconciler.model.run import Phase
from reconciler.model.status import ApplicationStatus
from reconciler.workflow.explain import find_reason, line_to_commit
from reconciler.workflow.wording import Place, decided, word

_LONGEST = 4096
_LISTED = 20
_BESIDE = ("Reconciling", "ShardUnled", "KindsForeign", "KindsUnwatched")  # what keeps nothing from being ready
_GRAVEST = ("Cycle", "Missing", "NotReady")
_FINAL = ("ManifestInvalid", "RemovalInDoubt", "Rejected")
_GLUE = re.compile(r",? (?:because |but |and )?")


def gather_conditions(app: Application, entry: Entry | None, status: ApplicationStatus) -> list[Condition]:
    """All that apply, and Ready always. `status`: all of it but the conditions."""
    found = [
        *_of_manifest(app, entry, status),
        *_of_decisions(app, status),
        *_of_removal(app, status),
        *_of_run(app, entry, status),
        *_of_write_back(app, entry, status),
        *_of_callbacks(app, status),
        *_of_dependencies(app, status),
        *_of_commands(app, entry, status),
        *_of_objects(app, status),
        *_of_shard(app, status),
        *_of_kinds(app, status),
    ]
    if app.stalled:
        found.append(_tell(status, "Stalled", "Internal", app.stalled))
    ready = _ready(msgspec.structs.replace(status, conditions=found))
    return [ready, _healthy(status), *found, *_stalled(app, entry, ready, found)]


def _tell(status: ApplicationStatus, kind: str, reason: str, detail: str, line: str = "", more: str = "") -> Condition:
    """`line`: what is to be copied, where the words ask for one; `more`: what comes below the sentence."""
    told = word(kind, reason, detail, Place(str(status.key), status.path, line))
    return Condition(kind, "True", reason, f"{told.message}\n{more}".strip()[:_LONGEST], help=told.help)


def _ready(status: ApplicationStatus) -> Condition:
    """The one sentence of `why`, without where it stands and for how long."""
    if status.sync == "Synced" and status.health == "Healthy":
        return Condition("Ready", "True", "Succeeded", f"{status.running.revision if status.running else ''} runs")
    first = next((condition for condition in status.conditions if condition.type not in _BESIDE), None)
    run = status.run
    if first is not None:
        name = first.reason
    elif run is not None and run.phase == Phase.FAILED:
        name = run.reason or "Failed"
    else:
        name = "Progressing" if status.sync == "OutOfSync" else status.health
    reason = find_reason(status)
    return Condition("Ready", "False", name, _GLUE.sub("", reason.text, count=1)[:_LONGEST], help=reason.help)


def _healthy(status: ApplicationStatus) -> Condition:
    """As `health` has it. Objects that are on their way are no verdict."""
    known: Status = "True" if status.health == "Healthy" else "False" if status.health in ("Degraded", "Missing") else "Unknown"
    return Condition("Healthy", known, status.health, status.trouble[:_LONGEST])


def _stalled(app: Application, entry: Entry | None, ready: Condition, found: list[Condition]) -> list[Condition]:
    """That nothing goes on until somebody does something, in the words of `why`: what waits for it, as `kubectl wait` does, may give up."""
    if app.open_run() is not None or any(condition.type == "Stalled" for condition in found):
        return []
    run, digest = app.newest, entry.declared.digest if entry is not None else ""
    reason = next((condition.reason for condition in found if condition.type in _FINAL or condition.reason == "Cycle"), "")
    if not reason and run is not None and digest and app.mirror.held == digest:
        reason = run.reason or run.phase.value
    return [Condition("Stalled", "True", reason, ready.message, help=ready.help)] if reason else []


def _of_manifest(app: Application, entry: Entry | None, status: ApplicationStatus) -> list[Condition]:
    if entry is None:
        return []
    if not entry.valid and not entry.missing:
        return [_tell(status, "ManifestInvalid", "Invalid", "; ".join(str(problem) for problem in entry.problems[:5]))]
    digest, problem = app.render_problem
    if problem is not None and digest == entry.declared.digest:
        return [_tell(status, "ManifestInvalid", "RenderFailed", str(problem))]
    if entry.valid and app.suspended(entry):
        return [_tell(status, "Suspended", "Suspended" if entry.declared.suspended else "Ordered", app.suspended(entry))]
    return []


def _of_decisions(app: Application, status: ApplicationStatus) -> list[Condition]:
    if not app.remarks:
        return []
    detail = "; ".join(dict.fromkeys(remark.message for remark in app.remarks))
    line = next((remark.line for remark in app.remarks if remark.line), "")
    return [_tell(status, "DecisionIgnored", app.remarks[0].reason, detail, line)]


def _of_removal(app: Application, status: ApplicationStatus) -> list[Condition]:
    removal = app.mirror.removal
    if removal is None:
        return []
    if removal.state == "Deleting":
        return [] if app.open_run() is not None else [_tell(status, "Reconciling", "Deleting", "")]
    names = f" (it would delete {', '.join(str(ref) for ref in app.refs()[:_LISTED])})" if removal.state == "InDoubt" else ""
    return [_tell(status, "RemovalInDoubt", removal.state, f"{removal.reason}{names}", removal.approval)]


def _of_run(app: Application, entry: Entry | None, status: ApplicationStatus) -> list[Condition]:
    found = []
    run, stop = app.open_run(), status.run.stop if status.run is not None else None
    if run is not None:
        also = f' or "{stop.key}: {stop.rollback}"' if stop is not None and stop.rollback else ""
        line = f'"{stop.key}: {stop.end}"{also}' if stop is not None else ""
        found.append(_tell(status, "Reconciling", run.reason or "Running", run.message or f"{run.name} runs", line))
        blocked = next((step for step in run.steps if step.reason == "NamespaceMissing" and not step.phase.final), None)
        if blocked is not None:
            found.append(_tell(status, "NamespaceMissing", "NamespaceMissing", blocked.message))
        if STATE_LOST_GATE in run.implicit and run.step(STATE_LOST_GATE).phase is not Phase.SUCCEEDED:
            standing = [item for item in run.standing if not item.startswith(f"{STATE_LOST_GATE}=") and ("rollback@" in item or "end@" in item)]
            there = f"; in git stand {', '.join(standing)}" if standing else ""
            found.append(_tell(status, "StateLost", "HistoryGone", there, line_to_commit(status)))
    if app.mirror.rejected and entry is not None and app.mirror.rejected == entry.declared.digest:
        name = (status.desired.revision if status.desired is not None else "") or "what git declares"
        found.append(_tell(status, "Rejected", "RolledBack", f"{name} was rolled back{decided(status.run)}"))
    return found


def _of_dependencies(app: Application, status: ApplicationStatus) -> list[Condition]:
    """What its next run, or a step of the one that is open, waits for; what can't come by itself first."""
    if not app.unmet:
        return []
    gravest = sorted(app.unmet, key=lambda unmet: _GRAVEST.index(unmet.reason))
    detail = ", ".join(f"{unmet.app} {unmet.text}" for unmet in gravest[:_LISTED])
    return [_tell(status, "DependencyNotReady", gravest[0].reason, detail, str(gravest[0].app))]


def _of_write_back(app: Application, entry: Entry | None, status: ApplicationStatus) -> list[Condition]:
    digest = entry.declared.digest if entry is not None else ""
    for run in reversed(app.runs):
        owed = run.write_back
        if owed is not None and owed.state == "Differs" and owed.rejected == digest:
            bare = owed.reason == "WriteBackOff" or owed.message.startswith("--- ")  # otherwise its first line says what is in the way
            way, _, patch = ("", "", owed.message) if bare else owed.message.partition("\n")
            return [_tell(status, "GitDiffers", owed.reason, f": {way}" if way else "", more=patch)]
    return []


def _of_callbacks(app: Application, status: ApplicationStatus) -> list[Condition]:
    """From the first try that failed until it is taken or dropped: what is taken at once is nobody's concern."""
    for run in reversed(app.runs):
        owed = next_owed(run)
        if owed is not None and owed[1].attempts:
            opening = owed[1].message.partition(" has ")[2] if owed[1].reason == "EgressRefused" else ""
            return [_tell(status, "CallbackOwed", owed[1].reason, f"the callback of {run.name} was not told: {owed[1].message}", opening)]
    return []


def _of_commands(app: Application, entry: Entry | None, status: ApplicationStatus) -> list[Condition]:
    """What a person ordered and the daemon could not commit: it holds, but git does not say the same (7f)."""
    digest, held = entry.declared.digest if entry is not None else "", app.mirror.held_by
    for command in [*([held] if held is not None else []), *(command for run in reversed(app.runs) for command in run.commands)]:
        owed = command.owed
        if owed is not None and owed.state == "Differs" and owed.rejected == digest:
            what = f"{command.verb} was ordered by {command.author} and holds, but git does not say so"
            return [_tell(status, "CommandNotInGit", owed.reason, what, f'{owed.annotation}: "{owed.value}"', more=owed.message)]
    return []


def _of_shard(app: Application, status: ApplicationStatus) -> list[Condition]:
    return [_tell(status, "ShardUnled", "NobodyActs", app.unled)] if app.unled else []


def _of_kinds(app: Application, status: ApplicationStatus) -> list[Condition]:
    unwatched = [_tell(status, "KindsUnwatched", "Forbidden", app.unwatched)] if app.unwatched else []
    return [*([_tell(status, "KindsForeign", "LeftAlone", app.foreign)] if app.foreign else []), *unwatched]


def _of_objects(app: Application, status: ApplicationStatus) -> list[Condition]:
    found = []
    reason, message, line = app.prune_note
    if reason == "PruneBlocked":
        found.append(_tell(status, "PruneBlocked", "ApprovalNeeded", message, line))
    elif reason == "OwnerUnsettled":
        found.append(_tell(status, "PruneBlocked", "OwnerUnsettled", message, message))
    elif reason == "Terminating":
        found.append(_tell(status, "PruneBlocked", "Terminating", message))
    elif reason == "PruneFailed":
        found.append(_tell(status, "PruneFailed", "PruneFailed", message))
    failed = next((heal.failed for heal in app.heals.values() if heal.failed), "")
    fought = [(identity, heal.who) for identity, heal in app.heals.items() if heal.times > FOUGHT and not heal.failed]
    if failed:
        found.append(_tell(status, "DriftFought", "HealFailed", failed))
    elif fought:
        names = "; ".join(f"{kind} {namespace}/{name}{f' ({who})' if who else ''}" for (_, kind, namespace, name), who in fought[:5])
        found.append(_tell(status, "DriftFought", "Fought", names))
    return found
