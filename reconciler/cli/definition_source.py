"""Definitions as they stand on disk: those of a repository by name, or those of one file or folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import NotFoundError, RefusedError
from reconciler.dialects.definitions import read_definitions
from reconciler.dialects.protocol import Document
from reconciler.dialects.scope import COMPONENT_DEFINITION, POLICY_DEFINITION, STEP_DEFINITION, TRAIT_DEFINITION, in_scope
from reconciler.model.definition import Parameter
from reconciler.model.names import DEFINITION_FILE
from reconciler.model.problem import Problem
from reconciler.model.text import nearest
from reconciler.render.definitions import shared

KINDS: Final = {STEP_DEFINITION: "step", COMPONENT_DEFINITION: "component", TRAIT_DEFINITION: "trait", POLICY_DEFINITION: "policy"}
_SUFFIXES: Final = (DEFINITION_FILE, ".yaml", ".yml", ".json")


class Defined(msgspec.Struct):
    """A definition as scripts read it. `fault`: why it can't be used, empty where it can."""

    name: str
    kind: str
    path: str
    line: int
    functions: list[str]
    fault: str
    parameters: list[Parameter]
    template: str


def find(repo: Path) -> Iterator[Defined]:
    """Those that applications of a repository may find. What can't be read is passed over: `lint` says so."""
    files = DiskFiles(repo.resolve())
    for path in files.paths:
        if in_scope(path):
            yield from _take(_read(path, files)[0])


def look_up(what: str, repo: Path) -> list[Defined]:
    """
    Those of a name in the repository, or, where that is a path, those of the file or of all files below the folder. Raises NotFoundError, and
    RefusedError where a file of that path can't be read.
    """
    if "/" in what or what in (".", "..") or what.endswith(_SUFFIXES):
        return _find_at(Path(what))
    found = list(find(repo))
    named = [each for each in found if each.name == what]
    if not named:
        guess = nearest(what, [each.name for each in found])
        raise NotFoundError(f"there is no definition {what} in {repo}" + (f"; did you mean {guess}?" if guess else ""))
    return named


def _find_at(path: Path) -> list[Defined]:
    if path.is_dir():
        files = DiskFiles(path)
        names = [name for name in files.paths if name.endswith(_SUFFIXES)]
    elif path.is_file():
        files, names = DiskFiles(path.parent), [path.name]
    else:
        raise NotFoundError(f"there is no file {path}")
    found = []
    for name in names:
        documents, problems = _read(name, files)
        wrong = [problem for problem in problems if problem.severity == "error"]
        if wrong and (name.endswith(DEFINITION_FILE) or path.is_file()):
            raise RefusedError(str(wrong[0]))
        found += list(_take(documents))
    if not found:
        raise NotFoundError(f"there is no definition of a step, component or trait in {path}")
    return found


def _read(path: str, files: DiskFiles) -> tuple[list[Document], list[Problem]]:
    try:
        return read_definitions(path, files.read(path), checker=shared())
    except (OSError, ValueError) as error:
        return [], [Problem(path, 0, str(error))]


def _take(documents: Iterable[Document]) -> Iterator[Defined]:
    for document in documents:
        kind = KINDS.get(document.kind)
        if kind is not None:
            template = _template(document.content)
            checked = shared().check(template)
            fault = f"line {checked.faults[0].line} of the template: {checked.faults[0].message}" if checked.faults else ""
            yield Defined(document.name, kind, document.path, document.line, sorted(checked.uses), fault, list(checked.parameters), template)


def _template(content: Any) -> str:
    """Empty where there is none: `lint` says so."""
    for name in ("spec", "schematic", "cue", "template"):
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""
