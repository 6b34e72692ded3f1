"""Documents of kind `HealthRule` in `.reconciler/health/`: when objects of one kind are healthy, by expressions."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.dialects.documents import parse
from reconciler.dialects.findings import Findings, suggest
from reconciler.dialects.protocol import Document
from reconciler.dialects.shapes import Anything, Record, Text
from reconciler.model.expression import Expression, ExpressionError, parse_expression
from reconciler.model.health_rule import NAMES, HealthRule
from reconciler.model.names import API_VERSION, HEALTH_FOLDER
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

KIND: Final = "HealthRule"
MAX_BYTES: Final = 64 * 1024
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_GROUP: Final = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)?", re.ASCII)
_KIND: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}", re.ASCII)
_EXPRESSIONS: Final = ("healthy", "progressing", "degraded", "message")
_SHAPE: Final = Record(
    {
        "apiVersion": Text(choices=(API_VERSION,)),
        "kind": Text(choices=(KIND,)),
        "metadata": Record({"name": Text(), "labels": Anything(), "annotations": Anything()}, required=("name",)),
        "spec": Record(
            {
                "group": Text(pattern=_GROUP, meaning="an API group such as cert-manager.io, without a version", empty=True),
                "kind": Text(pattern=_KIND, meaning="a kind such as Certificate"),
                **dict.fromkeys(_EXPRESSIONS, Text()),
            },
            required=("kind", "healthy"),
        ),
    },
    required=("apiVersion", "kind", "metadata", "spec"),
)


def is_health_rule(path: str) -> bool:
    """Whether rules stand in the file at `path`."""
    return path.startswith(HEALTH_FOLDER) and path.lower().endswith(_SUFFIXES)


def read_health_rules(path: str, data: bytes | str) -> tuple[list[HealthRule], list[Problem]]:
    """The rules of a file, and what is wrong with it: where that is an error, the file gives none. Never raises for what the file holds."""
    documents, problems = parse(path, data, MAX_BYTES)
    rules: list[HealthRule] = []
    for document in documents:
        rule, found = _read(document)
        problems += found
        if rule is not None:
            rules.append(rule)
    return rules if all(problem.severity != "error" for problem in problems) else [], problems


def find_doubles(rules: list[HealthRule]) -> list[Problem]:
    """Two rules for one kind are an error at the second, which does not count."""
    first: dict[tuple[str, str], HealthRule] = {}
    problems = []
    for rule in rules:
        other = first.setdefault(rule.subject, rule)
        if other is not rule:
            path, _, line = rule.place.rpartition(":")
            message = f"{rule.kind}{f' of {rule.group}' if rule.group else ''} has a rule already, in {other.place}; this one does not count"
            problems.append(Problem(path, int(line), message, f"{KIND} {rule.kind}", "spec.kind"))
    return problems


def _read(document: Document) -> tuple[HealthRule | None, list[Problem]]:
    content: dict[str, Any] = document.content
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else ""
    findings = Findings(document, f"{KIND} {name if isinstance(name, str) else ''}".strip())
    _SHAPE.check(content, (), findings)
    if findings.failed:
        return None, findings.problems()
    spec = content["spec"]
    if not spec.get("group") and spec["kind"] == "Secret":
        findings.error(("spec", "kind"), "a Secret is not judged: what stands in it is not looked at")
    found = {field: _parse(spec.get(field), field, findings) for field in _EXPRESSIONS}
    healthy = found["healthy"]
    if findings.failed or healthy is None:
        return None, findings.problems()
    place = f"{document.path}:{document.line}"
    rule = HealthRule(spec.get("group") or "", spec["kind"], healthy, found["progressing"], found["degraded"], found["message"], place)
    return rule, findings.problems()


def _parse(text: str | None, field: str, findings: Findings) -> Expression | None:
    if text is None:
        return None
    at = ("spec", field)
    try:
        expression = parse_expression(text)
    except ExpressionError as error:
        findings.error(at, f"can't be read: {one_line(error)}")
        return None
    for root in dict.fromkeys(path.parts[0] for path in expression.paths):
        if root not in NAMES:
            findings.error(at, f"unknown name {one_line(root, 80)}{suggest(root, NAMES)}")
    return expression
