"""How a run ends before its time: rollback beats end beats removal beats a newer revision; each acts at the next effect boundary (4c, 6a)."""

from __future__ import annotations

from reconciler.model.run import Decision, Phase, Verb, WriteBack
from reconciler.workflow.compensating import begin_undo, nothing_to_undo
from reconciler.workflow.turn import Turn

_STRENGTH: dict[Verb, int] = {"rollback": 3, "end": 2, "continue": 1}


def is_stopped(turn: Turn) -> bool:
    return _verdict(turn) is not None or turn.facts.removed or is_superseded(turn)


def is_decided(turn: Turn) -> bool:
    """Whether somebody, or its own context, said that it ends."""
    return _verdict(turn) is not None


def is_superseded(turn: Turn) -> bool:
    """Rules 6a and 6b: never while suspended; one that was passed over too often only at a gate."""
    return bool(turn.facts.newer) and not turn.run.suspended_at and (not turn.facts.patient or at_gate(turn))


def at_gate(turn: Turn) -> bool:
    phases = {step.phase for step in turn.run.steps}
    return Phase.WAITING in phases and Phase.RUNNING not in phases


def stop(turn: Turn) -> None:
    turn.again_unresolved()
    if turn.run.in_flight:
        return
    run, verdict = turn.run, _verdict(turn)
    if verdict is not None and verdict.verb == "rollback":
        _roll_back(turn, verdict)
    elif verdict is not None:
        ended = f"ended by {verdict.author}" if verdict.by == "order" and verdict.author else f"ended at {verdict.gate}"
        why = verdict.message if verdict.by == "engine" else ended
        turn.finish(Phase.TERMINATED, "Ended", f"{why}: nothing more is applied, what is applied stays")
    elif turn.facts.removed:
        _leave(turn, "removed", "the application was removed from git", Phase.TERMINATED, "Removed")
    else:
        run.superseded_by = turn.facts.newer
        _leave(turn, "superseded", f"{run.superseded_by} is newer", Phase.SUPERSEDED, "Superseded")


def _leave(turn: Turn, cause: str, message: str, phase: Phase, reason: str) -> None:
    """Where failures are undone, so is what a run leaves half done."""
    if turn.workflow.on_failure == "undo" and not nothing_to_undo(turn):
        begin_undo(turn, cause, message)
    else:
        turn.finish(phase, reason, message)


def _verdict(turn: Turn) -> Decision | None:
    stops = [decision for decision in turn.run.decisions[turn.run.answered :] if decision.verb != "continue"]
    return max(stops, key=lambda decision: _STRENGTH[decision.verb], default=None)


def _roll_back(turn: Turn, verdict: Decision) -> None:
    """Rule 7a. Where there is nothing to go back to, nothing is touched."""
    run, facts = turn.run, turn.facts
    if run.kind == "restore":
        turn.finish(Phase.TERMINATED, "Ended", "a restore run never rolls back: it was ended")
    elif turn.workflow.on_failure == "undo":
        begin_undo(turn, "decision", f"decided at {verdict.gate}")
    elif not facts.target:
        run.failure = "user"
        turn.finish(Phase.FAILED, "NoRollbackTarget", "there is no promoted revision to go back to; nothing was touched")
    else:
        run.phase, run.reason = Phase.ROLLING_BACK, "RollingBack"
        run.restore_target = facts.target
        run.message = f"rolling back to {run.restore_target}: decided at {verdict.gate}"
        run.write_back = WriteBack(target=run.restore_target, rejected=run.digest, at=turn.now)
        if verdict.by == "order":
            run.write_back.author = verdict.author
        turn.close_steps(Phase.TERMINATED)
        await_restore(turn)  # it may have been called off meanwhile


def await_restore(turn: Turn) -> None:
    """Only a person's later order ends it before that (rule 6a); what is restored by then stays."""
    run = turn.run
    told = [(decision.verb, decision.by) for decision in run.decisions[run.answered :]]
    begun = next((place for place, (verb, _) in enumerate(told) if verb == "rollback"), 0)
    if ("end", "order") in told[begun:] and not turn.facts.restored:
        run.write_back, run.restore_target, target = None, "", run.restore_target
        turn.finish(Phase.TERMINATED, "Ended", f"ended before {target} was restored: what is applied stays")
    elif turn.facts.restored == "Succeeded":
        turn.finish(Phase.ROLLED_BACK, "RolledBack", f"rolled back to {run.restore_target}")
    elif turn.facts.restored:
        run.failure = turn.facts.restore_failure or "user"
        why = f" ({turn.facts.restore_message})" if turn.facts.restore_message else ""
        turn.finish(Phase.FAILED, "RestoreFailed", f"the restore of {run.restore_target} did not succeed{why}; it holds as it is")
