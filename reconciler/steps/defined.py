"""
Steps whose type the repository defines (KubeVela's `WorkflowStepDefinition`).

What comes next is the evaluator's to say, from the template, the properties, what was done and what lives; that is asked as a query, so
that nothing here computes. Unlike upstream, what changes something is done once and remembered with its result (rule 9), and how its
objects stand is asked anew at each look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.canonical import canonical
from reconciler.model.duration import parse_duration
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.model.names import DEFINED
from reconciler.model.outcome import Call, Do, Done, Effect, Evaluation, Failed, Gate, Listed, Live, Outcome, Query, Result, Wait
from reconciler.model.text import one_line
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.create_config import make_config
from reconciler.steps.defined_functions import FUNCTIONS, Answered, carry_out
from reconciler.steps.health import await_health, refs_of
from reconciler.steps.http import ANSWER_LIMIT, Http
from reconciler.steps.validation import Check, Finding, refuse

CARRIER: Final = "object/"
"""What the id of the component begins with that stands for what a step's template applies."""
_LOCAL: Final = ("", "local")
_MOST: Final = 200


class DefinedStep(NoCompensation):
    """`params`, `required`, `check`: of a definition, where its steps are validated; the machine's own knows none."""

    exports = "expressions"
    defined = True

    def __init__(
        self,
        name: str = DEFINED,
        params: Mapping[str, str] = MappingProxyType({}),
        required: tuple[str, ...] = (),
        check: Check = lambda _: [],
    ) -> None:
        self.name, self.params, self.required, self._check = name, params, required, check

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return self._check(properties)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        failed = next((result for result in results.values() if not result.ok), None)
        if failed is not None:
            return Failed(failed.reason or "EffectFailed", failed.error, retryable=failed.retry != "terminal")
        return _Walk(call, results, seen, now).go()


class _Walk:
    """One look. `watch`: all that was asked on the way, so that it is asked again and a change brings the next look."""

    def __init__(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> None:
        self._call, self._results, self._seen, self._now = call, results, seen, now
        self._watch: list[Query] = []
        self._healthy: set[str] = set()
        self._objects: dict[str, Any] = {}
        self._answers: dict[str, Any] = {}

    def go(self) -> Outcome:
        for _ in range(_MOST):
            query = Evaluation(canonical(self._request()).decode("utf-8", "replace"))
            self._watch.append(query)
            answer = self._seen.get(query)
            if answer is None:
                return self._wait("waiting to hear how far its definition comes")
            if "error" in answer:
                return Failed("DefinitionFailed", str(answer["error"])[:1024])
            unheard = self._ask(answer)
            if unheard:
                return self._wait(f"waiting to hear of {unheard}")
            outcome = self._answer(answer)
            if outcome is not None:
                return outcome
        return Failed("DefinitionFailed", "its definition comes to no end")

    def _wait(self, message: str, until: datetime | None = None) -> Wait:
        return Wait(until, message, tuple(self._watch))

    def _request(self) -> dict[str, Any]:
        call = self._call
        own = {"name": call.app.name, "appName": call.app.name, "namespace": call.app.namespace, "stepName": call.step}
        context = {**call.parameters, **call.context, **own}
        return {
            "template": call.template,
            "context": context,
            "parameter": call.properties,
            "objects": self._objects,
            "results": {**{path: self._result(path, result) for path, result in self._results.items()}, **self._answers},
            "declared": call.declared,
            "variables": call.attributes,
            "outputs": call.outputs,
            "continued": call.restore or call.decision == "continue",
        }

    def _result(self, path: str, result: Result) -> dict[str, Any]:
        answer = result.value.get("answer") if isinstance(result.value.get("answer"), dict) else {}
        return {"value": answer, "objects": [_question(ref) for ref in refs_of(result)], "healthy": path in self._healthy}

    def _ask(self, answer: dict[str, Any]) -> str:
        """Takes in what is known of what the template reads; names the first that is not, empty where all is."""
        unheard = ""
        for question in answer["questions"]:
            query = _query(question)
            if query not in self._watch:
                self._watch.append(query)
            if query in self._seen:
                seen = self._seen[query]
                self._objects[_key(question)] = {"items": seen} if isinstance(seen, list) else seen
            else:
                unheard = unheard or f"{question['kind']} {question['namespace']}/{question['name']}".rstrip("/")
        return unheard

    def _answer(self, answer: dict[str, Any]) -> Outcome | None:
        """None: it is to be evaluated again, with what is known now."""
        state, message = answer["state"], one_line(answer.get("message") or "", 512)
        if state == "ask":
            return None
        if state == "do":
            return self._do(answer)
        if state == "health":
            return self._await(answer["path"])
        if state == "wait":
            return self._wait(message or f"waiting for {answer['path']} of its definition")
        if state == "suspend":
            return self._suspend(answer.get("duration") or "", message)
        if state in ("fail", "break"):
            return Failed("Action" if state == "fail" else "Terminate", message or f"{answer['path']} of its definition says so")
        return Done(answer.get("outputs") or {}, message, answer.get("variables") or {})

    def _suspend(self, duration: str, message: str) -> Outcome:
        try:
            seconds = parse_duration(duration).total_seconds() if duration else None
        except ValueError as error:
            return Failed("DefinitionFailed", one_line(error))
        return Gate(message, None if seconds is None else self._call.deadline(self._call.since, seconds))

    def _await(self, path: str) -> Outcome | None:
        """Health of a component that was applied, until something comes after it."""
        result = self._results[path]
        later = any(other != path and (other not in self._results or _after(self._results[other], result)) for other in self._call.begun)
        if not later and self._call.decision != "continue":
            refs = refs_of(result)
            deadline = self._call.deadline(result.at, self._call.health)  # a `timeout` among the properties is the template's own
            waiting = await_health(f"component {result.value.get('component', '')}", refs, self._seen, deadline, self._now)
            if isinstance(waiting, Wait):
                return Wait(waiting.until, waiting.message, (*self._watch, *waiting.watch))
            if waiting is not None:
                return waiting
        self._healthy.add(path)
        return None

    def _do(self, answer: dict[str, Any]) -> Outcome | None:
        path, function, params = answer["path"], answer["function"], answer.get("params") or {}
        if params.get("cluster") not in (None, *_LOCAL):
            return Failed("InvalidProperties", f"{path}: only the cluster that the daemon works on is known")
        if function == "apply-component":
            return self._apply_component(path, params)
        if function == "http":
            return _request(path, params)
        if function in FUNCTIONS:
            return self._carry_out(function, path, params)
        values = _make(params) if function == "create-config" else params.get("value")
        objects = values if isinstance(values, list) else [values]
        for place, obj in enumerate(objects):
            if wrong := _fault(obj):
                return Failed("InvalidProperties", f"{path}: value{f'[{place}]' if isinstance(values, list) else ''}{wrong}")
        carrier = next((component for component in self._call.components if component.startswith(CARRIER)), "")
        if not carrier:
            return Failed("DefinitionFailed", f"{path}: the function is not called by its name in a package, so that nothing is applied")
        return Do({path: Effect("apply", {"component": carrier, "values": {"properties.objects": objects}})})

    def _carry_out(self, function: str, path: str, params: dict[str, Any]) -> Outcome | None:
        """None: it is answered, for this look; what is stored of it are its effects."""
        outcome = carry_out(function, path, params, self._call, self._results, self._seen, self._now)
        if isinstance(outcome, Answered):
            self._watch += outcome.watch
            self._answers[path] = {"value": outcome.value, "objects": [], "healthy": True}
            return None
        return Wait(outcome.until, outcome.message, (*self._watch, *outcome.watch)) if isinstance(outcome, Wait) else outcome

    def _apply_component(self, path: str, params: dict[str, Any]) -> Outcome:
        value = params.get("value")
        name = params.get("component") or (value.get("name") if isinstance(value, dict) else "")
        if params.get("patch") is not None:
            return Failed("InvalidProperties", f"{path}: a component is applied as the application declares it; change it by an override policy")
        if params.get("namespace") or params.get("env"):
            return Failed("InvalidProperties", f"{path}: a component goes to its own namespace; leave out namespace and env")
        declared: dict[str, Any] = next((each for each in self._call.declared.get("components", ()) if each.get("name") == name), {})
        if isinstance(value, dict) and any(value[field] != declared.get(field) for field in ("properties", "traits") if field in value):
            return Failed("InvalidProperties", f"{path}: a component is applied as the application declares it; change it by an override policy")
        if not name:
            return Failed("InvalidProperties", f"{path}: it names no component; say which by component or value.name")
        if name not in self._call.components:
            message = f"{path}: component {one_line(name, 80)} is none of this application, or is not named in the step's properties"
            return Failed("InvalidProperties", message)
        values = {"values": dict(self._call.values)} if self._call.values else {}
        return Do({path: Effect("apply", {"component": name, "wave": -1, **values})})


def _request(path: str, params: dict[str, Any]) -> Outcome:
    """One request, whatever it is answered; a lost answer is asked for again under the same key (rule 9b)."""
    given = params.get("request") or {}
    headers = _headers(given)
    if headers is None:
        return Failed("InvalidProperties", f"{path}: a header of headersFromSecret stands there twice")
    wanted = {"url": params.get("url"), "method": params.get("method") or "GET", "headers": headers}
    wanted |= {name: given[name] for name in ("body", "timeout") if given.get(name)}
    wrong = refuse(Http().check, wanted, "url")
    if wrong is not None:
        return Failed(wrong.reason, f"{path}: {wrong.message}")
    seconds = {"seconds": parse_duration(wanted.pop("timeout")).total_seconds()} if "timeout" in wanted else {}
    return Do({path: Effect("http", {**wanted, **seconds, "answer": ANSWER_LIMIT, "verbatim": True})})


def _headers(given: dict[str, Any]) -> dict[str, Any] | None:
    """In clear, or as the executor is to read them; None where one is named twice."""
    found, listed = dict(given.get("header") or {}), given.get("headersFromSecret") or ()
    names = {name.lower() for name in found} | {item["name"].lower() for item in listed}
    found |= {item["name"]: {"secretRef": {"name": item["secret"], "key": item["key"]}} for item in listed}
    return found if len(names) == len(given.get("header") or {}) + len(listed) else None


def _make(params: dict[str, Any]) -> JsonObject:
    return make_config(params["name"], params.get("namespace") or "", params.get("template") or "", params["config"])


def _fault(obj: Any) -> str:
    """What keeps it from being an object that can be applied, by its field; empty where nothing does."""
    if not isinstance(obj, dict):
        return " is no object"
    metadata = obj.get("metadata")
    found = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, dict) else None,
    }
    wrong = next((name for name, value in found.items() if not isinstance(value, str) or not value), "")
    return f".{wrong} must be a text that is not empty" if wrong else ""


def _after(result: Result, other: Result) -> bool:
    return result.at is not None and other.at is not None and result.at > other.at


def _question(ref: ObjectRef) -> dict[str, Any]:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def _query(question: dict[str, Any]) -> Query:
    if question["name"]:
        return Live(ObjectRef(question["apiVersion"], question["kind"], question["namespace"], question["name"]))
    labels = tuple(sorted((question.get("labels") or {}).items()))
    return Listed(question["apiVersion"], question["kind"], question["namespace"], labels)


def _key(question: dict[str, Any]) -> str:
    """As the evaluator names a question."""
    labels = ",".join(f"{name}={value}" for name, value in sorted((question.get("labels") or {}).items()))
    return "|".join((question["apiVersion"], question["kind"], question["namespace"], question["name"], labels))
