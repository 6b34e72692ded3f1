"""Environments: the nearest `environment.yaml` above a manifest (DESIGN part 2)."""

from __future__ import annotations

from functools import partial
from typing import Any

from reconciler.dialects.documents import parse
from reconciler.dialects.findings import Findings
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.scope import ENVIRONMENT
from reconciler.dialects.shapes import Anything, MapOf, Record, Text
from reconciler.model.application import Environment
from reconciler.model.names import DNS_LABEL, ENVIRONMENT_FILE
from reconciler.model.problem import Problem

MAX_BYTES = 64 * 1024  # its values are in the digest of every application below it

_NAME = Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)")
_SHAPE = Record(
    {
        "apiVersion": Text(choices=(ENVIRONMENT[0],)),
        "kind": Text(choices=(ENVIRONMENT[1],)),
        "metadata": Record({"name": _NAME, "labels": Anything(), "annotations": Anything()}, required=("name",)),
        "spec": Record({"namespace": _NAME, "global": MapOf(Anything())}),
    },
    required=("apiVersion", "kind", "metadata"),
)


def candidates(path: str) -> list[str]:
    """Where the environment of a manifest may stand, nearest first, up to the repository's top."""
    found = []
    folder = path.rpartition("/")[0]
    while folder:
        found.append(f"{folder}/{ENVIRONMENT_FILE}")
        folder = folder.rpartition("/")[0]
    return [*found, ENVIRONMENT_FILE]


def find_environment(path: str, files: Reading) -> tuple[Environment | None, str, list[Problem]]:
    """
    The environment of the manifest at `path`, the file that it stands in ("" where there is none), and what is wrong with
    that. None: it can't be read, so the identity of what it applies to is not known.
    """
    for candidate in candidates(path):
        if files.oid(candidate) is not None:
            environment, problems = files.once(candidate, partial(_read, files.parsed(candidate, MAX_BYTES), candidate))
            return environment, candidate, problems
    return Environment(), "", []


def read_environment(path: str, data: bytes | str) -> tuple[Environment | None, list[Problem]]:
    """Reads an `environment.yaml`: exactly one document, of kind Environment. None where there is an error."""
    return _read(parse(path, data, MAX_BYTES), path)


def _read(parsed: tuple[list[Document], list[Problem]], path: str) -> tuple[Environment | None, list[Problem]]:
    documents, problems = parsed
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    if len(documents) != 1:
        return None, [*problems, Problem(path, 0, f"must hold exactly one Environment, not {len(documents)} documents")]
    environment, found = check_environment(documents[0])
    return environment, problems + found


def check_environment(document: Document) -> tuple[Environment | None, list[Problem]]:
    content: dict[str, Any] = document.content
    findings = Findings(document, "Environment")
    _SHAPE.check(content, (), findings)
    if findings.failed:
        return None, findings.problems()
    spec = content.get("spec") or {}
    return Environment(content["metadata"]["name"], spec.get("namespace") or "", spec.get("global") or {}), findings.problems()
