"""What a run applies before all else, though no step names it: the first step that applies something does so before that."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.outcome import Do, Effect, Failed, Outcome, Wait
from reconciler.model.run import LEADING, StepState


def lead(steps: Sequence[StepState], leading: Sequence[str], step: StepState, outcome: Outcome) -> Outcome:
    """
    What `step` is to do, given what it answered: the next of the components in `leading` where it would apply something and that one was not
    applied in this run; else what it answered. What it has begun goes on.

    Each is applied once in a run, one after the other. Its health is not waited for: others may be needed for it. Where another step is at it, this
    one waits; where it failed there, this one tries.
    """
    if not isinstance(outcome, Do) or all(effect.kind != "apply" or path in step.intents for path, effect in outcome.effects.items()):
        return outcome
    for component in leading:
        path = f"{LEADING}{component}"
        if any(path in other.results and other.results[path].ok for other in steps):
            continue
        failed = step.results.get(path)
        if failed is not None:
            return Failed(failed.reason or "EffectFailed", failed.error, retryable=failed.retry != "terminal")
        if any(path in other.intents and path not in other.results for other in steps if other is not step and not other.phase.final):
            return Wait(None, f"waiting for {component}, which is applied first")
        return Do({path: Effect("apply", {"component": component})})
    return outcome
