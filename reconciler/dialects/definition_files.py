"""
Definitions in the form of KubeVela's command line: a file of CUE with imports, one field by the definition's name, and `template`.

Each becomes the document that its manifest would be, so that everything else knows one form; lines stay those of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.file_text import UnreadableError, decode
from reconciler.dialects.findings import Findings
from reconciler.dialects.protocol import Document
from reconciler.dialects.scope import COMPONENT_DEFINITION, POLICY_DEFINITION, STEP_DEFINITION, TRAIT_DEFINITION
from reconciler.dialects.shapes import Anything, MapOf, Record, Text
from reconciler.model.definition import Checker
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

TEMPLATE: Final[FieldPath] = ("spec", "schematic", "cue", "template")
_KINDS: Final = {
    "component": COMPONENT_DEFINITION[1],
    "policy": POLICY_DEFINITION[1],
    "trait": TRAIT_DEFINITION[1],
    "workflow-step": STEP_DEFINITION[1],
}
_WORDS: Final = MapOf(Text(empty=True))
_SAID: Final = Record(
    {
        "type": Text(choices=tuple(_KINDS)),
        "alias": Text(empty=True),
        "description": Text(empty=True),
        "annotations": _WORDS,
        "labels": _WORDS,
        "attributes": MapOf(Anything()),
    },
    required=("type",),
)
_PREFIX: Final = "definition.oam.dev/"


def read_definition_file(path: str, data: bytes | str, limit: int, checker: Checker) -> tuple[list[Document], list[Problem]]:
    """The definition that a file of CUE holds, and what is wrong with its form; as `parse` does for YAML."""
    try:
        text = decode(data, limit)
    except UnreadableError as error:
        return [], [Problem(path, error.line, error.message)]
    parts = checker.take_apart(text)
    if parts.faults:
        return [], [Problem(path, fault.line, one_line(fault.message, 500)) for fault in parts.faults]
    findings = Findings(Document(path, 0, 1, {parts.name: parts.said}, text, parts.lines), f"definition {parts.name}")
    _SAID.check(parts.said, (parts.name,), findings)
    if findings.failed:
        return [], findings.problems()
    lines = {TEMPLATE: parts.line, **dict(_move(parts.lines, parts.name))}
    return [Document(path, 0, 1, _make_document(parts.name, parts.said, parts.template), text, lines)], []


def _make_document(name: str, said: Mapping[str, Any], template: str) -> dict[str, Any]:
    described = {_PREFIX + word: said[word] for word in ("alias", "description") if said.get(word)}
    return {
        "apiVersion": STEP_DEFINITION[0],
        "kind": _KINDS[said["type"]],
        "metadata": {"name": name, "annotations": {**_prefix(said.get("annotations")), **described}, "labels": _prefix(said.get("labels"))},
        "spec": {**said.get("attributes", {}), "schematic": {"cue": {"template": template}}},
    }


def _prefix(words: Mapping[str, str] | None) -> dict[str, str]:
    """As KubeVela does, so that the words of users can't be taken for its own."""
    return {name if "oam.dev" in name else f"custom.{_PREFIX}{name}": word for name, word in (words or {}).items()}


def _move(lines: Mapping[FieldPath, int], name: str) -> list[tuple[FieldPath, int]]:
    """Where the fields of the document stand."""
    moved: list[tuple[FieldPath, int]] = [(("metadata",), lines[name,]), ((), lines[name,])]
    for path, line in lines.items():
        match path:
            case (_, "type"):
                moved.append((("kind",), line))
            case (_, "attributes", *rest):
                moved.append((("spec", *rest), line))
            case (_, "annotations" | "labels" as words):
                moved.append((("metadata", words), line))
    return moved
