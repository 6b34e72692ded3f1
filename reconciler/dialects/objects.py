"""Kubernetes objects that stand in a manifest, and folders of plain manifests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.reading import Reading
from reconciler.dialects.served import served_version
from reconciler.dialects.shapes import kind_of
from reconciler.model.application import Reference
from reconciler.model.names import SOPS_FILE
from reconciler.model.problem import Problem
from reconciler.model.sealed import is_token
from reconciler.model.text import one_line
from reconciler.model.treatment import find_faults

MAX_FILES = 1000
_SUFFIXES = (".yaml", ".yml", ".json")


class Folder(NamedTuple):
    """A folder that a component is made from; `kinds` are those of the objects in it. Each of `watched` ends in `/`."""

    path: str
    references: list[Reference]
    kinds: frozenset[str]
    watched: list[str]


def check_object(value: Any, at: FieldPath, findings: Findings) -> Any:
    """The object with its API version replaced where Kubernetes has removed that one (with a warning); errors are added."""
    if not isinstance(value, dict):
        findings.error(at, f"must be an object with apiVersion, kind and metadata.name, not {kind_of(value)}")
        return value
    for where, message in _faults(value):
        if (*at, *where) not in findings.supplied:
            findings.error((*at, *where), message)
    return serve(value, at, findings)


def serve(value: dict[str, Any], at: FieldPath, findings: Findings) -> dict[str, Any]:
    """The object with an API version that Kubernetes serves; a warning where that is another than the one written."""
    served = served_version(value.get("apiVersion"), value.get("kind"))
    if served is None:
        return value
    warn_served((*at, "apiVersion"), value["apiVersion"], value["kind"], served, findings)
    return {**value, "apiVersion": served}


def warn_served(at: FieldPath, removed: str, kind: str, served: str, findings: Findings) -> None:
    findings.warn(at, f"Kubernetes no longer serves {removed} {kind}; {served} is used instead")


def read_folder(written: str, manifest: str, at: FieldPath, files: Reading, findings: Findings) -> Folder:
    """
    The folder that `properties.path` names: relative to the repository's top, or with `./` to the manifest.

    Every YAML and JSON file below it is a reference and must hold proper objects; what is wrong in one is a problem of that file.
    """
    path = resolve(written, manifest)
    if path is None:
        findings.error(at, "must be a folder of the repository, without .. and not its top")
        return Folder("", [], frozenset(), [])
    try:
        found = {name: oid for name, oid in sorted(files.folder(path).items()) if is_manifest(name)}
    except ValueError as error:
        findings.error(at, one_line(error, 400))
        return Folder(path, [], frozenset(), [f"{path}/"])
    if not found:
        findings.error(at, f"there is no YAML file in the folder {one_line(path, 80)}")
    if len(found) > MAX_FILES:
        findings.error(at, f"the folder {one_line(path, 80)} has more than {MAX_FILES} manifests")
        return Folder(path, [], frozenset(), [f"{path}/"])
    kinds: set[str] = set()
    references = []
    for name, oid in found.items():
        references.append(Reference(f"{written.rstrip('/')}/{name[len(path) + 1 :]}", name, oid))
        findings.include(_read_file(name, files, kinds))
    return Folder(path, references, frozenset(kinds), [f"{path}/"])


def is_manifest(path: str) -> bool:
    """Whether a file of a folder is one of its manifests. The rules of SOPS may stand among them."""
    return path.lower().endswith(_SUFFIXES) and path.rpartition("/")[2] != SOPS_FILE


def resolve(written: str, manifest: str) -> str | None:
    """A path of the repository from what a manifest writes; None where it leads outside or to the top."""
    parts = manifest.split("/")[:-1] if written == "." or written.startswith("./") else []
    for part in written.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            return None
        parts.append(part)
    if written.startswith("/") or "\0" in written or not parts:
        return None
    return "/".join(parts)


def _read_file(path: str, files: Reading, kinds: set[str]) -> list[Problem]:
    documents, problems = files.parsed(path)
    problems = list(problems)
    for document in documents:
        findings = Findings(document, _subject(document.content))
        check_object(document.content, (), findings)
        problems += findings.problems()
        if isinstance(document.content.get("kind"), str):
            kinds.add(document.content["kind"])
    return problems


def _subject(content: dict[str, Any]) -> str:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{content.get('kind') or 'object'} {name or ''}".strip()


def _faults(value: dict[str, Any]) -> Iterable[tuple[FieldPath, str]]:
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            yield (field,), f"{field} is required and is text"
        elif is_token(value[field]):
            yield (field,), f"{field} is encrypted and can't be known: encrypt data and stringData alone (--encrypted-regex '^(data|stringData)$')"
    if value.get("kind") == "List" and "items" in value:
        yield ("kind",), "a List is not taken apart; write each object by itself"
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        yield ("metadata",), "metadata with a name is required"
        return
    if metadata.get("generateName") is not None:
        yield ("metadata", "generateName"), "generateName would make another object at each apply; give it a name"
    elif not isinstance(metadata.get("name"), str) or not metadata["name"]:
        yield ("metadata", "name"), "name is required and is text"
    elif is_token(metadata["name"]):
        yield (
            ("metadata", "name"),
            "name is encrypted and can't be known: encrypt data and stringData alone (--encrypted-regex '^(data|stringData)$')",
        )
    if metadata.get("namespace") is not None and not isinstance(metadata["namespace"], str):
        yield ("metadata", "namespace"), f"must be text, not {kind_of(metadata['namespace'])}; put it in quotes"
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        if entries is None:
            continue
        if not isinstance(entries, dict):
            yield ("metadata", field), f"must be a mapping of text to text, not {kind_of(entries)}"
            continue
        for key, item in entries.items():
            if not isinstance(item, str):
                yield ("metadata", field, key), f'the value must be text, not {kind_of(item)}: put it in quotes (for example "true")'
    annotations = metadata.get("annotations")
    for name, message in find_faults(annotations) if isinstance(annotations, dict) else ():
        yield ("metadata", "annotations", name), message
