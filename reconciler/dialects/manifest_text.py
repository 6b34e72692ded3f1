"""Kubernetes objects that stand as text in a field of another manifest."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from reconciler.dialects.documents import parse
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.objects import check_object
from reconciler.dialects.protocol import Document
from reconciler.model.problem import Problem
from reconciler.model.sealed import without_metadata

MAX_OBJECTS = 100


def read_objects(text: str, at: FieldPath, findings: Findings) -> list[dict[str, Any]]:
    """One object, several documents, or a list of objects. What is wrong is an error at `at` that names the line within the text."""
    documents, problems = parse("", text)
    if not documents and not problems:  # a list at the top is no mapping, so it is read as the value of one
        within, _ = parse("", f"objects:\n{indent(text, ' ')}")
        listed = within[0].content.get("objects") if within else None
        if isinstance(listed, list):
            whole = within[0]._replace(line=0)  # the line above the text is none of its own
            return _check(listed, [(whole, ("objects", index)) for index in range(len(listed))], at, findings)
    _tell(problems, at, findings)
    if not documents and not problems:
        findings.error(at, "it holds no object: YAML of one Kubernetes object, of several, or of a list of them is meant")
    return _check([document.content for document in documents], [(document, ()) for document in documents], at, findings)


def _check(objects: list[Any], places: list[tuple[Document, FieldPath]], at: FieldPath, findings: Findings) -> list[dict[str, Any]]:
    if len(objects) > MAX_OBJECTS:
        findings.error(at, f"more than {MAX_OBJECTS} objects in one step")
        return []
    found = []
    for obj, (document, path) in zip(objects, places, strict=True):
        inside = Findings(document, "")
        found.append(without_metadata(check_object(obj, path, inside)))
        _tell(inside.problems(), at, findings)
    return found


def _tell(problems: list[Problem], at: FieldPath, findings: Findings) -> None:
    for problem in problems:
        where = f"in line {problem.line} of it: " if problem.line else ""
        what = f"{problem.field}: " if problem.field else ""
        (findings.error if problem.severity == "error" else findings.warn)(at, f"{where}{what}{problem.message}")
