"""Applying the components of a step one after the other, each healthy before the next (SREWorks' intended order)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Live, Outcome, Query, Result, Wait
from reconciler.steps.health import await_health, deadline_of, refs_of

_OUTPUT: Final = re.compile(r"\boutputs?\b", re.ASCII)
_WORKLOADS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod"})
_RESOURCE: Final = "trait.oam.dev/resource"
_MOST: Final = 50  # objects that are read for `outputs`
_JOB_FAILED: Final = "JobFailed"


def apply_in_order(
    call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime, partition: int | str | None = None
) -> Outcome:
    """
    Applies `call.components` in order. Done exports the last component's `{component, objects, connection}`, and its live objects where an output
    reads them.

    A component that comes second is not touched before the first is healthy, so the health of those before the one applied
    last is not asked again.
    """
    last = Result()
    for component, following in zip(call.components, (*call.components, "")[1:], strict=True):
        applied = apply_component(call, component, results, seen, now, partition)
        if not isinstance(applied, Result):
            return applied
        last = applied
        if f"apply/{following}" in call.begun or f"apply/{following}" in results:
            continue
        refs = refs_of(applied)
        waiting = await_health(_subject(applied.value.get("component") or component, refs), refs, seen, deadline_of(call, applied.at), now)
        if waiting is not None:
            return waiting
    return finish(call, last, seen) if call.components else Done()


def apply_all(call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any]) -> Outcome:
    """The same without waiting for health."""
    last = Result()
    for component in call.components:
        applied = _apply_wave(call, component, results, 0)
        if not isinstance(applied, Result):
            return applied
        last = applied
    return finish(call, last, seen) if call.components else Done()


def finish(call: Call, applied: Result, seen: Mapping[Query, Any]) -> Outcome:
    """
    The step's end, once it is known what its outputs read.

    KubeVela's `output` is the workload, `outputs` are the other objects: by the name that the trait gave it (`trait.oam.dev/resource`), by their
    own name, and by their kind in lower case, the first of a kind.
    """
    asked = " ".join(call.outputs.values())
    refs = refs_of(applied)
    if not refs or not _OUTPUT.search(asked):
        return Done(export(applied))
    main = next((ref for ref in refs if ref.kind in _WORKLOADS), refs[0])
    others = [ref for ref in refs if ref != main][:_MOST] if "outputs" in asked else []
    queries = tuple(Live(ref) for ref in (main, *others))
    unheard = next((query.ref for query in queries if query not in seen), None)
    if unheard is not None:
        return Wait(None, f"waiting to hear of {unheard}", queries)
    outputs: dict[str, Any] = {}
    for ref in others:
        live = seen[Live(ref)]
        if isinstance(live, dict):
            label = ((live.get("metadata") or {}).get("labels") or {}).get(_RESOURCE)
            for name in (label, ref.name, ref.kind.lower()):
                outputs.setdefault(name or ref.name, live)
    return Done({**export(applied), "output": seen[queries[0]], "outputs": outputs})


def apply_component(
    call: Call,
    component: str,
    results: Mapping[str, Result],
    seen: Mapping[Query, Any],
    now: datetime,
    partition: int | str | None = None,
) -> Result | Outcome:
    """
    The stored result of applying that component where it succeeded, else the effect that is to do it, or the failure.

    A chart with hooks is applied in waves, each healthy before the next, and its hooks gone that go then; their results are one. A failure that
    the cluster calls temporary (`now`, `backoff`, `wait`) is retryable: the machine tries the step again with back-off and within its limit; a
    step counts no attempts.
    """
    waves: list[Result] = []
    while True:
        applied = _apply_wave(call, component, results, len(waves), partition)
        if not isinstance(applied, Result):
            return applied
        number = len(waves)
        following, last = _path(component, number + 1), number + 1 >= int(applied.value.get("waves", 1))
        if (not last or applied.value.get("sweep")) and following not in call.begun and following not in results:
            unended = _end_wave(call, component, number, applied, results, seen, now)
            if unended is not None:
                return unended
        waves.append(_less(applied, results.get(_sweeping(component, number))))
        if last:
            return _as_one(waves)


def _apply_wave(call: Call, component: str, results: Mapping[str, Result], wave: int, partition: int | str | None = None) -> Result | Do | Failed:
    path = _path(component, wave)
    result = results.get(path)
    if result is None:
        return Do({path: Effect("apply", _params(call, component, partition) | ({"wave": wave} if wave else {}))})
    if result.ok:
        return result
    return Failed(result.reason or "EffectFailed", result.error, retryable=result.retry != "terminal")


def _end_wave(
    call: Call, component: str, wave: int, applied: Result, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime
) -> Outcome | None:
    """None when all of it is healthy, and the hooks are gone that go by their own word then. One that failed for good takes those along that
    go when it fails; a deadline that is over proves no failure."""
    swept = results.get(_sweeping(component, wave))
    if swept is not None:
        if not swept.ok:
            return Failed(swept.reason or "EffectFailed", swept.error, retryable=swept.retry != "terminal")
        return Failed(_JOB_FAILED, swept.value["because"]) if swept.value.get("because") else None
    refs, sweep = refs_of(applied), applied.value.get("sweep") or {}
    waiting = await_health(_subject(f"{component}, wave {wave + 1}", refs), refs, seen, deadline_of(call, applied.at), now)
    failed = isinstance(waiting, Failed) and waiting.reason == _JOB_FAILED
    going = sweep.get("failed" if failed else "succeeded")
    if not going or (waiting is not None and not failed):
        return waiting
    because = {"because": waiting.message[:512]} if isinstance(waiting, Failed) else {}
    return Do({_sweeping(component, wave): Effect("delete", {"refs": going, **because})})


def _less(applied: Result, swept: Result | None) -> Result:
    """What was applied and is still there."""
    gone = set(swept.value.get("deleted") or []) if swept is not None else set()
    left = [item for item in applied.value.get("objects") or [] if item["ref"] not in gone]
    return msgspec.structs.replace(applied, value={**applied.value, "objects": left}) if gone else applied


def _sweeping(component: str, wave: int) -> str:
    return f"sweep/{component}/{wave}"


def _path(component: str, wave: int) -> str:
    return f"apply/{component}/{wave}" if wave else f"apply/{component}"


def _as_one(waves: list[Result]) -> Result:
    """What all waves applied, at the time of the last; how others reach it is told by the wave that has a Service."""
    if len(waves) == 1:
        return waves[0]
    objects = [item for wave in waves for item in wave.value.get("objects") or []]
    reached: dict[str, Any] = next((wave.value["connection"] for wave in waves if (wave.value.get("connection") or {}).get("host")), {})
    return msgspec.structs.replace(waves[-1], value={**waves[-1].value, "objects": objects, "connection": reached})


def export(applied: Result) -> dict[str, Any]:
    """What an apply step exports: `{component, objects: [{apiVersion, kind, namespace, name, uid}], connection: {host, port, secretRef}}`."""
    objects = []
    for item in applied.value.get("objects") or []:
        ref = ObjectRef.unpack(item["ref"])
        objects.append({"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "uid": item.get("uid", "")})
    return {"component": applied.value.get("component", ""), "objects": objects, "connection": applied.value.get("connection") or {}}


def _params(call: Call, component: str, partition: int | str | None) -> dict[str, Any]:
    """A restore run ignores `rollout` (rule 7a)."""
    params: dict[str, Any] = {"component": component}
    if call.values:
        params["values"] = dict(call.values)
    if partition is not None and not call.restore:
        params["partition"] = partition
    return params


def _subject(name: str, refs: tuple[ObjectRef, ...]) -> str:
    return str(refs[0]) if len(refs) == 1 else f"component {name}"
