"""
The folders that a kustomization is made of: its own, and those that it takes as bases and components, wherever in the repository.

Kustomize reads other files only in or below the folder of the kustomization that names them, so that the files of these folders are all
that a result may rest on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from reconciler.dialects.documents import parse
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.objects import Folder, is_manifest, resolve
from reconciler.dialects.reading import Reading
from reconciler.model.application import Reference
from reconciler.model.problem import Problem
from reconciler.model.text import one_line

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MOST_FOLDERS = 100
MOST_FILES = 2000
# What may name a folder that holds a kustomization; every other field names files.
_FOLDERS = ("resources", "bases", "components", "generators", "transformers", "validators")
_CHARTS = ("helmCharts", "helmChartInflationGenerator")


class KustomizationError(Exception):
    """`path` is the file that has to change, "" where it is the one that names the kustomization; `line` is 0 where it is not known."""

    def __init__(self, path: str, message: str, line: int = 0) -> None:
        super().__init__(f"{path}:{line}: {message}" if line else f"{path}: {message}" if path else message)
        self.path, self.message, self.line = path, message, line


class Files(Protocol):
    def folder(self, path: str) -> Mapping[str, str]: ...
    def read(self, path: str) -> bytes: ...


class Reach(NamedTuple):
    """`folders` in the order in which they were found, the first is the kustomization's own; `files`: id of each file below one, by path."""

    folders: list[str]
    files: dict[str, str]


def read_kustomization(written: str, manifest: str, at: FieldPath, files: Reading, findings: Findings) -> Folder:
    """
    The kustomization in the folder that `properties.path` names: relative to the repository's top, or with `./` to the manifest.

    Every file that it may rest on is a reference. What is wrong with one is a problem of that file.
    """
    path = resolve(written, manifest)
    if path is None:
        findings.error(at, "must be a folder of the repository, without .. and not its top")
        return Folder("", [], frozenset(), [])
    try:
        reach = find_reach(path, files)
    except KustomizationError as error:
        if error.path:
            findings.include([Problem(error.path, error.line, one_line(error.message, 1000))])
        else:
            findings.error(at, error.message)
        return Folder(path, [], frozenset(), [f"{path}/"])
    references = [Reference(f"{written.rstrip('/')}/{posixpath.relpath(name, path)}", name, oid) for name, oid in reach.files.items()]
    kinds = {document.content.get("kind") for name in reach.files if is_manifest(name) for document in files.parsed(name)[0]}
    return Folder(path, references, frozenset(kind for kind in kinds if isinstance(kind, str)), [f"{folder}/" for folder in reach.folders])


def find_reach(path: str, files: Files) -> Reach:
    """What the kustomization in the folder `path` rests on. Raises KustomizationError: also for what is not fetched or not run here."""
    found: dict[str, str] = {}
    seen: dict[str, None] = {}
    waiting = [("", path)]
    while waiting:
        named_by, folder = waiting.pop(0)
        if folder in seen:
            continue
        seen[folder] = None
        if len(seen) > MOST_FOLDERS:
            raise KustomizationError(named_by, f"more than {MOST_FOLDERS} folders belong to one kustomization")
        below = _list(folder, named_by, files)
        file = _own_file(folder, below, named_by)
        found.update(below)
        if len(found) > MOST_FILES:
            raise KustomizationError(named_by, f"more than {MOST_FILES} files belong to one kustomization")
        waiting += [(file, base) for base in _bases(file, folder, below, files)]
    return Reach(list(seen), dict(sorted(found.items())))


def _list(folder: str, named_by: str, files: Files) -> Mapping[str, str]:
    try:
        return files.folder(folder)
    except ValueError as error:
        raise KustomizationError(named_by, one_line(error, 400)) from error


def _own_file(folder: str, below: Mapping[str, str], named_by: str) -> str:
    here = [f"{folder}/{name}" for name in NAMES if f"{folder}/{name}" in below]
    if len(here) == 1:
        return here[0]
    if here:
        raise KustomizationError(here[1], f"the folder has {' and '.join(posixpath.basename(name) for name in here)}: one of them has to go")
    message = f"there is no kustomization.yaml in the folder {one_line(folder, 200)}" if below else f"there is no folder {one_line(folder, 200)}"
    raise KustomizationError(named_by, message)


def _bases(file: str, folder: str, below: Mapping[str, str], files: Files) -> Iterator[str]:
    """Folders that it names. What is no folder is a file, which Kustomize itself reads or refuses."""
    for field, entry in _entries(file, files):
        joined = posixpath.normpath(posixpath.join(folder, entry))
        where = f"{field}: {one_line(entry, 200)}"
        if joined in below or "\n" in entry:  # a file; or an object written out in its place
            continue
        if joined in (".", "..") or joined.startswith(("../", "/")) or entry.startswith("/"):
            raise KustomizationError(file, f"{where} leads out of the repository, or to its top")
        if _list(joined, file, files):
            yield joined
        elif _is_elsewhere(entry):
            raise KustomizationError(file, f"{where} is not in the repository, and nothing is fetched from elsewhere: copy it here")
        else:
            raise KustomizationError(file, f"{where}: there is no such file below the folder of the kustomization, and no such folder")


def _is_elsewhere(entry: str) -> bool:
    """Whether Kustomize would take it for an address: a scheme, a user at a host, or a host's name before the first slash."""
    host = entry.partition("/")[0]
    return "://" in entry or "::" in entry or "@" in host or ("/" in entry and "." in host.strip("."))


def _entries(file: str, files: Files) -> Iterator[tuple[str, str]]:
    """Field and text of all that may name a folder."""
    content = _read(file, files)
    for field in _CHARTS:
        if field in content:
            raise KustomizationError(
                file, f"{field}: charts in a kustomization need the helm command, which is not run; use a component of type helm"
            )
    for field in _FOLDERS:
        listed = content.get(field)
        for entry in listed if isinstance(listed, list) else ():
            if isinstance(entry, str) and entry:
                yield field, entry


def _read(file: str, files: Files) -> Mapping[str, Any]:
    try:
        documents, problems = parse(file, files.read(file))
    except (FileNotFoundError, ValueError) as error:
        raise KustomizationError(file, f"can't be read: {one_line(error, 200)}") from error
    broken = next((problem for problem in problems if problem.severity == "error"), None)
    if broken is not None:
        raise KustomizationError(file, broken.message, broken.line)
    if len(documents) != 1:
        raise KustomizationError(file, "a kustomization is one YAML document")
    return documents[0].content
