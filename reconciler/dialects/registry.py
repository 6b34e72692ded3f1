"""All families, and the one way from a file to applications, for the engine and for lint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from reconciler.dialects.definitions import NoChecker
from reconciler.dialects.documents import MAX_BYTES, parse
from reconciler.dialects.environment import check_environment, read_environment
from reconciler.dialects.in_cluster import NOWHERE, InCluster
from reconciler.dialects.kubevela import KubeVela
from reconciler.dialects.kubevela_workflows import check_workflow
from reconciler.dialects.protocol import Dialect, Document, Files
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import classify, explain_unrecognised, suspect_group
from reconciler.dialects.sreworks import SREWorks
from reconciler.dialects.stepflow import StepFlow
from reconciler.model.application import Application
from reconciler.model.definition import Checker
from reconciler.model.names import ENVIRONMENT_FILE
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem
from reconciler.model.sealed import FIELD, is_sealed
from reconciler.model.text import one_line

_WHOLE = (
    "the manifest of an application can't be encrypted as a whole, for decisions and rollbacks are commits that change it: encrypt a Secret "
    "in a file of its own, or only that Secret, or only a component's properties"
)
_LFS = "version https://git-lfs.github.com/spec/"


class FileResult(NamedTuple):
    """
    `recognised`: every document was read, is known for what it is, and those that are applications compiled (rule 1a).
    `foreign`: names of the documents that are none of ours, "" for one without a name.
    """

    applications: list[Application]
    problems: list[Problem]
    recognised: bool
    foreign: frozenset[str] = frozenset()


def dialects(
    steps: Mapping[str, StepType],
    plugins: Mapping[str, StepType] = MappingProxyType({}),
    checker: Checker | None = None,
    cluster: InCluster = NOWHERE,
) -> list[Dialect]:
    """`steps`: the step types that are built in, by name; `plugins`: those that every family has beside its own (rule 13f). `checker`: who
    reads the templates of definitions; None: nobody does, and each is an error. `cluster`: whether some of them stand in a cluster."""
    return [KubeVela(steps, plugins, checker or NoChecker(), cluster), SREWorks(steps, plugins), StepFlow(steps, plugins)]


def compile_file(path: str, data: bytes | str, files: Files, dialects: Sequence[Dialect], limit: int = MAX_BYTES) -> FileResult:
    """Everything that one file declares and everything that is wrong with it. Never raises for what the file holds."""
    if path.rpartition("/")[2] == ENVIRONMENT_FILE:
        _, problems = read_environment(path, data)
        return FileResult([], problems, not _failed(problems))
    families = [dialect for dialect in dialects if isinstance(dialect, KubeVela)]
    documents, problems = families[0].read_definitions(path, data, limit) if families else parse(path, data, limit)
    if not documents and not problems and (text := _first_text(data)):
        if text.startswith(_LFS):
            problem = Problem(path, 1, "a Git LFS pointer, and what it points to is not read: keep manifests in git itself")
            return FileResult([], [problem], recognised=False)
        return FileResult([], [], recognised=True, foreign=frozenset({""}))
    reading = Reading(files, documents)
    applications: list[Application] = []
    foreign: set[str] = set()
    for document in documents:
        application, found = _compile(document, reading, dialects, foreign)
        problems += found
        if application is not None:
            applications.append(application)
    return FileResult(applications, problems, not _failed(problems), frozenset(foreign))


def _compile(document: Document, files: Files, dialects: Sequence[Dialect], foreign: set[str]) -> tuple[Application | None, list[Problem]]:
    content = document.content
    if content.get("kind") == "List" and isinstance(content.get("items"), list):
        message = "a List is not taken apart; put each of its items in a document of its own"
        return None, [Problem(document.path, document.line, message, "List", "kind")]
    kind = classify(document.path, content)
    if kind == "application" and is_sealed(content):
        return None, [Problem(document.path, document.line, _WHOLE, _subject(content), FIELD)]
    if kind == "application":
        for dialect in dialects:
            if dialect.recognises(document):
                compiled = dialect.compile(document, files)
                return compiled.application, compiled.problems
    if kind == "environment":
        return None, check_environment(document)[1]
    if kind == "workflow":
        return None, check_workflow(document)
    if kind == "definition":
        return None, [problem for dialect in dialects if isinstance(dialect, KubeVela) for problem in dialect.check_definition(document, files)]
    if kind == "foreign":
        foreign.add(_name(content))
        group = suspect_group(content)
        if group is None:
            return None, []
        message = f"the group is not one of ours and the document is left alone (did you mean {group}?)"
        return None, [Problem(document.path, document.line, message, _subject(content), "apiVersion", "warning")]
    return None, [Problem(document.path, document.line, one_line(explain_unrecognised(content), 500), _subject(content), "kind")]


def _first_text(data: bytes | str) -> str:
    """The first line that is neither empty nor a comment nor a mark between documents."""
    lines = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).splitlines()
    return next((line for line in lines if line.strip() and not line.startswith(("#", "---", "...", "%"))), "")


def _failed(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _name(content: dict[str, object]) -> str:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def _subject(content: dict[str, object]) -> str:
    return one_line(f"{content.get('kind') or ''} {_name(content)}".strip(), 200)
