"""Definitions in the sandbox: what a template is worth, how far a step comes with it, what a component renders to."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from reconciler.model.canonical import canonical
from reconciler.model.definition import Checked, Fault, Parameter, Parts
from reconciler.model.health_policy import FIELDS, HealthPolicy
from reconciler.model.text import one_line
from reconciler.render import sandbox
from reconciler.render.sandbox import Sandbox, SandboxError
from reconciler.steps.defined import DefinedStep
from reconciler.steps.validation import Check

SECONDS: Final = 5.0
"""Of one evaluation."""
_MODULE: Final = "cue"


@functools.cache
def shared() -> Definitions:
    """That of this process: one for all threads."""
    return Definitions(sandbox.shared())


class Definitions:
    """To be used from any thread."""

    def __init__(self, engines: Sandbox) -> None:
        self._sandbox = engines

    def check(self, template: str, properties: dict[str, Any] | None = None, *, whole: bool = False) -> Checked:
        """As the dialects' `Checker`."""
        try:
            asked = canonical({"template": template, "properties": properties or {}, "given": properties is not None, "whole": whole})
            answer = self._ask("check", asked)
        except SandboxError as error:
            return Checked((Fault(one_line(error, 500), error.line),))
        except (ValueError, RecursionError) as error:
            return Checked((Fault(f"it can't be given what it needs: {one_line(error, 200)}"),))
        return Checked(
            tuple(Fault(problem["message"], problem["line"]) for problem in answer["problems"]),
            tuple(_read_parameter(row) for row in answer["parameters"]),
            tuple((problem.get("field", ""), problem["message"]) for problem in answer["findings"]),
            frozenset(answer["uses"]),
            tuple(answer["fields"]),
            (answer["apiVersion"], answer["kind"]),
        )

    def take_apart(self, text: str) -> Parts:
        """As the dialects' `Checker`."""
        try:
            answer = self._ask("file", canonical({"text": text}))
        except SandboxError as error:
            return Parts((Fault(one_line(error, 500), error.line),))
        faults = tuple(Fault(problem["message"], problem["line"]) for problem in answer["problems"])
        lines = {tuple(place["path"]): place["line"] for place in answer["places"]}
        return Parts(faults, answer["name"], answer["said"], answer["template"], answer["line"], lines)

    def render(self, request: dict[str, Any]) -> dict[str, Any]:
        """A component and its traits, as the module reads and answers it. Raises SandboxError, whose `file` is `component` or `traits[N]`."""
        try:
            asked = canonical(request)
        except (ValueError, RecursionError) as error:
            raise SandboxError(f"it can't be given what it needs: {one_line(error, 200)}") from error
        found: dict[str, Any] = self._ask("render", asked)
        return found

    def evaluate(self, request: str) -> dict[str, Any]:
        """How far a step comes, as the query `Evaluation` is answered: what is wrong is an answer, too."""
        try:
            found: dict[str, Any] = self._ask("walk", request.encode("utf-8", "replace"))
        except SandboxError as error:
            return {"error": one_line(error, 1000)}
        return found

    def judge(self, request: str) -> list[dict[str, Any]] | str:
        """How a component and its traits are by their health policies, one answer for each subject; text: why nobody can tell."""
        try:
            found: list[dict[str, Any]] = self._ask("judge", request.encode("utf-8", "replace"))
        except SandboxError as error:
            return one_line(error, 300)
        return found

    def check_policy(self, policy: HealthPolicy) -> dict[str, tuple[Fault, ...]]:
        """What is wrong with a health policy before it is given anything, by the name of its template; at the first where all are refused."""
        try:
            answer = self._ask("check_status", canonical(msgspec.to_builtins(policy)))
        except (SandboxError, ValueError) as error:
            return {FIELDS[0]: (Fault(one_line(error, 300)),)}
        found: dict[str, tuple[Fault, ...]] = {}
        for row in answer:
            found[row["template"]] = (*found.get(row["template"], ()), Fault(row["message"], row["line"]))
        return found

    @staticmethod
    def make_type(name: str, params: Mapping[str, str], required: tuple[str, ...], check: Check) -> DefinedStep:
        return DefinedStep(name, params, required, check)

    def _ask(self, function: str, asked: bytes) -> Any:
        return self._sandbox.call(_MODULE, function, msgspec.Raw(asked), seconds=SECONDS)


def _read_parameter(row: dict[str, Any]) -> Parameter:
    return Parameter(row["name"], row["type"], row["required"], row.get("default"), row.get("description", ""))
