"""`apply-and-wait`: apply a component, then wait for resources by name. As seed 001 writes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Failed, Health, Live, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.health import await_health, deadline_of, refs_of
from reconciler.steps.sequence import apply_component, finish
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
            answer = apply_component(call, component, results, seen, now)
            if not isinstance(answer, Result):
                return answer
            applied = answer
        refs = [_resource(call, name, refs_of(applied)) for name in call.properties.get("names") or ()]
        return _await_resources(refs, seen, deadline_of(call, applied.at), now) or finish(call, applied, seen)


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


def _await_resources(refs: list[ObjectRef], seen: Mapping[Query, Any], deadline: datetime | None, now: datetime) -> Wait | Failed | None:
    """All are watched from the start, so that one look answers for all; the message is about the first that is not ready."""
    watch: tuple[Query, ...] = tuple(query for ref in refs for query in (Live(ref), Health((ref,))))
    for ref in refs:
        waiting = _await_resource(ref, seen, deadline, now)
        if isinstance(waiting, Wait):
            return Wait(waiting.until, waiting.message, watch)
        if waiting is not None:
            return waiting
    return None


def _await_resource(ref: ObjectRef, seen: Mapping[Query, Any], deadline: datetime | None, now: datetime) -> Wait | Failed | None:
    query = Live(ref)
    if query not in seen:
        return Wait(deadline if deadline is None or now < deadline else None, f"waiting to hear of {ref}")
    if seen[query] is not None:
        return await_health(str(ref), (ref,), seen, deadline, now)
    if deadline is not None and now >= deadline:
        return Failed("HealthTimeout", f"not there in time: {ref}")
    return Wait(deadline, f"waiting for {ref} to be there")
