"""`apply`: Kubernetes objects from the step itself, waited for, and taken away again when the workflow is rolled back. The step flow's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Outcome, Query, Result
from reconciler.steps.health import refs_of
from reconciler.steps.sequence import apply_in_order
from reconciler.steps.validation import Finding, check_duration, check_text, refuse

_UNDO = "unapply"


class Apply:
    """The dialect makes a component of the objects, so that they are stored, healed and pruned like any others."""

    name = "apply"
    params: Mapping[str, str] = MappingProxyType(
        {
            "manifest": "YAML text: one object, several documents, or a list of objects",
            "timeout": "how long to wait for their health, as a Go duration; 10m unless given",
        }
    )
    required: tuple[str, ...] = ("manifest",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "manifest") + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        outcome = apply_in_order(call, results, seen, now)
        return Done(outcome.outputs, outcome.message, resource=_resource(results)) if isinstance(outcome, Done) else outcome

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        """What this run created goes; what was there before stays, as it was applied. The executor knows which is which."""
        for component in call.components:
            result = results.get(_UNDO)
            if result is None:
                return Do({_UNDO: Effect("unapply", {"component": component})})
            if not result.ok:
                return Failed(result.reason or "EffectFailed", result.error, retryable=result.retry != "terminal")
            kept = ", ".join(str(ObjectRef.unpack(ref)) for ref in result.value.get("kept") or [])
            return Done(message=f"kept until that is approved, because it holds what can't be made again: {kept}"[:1024] if kept else "")
        return Done()


def _resource(results: Mapping[str, Result]) -> dict[str, str]:
    """The first of the objects, which is healthy by then."""
    for result in results.values():
        uids = {item["ref"]: str(item.get("uid", "")) for item in result.value.get("objects") or []}
        for ref in refs_of(result):
            return {"status": "Healthy", "id": uids[ref.pack()], "name": str(ref)}
    return {}
