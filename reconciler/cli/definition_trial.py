"""A step of a definition played with answers that are given: what it would do, in order. Nothing is done, nobody is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from reconciler.cluster.masking import mask
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.outcome import (
    LISTED,
    Call,
    Do,
    Done,
    Effect,
    Evaluation,
    Failed,
    Gate,
    Health,
    Listed,
    Live,
    Measured,
    Outcome,
    Query,
    Result,
    Wait,
)
from reconciler.render.definitions import shared
from reconciler.steps.defined import CARRIER, DefinedStep

AS_IF: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST: Final = 500
_CARRIER: Final = f"{CARRIER}example"
_NAMES: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)


class Moment(msgspec.Struct, omit_defaults=True):
    """`what`: reads, applies, deletes, asks (another system), mails, waits, gate, fails or done; `of`: an object, a URL, a message."""

    what: str
    of: str = ""
    path: str = ""
    objects: list[JsonObject] = []
    outputs: dict[str, Any] = {}


class Trial:
    """`objects`: those that there are, by which what is read is answered. What is applied is there, too, from then on."""

    def __init__(self, template: str, properties: dict[str, Any], context: dict[str, Any], objects: Iterable[JsonObject]) -> None:
        app = AppKey(str(context.get("namespace") or "default"), str(context.get("name") or "example"))
        step = str(context.get("stepName") or "example")
        components = (*sorted({*_texts(properties), *re.findall(r'"([^"\\\n]*)"', template)}), _CARRIER)
        names = tuple(name for name in components if name == _CARRIER or _NAMES.fullmatch(name))
        self._call = Call(app, step, "definition", properties, names, since=AS_IF, template=template, context={"stepSessionID": "example", **context})
        self._live = {_ref(obj, app.namespace).identity: obj for obj in objects}
        self.moments: list[Moment] = []

    def play(self) -> list[Moment]:
        """To where it ends, or waits for something that is not there."""
        results: dict[str, Result] = {}
        seen: dict[Query, Any] = {}
        for _ in range(_MOST):
            outcome = DefinedStep().next(self._call, results, seen, AS_IF)
            if isinstance(outcome, Do):
                results |= {path: self._do(path, effect) for path, effect in outcome.effects.items() if path not in results}
                seen = {query: answer for query, answer in seen.items() if isinstance(query, Evaluation)}  # what lives may be other now
            elif isinstance(outcome, Wait) and any(query not in seen for query in outcome.watch):
                seen |= {query: self._answer(query) for query in outcome.watch if query not in seen}
            else:
                self._note(_end(outcome))
                break
        return self.moments

    def _note(self, moment: Moment) -> None:
        if moment not in self.moments:
            self.moments.append(moment)

    def _do(self, path: str, effect: Effect) -> Result:
        params = effect.params
        if effect.kind == "apply" and params["component"] == _CARRIER:
            objects = [obj for obj in params["values"]["properties.objects"] if isinstance(obj, dict)]
            refs = [_ref(obj, self._call.app.namespace) for obj in objects]
            for ref, obj in zip(refs, objects, strict=True):
                self._live.setdefault(ref.identity, obj)
            self._note(Moment("applies", ", ".join(map(str, refs)), path, objects))
            return Result({"objects": [{"ref": ref.pack()} for ref in refs]}, at=AS_IF)
        if effect.kind == "apply":
            self._note(Moment("applies", f"component {params['component']}", path))
            return Result({"component": params["component"], "objects": []}, at=AS_IF)
        if effect.kind == "http":
            self._note(Moment("asks", f"{params['method']} {params['url']}", path))
            return Result({"answer": {"statusCode": 200, "body": "{}"}}, at=AS_IF)
        if effect.kind == "delete":
            labels = ",".join(f"{name}={value}" for name, value in params["labels"].items())
            self._note(Moment("deletes", f"{params['kind']} {params['namespace']}/{params['name'] or labels}", path))
            return Result({"deleted": []}, at=AS_IF)
        self._note(Moment("mails", ", ".join(params.get("to", ())), path))
        return Result({"status": 250}, at=AS_IF)

    def _answer(self, query: Query) -> Any:
        if isinstance(query, Evaluation):
            return shared().evaluate(query.request)
        if isinstance(query, Live):
            self._note(Moment("reads", str(query.ref)))
            found = self._live.get(query.ref.identity)
            return mask(found) if found is not None else None
        if isinstance(query, Listed):
            self._note(Moment("reads", f"every {query.kind} in {query.namespace}"))
            return [mask(obj) for obj in self._live.values() if _fits(obj, query, self._call.app.namespace)][:LISTED]
        if isinstance(query, Measured):
            self._note(Moment("reads", f"metric {query.query}"))
            return {"pretended": True}
        return {"status": "Healthy", "message": "", "failed": False} if isinstance(query, Health) else {"ready": True, "message": ""}


def _end(outcome: Outcome) -> Moment:
    match outcome:
        case Done(outputs, message):
            return Moment("done", message, outputs=outputs)
        case Gate(message, _):
            return Moment("gate", message)
        case Wait(_, message, _):
            return Moment("waits", message)
        case Failed(_, message):
            return Moment("fails", message)
    return Moment("waits", "it comes to no end")


def _ref(obj: Mapping[str, Any], namespace: str) -> ObjectRef:
    found = ObjectRef.of({"metadata": {}, **obj})
    return found if found.namespace else found._replace(namespace=namespace)


def _fits(obj: JsonObject, query: Listed, namespace: str) -> bool:
    ref = _ref(obj, namespace)
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return ref.gvk == query.gvk and ref.namespace == query.namespace and labels.items() >= dict(query.labels).items()


def _texts(value: Any) -> Iterable[str]:
    """All texts in plain data: a component may be named in any of them."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)
