"""What came in since the last look is written into the run before anything follows from it: results, pauses, decisions (rules 4c, 6a, 9a)."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from reconciler.model.run import Decision
from reconciler.workflow.pausing import paused, standing
from reconciler.workflow.turn import Turn


def take_in(turn: Turn) -> None:
    _take_results(turn)
    _take_pause(turn)
    _take_decisions(turn)


def _take_results(turn: Turn) -> None:
    run = turn.run
    for step in run.steps:
        for path, intent in step.intents.items():
            if path not in step.results and intent.key in turn.facts.results:
                step.results[path] = turn.facts.results[intent.key]
                # Deadlines count from here on, so no earlier pause moves them.
                step.paused_before = paused(run, step) + standing(run, step, turn.now)


def _take_pause(turn: Turn) -> None:
    """Deadlines stand still while the application is suspended (rule 6a)."""
    run = turn.run
    if turn.facts.held and run.suspended_at is None:
        run.suspended_at = turn.now
    elif not turn.facts.held and run.suspended_at is not None:
        stood = max(turn.now - run.suspended_at, timedelta())
        run.paused += stood
        for step in run.steps:
            if step.suspended_at is not None:  # that it stood still meanwhile is counted once
                step.suspended_at += turn.now - max(step.suspended_at, run.suspended_at)
            if step.retry_at is not None:
                step.retry_at += stood
            if step.deadline is not None and not step.phase.final:
                step.deadline += stood
        run.suspended_at = None


def _take_decisions(turn: Turn) -> None:
    """Stored before they are acted on, each once (rule 4c). What is suspended takes no continue (6a)."""
    run = turn.run
    used = {(decision.gate, decision.value) for decision in run.decisions}
    rounds = {step.key: step.round for step in run.steps}
    ordered = Decision(gate="run", verb="end", value=run.order, at=turn.now, by="order")
    still = {step.key for step in run.steps if step.suspended_at}
    still |= {turn.pairs[key] for key in still if key in turn.pairs}
    for decision in (*turn.facts.decisions, *((ordered,) if run.order == "terminate" else ())):
        if decision.verb == "continue" and (run.suspended_at or decision.gate in still):
            continue
        if (decision.gate, decision.value) not in used:
            used.add((decision.gate, decision.value))
            run.decisions.append(msgspec.structs.replace(decision, round=rounds.get(decision.gate, run.round)))
