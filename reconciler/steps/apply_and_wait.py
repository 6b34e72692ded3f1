"""`apply-and-wait`: apply a component, then wait for resources by name. As seed 001 writes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Done, Failed, Live, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.health import await_health, deadline_of, refs_of
from reconciler.steps.sequence import apply_component, export
from reconciler.steps.validation import Finding, check_duration, check_text, check_texts, refuse


class ApplyAndWait(NoCompensation):
    """Waits for the named resources only, in the order given; one that is not there yet is waited for as well."""

    name = "apply-and-wait"
    params: Mapping[str, str] = MappingProxyType(
        {
            "component": "name of the component to apply",
            "resourceType": "kind of the resources to wait for",
            "resourceAPIVersion": "their apiVersion",
            "names": "their names",
            "timeout": "how long to wait, as a Go duration; 10m unless given",
        }
    )
    required: tuple[str, ...] = ("component", "resourceType", "resourceAPIVersion", "names")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "component", "resourceType", "resourceAPIVersion")
        return found + check_texts(properties, "names", least=1) + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        applied = Result()
        for component in call.components:
            answer = apply_component(call, component, results)
            if not isinstance(answer, Result):
                return answer
            applied = answer
        deadline = deadline_of(call, applied.at)
        for name in call.properties.get("names") or ():
            ref = _resource(call, name, refs_of(applied))
            waiting = _await_resource(ref, seen, deadline, now)
            if waiting is not None:
                return waiting
        return Done(export(applied))


def _resource(call: Call, name: str, applied: tuple[ObjectRef, ...]) -> ObjectRef:
    """
    The resource of that name: what was just applied, where it is one of those (its namespace may be another, its apiVersion the
    served one: `extensions` was the first group of many kinds), else in the application's namespace.
    """
    wanted = ObjectRef(str(call.properties.get("resourceAPIVersion")), str(call.properties.get("resourceType")), call.app.namespace, name)
    for ref in applied:
        if (ref.kind, ref.name) == (wanted.kind, name) and wanted.group in (ref.group, "extensions"):
            return ref
    return wanted


def _await_resource(ref: ObjectRef, seen: Mapping[Query, Any], deadline: datetime | None, now: datetime) -> Wait | Failed | None:
    """The live object first: health of something that is not there is not asked for."""
    query = Live(ref)
    known = query in seen
    if known and seen[query] is not None:
        return await_health(str(ref), (ref,), seen, deadline, now)
    if known and deadline is not None and now >= deadline:
        return Failed("HealthTimeout", f"not there in time: {ref}")
    until = deadline if deadline is None or now < deadline else None
    return Wait(until, f"waiting for {ref} to be there" if known else f"waiting to hear of {ref}", (query,))
