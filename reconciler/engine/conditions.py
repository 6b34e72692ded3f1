"""The conditions of an application, each with the sentence that helps. `True` means that it applies."""

from __future__ import annotations

from reconciler.engine.applications import Application
from reconciler.engine.index import Entry
from reconciler.model.condition import Condition, Status
from reconciler.model.names import PRUNE_FILE, STATE_LOST_GATE
from reconciler.model.run import Phase
from reconciler.model.status import HealthStatus, StopView, Sync

_LONGEST = 4096
_LISTED = 20


def gather_conditions(app: Application, entry: Entry | None, sync: Sync, health: HealthStatus, stop: StopView | None) -> list[Condition]:
    """All that apply, and Ready always. `stop`: what stops the newest run."""
    found = [
        *_of_manifest(app, entry),
        *_of_decisions(app),
        *_of_removal(app),
        *_of_run(app, entry, stop),
        *_of_write_back(app, entry),
        *_of_objects(app),
    ]
    if app.stalled:
        found.append(_condition("Stalled", "Internal", app.stalled))
    return [_ready(app, sync, health, found), *found]


def _condition(kind: str, reason: str, message: str, status: Status = "True") -> Condition:
    return Condition(kind, status, reason, message[:_LONGEST])


def _ready(app: Application, sync: Sync, health: HealthStatus, found: list[Condition]) -> Condition:
    if sync == "Synced" and health == "Healthy":
        return _condition("Ready", "Succeeded", f"{app.mirror.running.revision if app.mirror.running else ''} runs")
    first = next((condition for condition in found if condition.type != "Reconciling"), None)
    run = app.newest
    if first is not None:
        return _condition("Ready", first.reason, first.message, "False")
    if run is not None and run.phase is Phase.FAILED:
        return _condition("Ready", run.reason or "Failed", run.message, "False")
    return _condition("Ready", "Progressing" if sync == "OutOfSync" else health, run.message if run is not None else "", "False")


def _of_manifest(app: Application, entry: Entry | None) -> list[Condition]:
    if entry is None:
        return []
    if not entry.valid and not entry.missing:
        return [_condition("ManifestInvalid", "Invalid", "; ".join(str(problem) for problem in entry.problems[:5]))]
    digest, problem = app.render_problem
    if problem is not None and digest == entry.declared.digest:
        return [_condition("ManifestInvalid", "RenderFailed", str(problem))]
    if entry.valid and entry.declared.suspended:
        return [_condition("Suspended", "Suspended", f"suspended in git: {entry.declared.suspended}")]
    return []


def _of_decisions(app: Application) -> list[Condition]:
    if not app.remarks:
        return []
    return [_condition("DecisionIgnored", app.remarks[0].reason, "; ".join(dict.fromkeys(remark.message for remark in app.remarks)))]


def _of_removal(app: Application) -> list[Condition]:
    removal = app.mirror.removal
    if removal is None:
        return []
    if removal.state == "Deleting":
        return [_condition("Reconciling", "Deleting", "removed from git; its objects are being deleted")]
    line = f"if it is meant, add {removal.approval} to `approved` in {PRUNE_FILE}; if not, put the manifest back"
    names = f"; would delete: {', '.join(str(ref) for ref in app.refs()[:_LISTED])}" if removal.state == "InDoubt" else ""
    return [_condition("RemovalInDoubt", removal.state, f"not declared in git any more, but {removal.reason}: it is kept; {line}{names}")]


def _of_run(app: Application, entry: Entry | None, stop: StopView | None) -> list[Condition]:
    found = []
    run = app.open_run()
    if run is not None:
        line = f'; to stop it commit "{stop.key}: {stop.end}" or "{stop.key}: {stop.rollback}"' if stop is not None else ""
        found.append(_condition("Reconciling", run.reason or "Running", f"{run.message or f'{run.name} runs'}{line}"))
        blocked = next((step for step in run.steps if step.reason == "NamespaceMissing" and not step.phase.final), None)
        if blocked is not None:
            found.append(_condition("NamespaceMissing", "NamespaceMissing", f"{blocked.message}; create it, or see --create-namespaces"))
        if STATE_LOST_GATE in run.implicit and run.step(STATE_LOST_GATE).phase is not Phase.SUCCEEDED:
            standing = [item for item in run.standing if not item.startswith(f"{STATE_LOST_GATE}=") and ("rollback@" in item or "end@" in item)]
            there = f"; in git stand: {', '.join(standing)}" if standing else ""
            found.append(
                _condition("StateLost", "HistoryGone", f"its objects run, but their history is gone; nothing that differs is touched{there}")
            )
    digest = entry.declared.digest if entry is not None else ""
    if app.mirror.rejected and app.mirror.rejected == digest:
        back = app.mirror.running.revision if app.mirror.running else "nothing"
        found.append(
            _condition("Rejected", "RolledBack", f"what git declares was rolled back and is not applied; {back} runs. Commit something newer")
        )
    return found


def _of_write_back(app: Application, entry: Entry | None) -> list[Condition]:
    digest = entry.declared.digest if entry is not None else ""
    for run in reversed(app.runs):
        owed = run.write_back
        if owed is not None and owed.state == "Differs" and owed.rejected == digest:
            what = ". To commit:\n" if owed.reason == "WriteBackOff" else ": "  # otherwise the message begins with what is in the way
            return [_condition("GitDiffers", owed.reason, f"git still declares what was rolled back{what}{owed.message}")]
    return []


def _of_objects(app: Application) -> list[Condition]:
    found = []
    reason, message = app.prune_note
    if reason == "PruneBlocked":
        found.append(_condition("PruneBlocked", "ApprovalNeeded", message))
    elif reason:
        found.append(_condition(reason if reason == "PruneFailed" else "DriftFought", reason, message))
    fought = [identity for identity, count in app.heals.items() if count > 3]
    if fought and reason != "HealFailed":
        names = ", ".join(f"{kind} {namespace}/{name}" for _, kind, namespace, name in fought[:5])
        found.append(_condition("DriftFought", "Fought", f"something keeps changing {names}; it is healed ever more slowly"))
    return found
