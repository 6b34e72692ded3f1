"""
What functions of definitions do that a built-in step does, too: that step does it, told the function's parameters as its properties.

Effects of such a function have paths below the function's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from reconciler.model.outcome import Call, Do, Done, Failed, Outcome, Query, Result, Wait
from reconciler.model.run import is_aside
from reconciler.steps.check_metrics import CheckMetrics
from reconciler.steps.cleaning import DeleteConfig, delete
from reconciler.steps.collect_endpoints import CollectEndpoints
from reconciler.steps.collect_resources import collect_pods, collect_services
from reconciler.steps.list_config import ListConfig
from reconciler.steps.notification import Notification
from reconciler.steps.read_config import ReadConfig

Params = dict[str, Any]


class Answered(NamedTuple):
    """What the template is told. `watch`: what it follows from, where another answer may come."""

    value: dict[str, Any]
    watch: tuple[Query, ...] = ()


class _Next(Protocol):
    def __call__(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime, /) -> Outcome: ...


class _Function(NamedTuple):
    """`read`: parameters to properties. `answer`: what an outcome is in the function's words; None: it stands as it is."""

    next: _Next
    read: Callable[[Params], Params]
    answer: Callable[[Outcome], Params | None]


def carry_out(
    name: str, path: str, params: Params, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime
) -> Answered | Outcome:
    """One look of the function `name`, which is in `FUNCTIONS`. `results`: of the whole step."""
    function, prefix = FUNCTIONS[name], _prefix(path)
    call = msgspec.structs.replace(call, properties=function.read(params), begun=_below(call.begun, prefix))
    outcome = function.next(call, {name.removeprefix(prefix): result for name, result in results.items() if name.startswith(prefix)}, seen, now)
    match outcome:
        case Do(effects):
            return Do({prefix + name: effect for name, effect in effects.items()})
        case Wait(_, _, watch) if any(query not in seen for query in watch):
            return outcome
    answer = function.answer(outcome)
    if answer is not None:
        return Answered(answer, outcome.watch if isinstance(outcome, Wait) else ())
    return msgspec.structs.replace(outcome, message=f"{path}: {outcome.message}"[:1024]) if isinstance(outcome, Failed) else outcome


def _prefix(path: str) -> str:
    """Of the effects of the function there; none of them may be taken for one that undoes the step."""
    return f'"{path}"/' if is_aside(f"{path}/") else f"{path}/"


def _below(paths: frozenset[str], prefix: str) -> frozenset[str]:
    return frozenset(path.removeprefix(prefix) for path in paths if path.startswith(prefix))


def _delete(call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG001 - the shape of every step
    """Labels say which, where there are some, and else the name. Without either it would be all objects of the kind."""
    value, given = call.properties["value"], call.properties.get("filter") or {}
    meta, labels = value.get("metadata") or {}, given.get("matchingLabels") or {}
    name = "" if labels else str(meta.get("name") or "")
    if not name and not labels:
        return Failed("InvalidProperties", "what is deleted has a name, or labels in filter.matchingLabels")
    namespace = given.get("namespace") or meta.get("namespace") or call.app.namespace
    place = {"apiVersion": value["apiVersion"], "kind": value["kind"], "name": name, "namespace": str(namespace)}
    return delete({**place, "labels": {key: str(label) for key, label in labels.items()}}, results)


def _read_mail(params: Params) -> Params:
    sender = params["from"]
    password = sender["password"] if isinstance(sender["password"], dict) else {"value": sender["password"]}
    return {"email": {"from": {**sender, "password": password}, "to": params["to"], "content": params["content"]}}


def _read_app(params: Params) -> Params:
    app = params["app"]
    return {"name": app["name"], "namespace": app["namespace"], "components": (app.get("filter") or {}).get("components") or None}


def _read_check(params: Params) -> Params:
    return {name: params.get(name) for name in CheckMetrics.params}


def _nothing(outcome: Outcome) -> Params | None:
    return {} if isinstance(outcome, Done) else None


def _config(outcome: Outcome) -> Params | None:
    return outcome.outputs["output"]["$returns"] if isinstance(outcome, Done) else None


def _endpoints(outcome: Outcome) -> Params | None:
    """None yet is an answer, too: the template says what it waits for."""
    if isinstance(outcome, Done):
        return {"list": outcome.outputs["outputs"]["endpoints"]}
    return {"list": []} if isinstance(outcome, Wait) else None


def _listed(outcome: Outcome) -> Params | None:
    return outcome.outputs if isinstance(outcome, Done) else None


def _check(outcome: Outcome) -> Params | None:
    """What a metric is like is for the template to judge; that nobody may be asked is a failure."""
    failed = isinstance(outcome, Failed)
    if isinstance(outcome, Do) or (isinstance(outcome, Failed) and outcome.reason != "MetricFailed"):
        return None
    return {"result": isinstance(outcome, Done), "failed": failed, "message": outcome.message}


FUNCTIONS: Final[Mapping[str, _Function]] = MappingProxyType(
    {
        "delete": _Function(_delete, lambda params: params, _nothing),
        "delete-config": _Function(DeleteConfig().next, lambda params: params, _nothing),
        "read-config": _Function(ReadConfig().next, lambda params: params, _config),
        "list-config": _Function(ListConfig().next, lambda params: params, _config),
        "email": _Function(Notification().next, _read_mail, _nothing),
        "prom-check": _Function(CheckMetrics().next, _read_check, _check),
        "collect-pods": _Function(collect_pods, _read_app, _listed),
        "collect-services": _Function(collect_services, _read_app, _listed),
        "collect-service-endpoints": _Function(CollectEndpoints().next, _read_app, _endpoints),
    }
)
"""By the name that the evaluator gives them."""
