"""What every application has whatever its family: identity, labels, annotations, environment."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from reconciler.dialects.environment import candidates, find_environment
from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.protocol import Document
from reconciler.dialects.reading import Reading
from reconciler.dialects.shapes import kind_of
from reconciler.model import names
from reconciler.model.account import picked, read_account
from reconciler.model.application import Environment
from reconciler.model.dependencies import parse_dependencies
from reconciler.model.identity import AppKey
from reconciler.model.text import one_line
from reconciler.model.treatment import fault_of_deletion

MAX_ANNOTATIONS = 256 * 1024  # Kubernetes' own limit, keys and values together

_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_KNOWN = ("name", "namespace", "labels", "annotations")
# What the API server writes; it stands in manifests that were read back from a cluster.
_SERVER = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink", "finalizers", "ownerReferences"}
)


class Header(NamedTuple):
    """`watched`: the places of the environment file, nearest first."""

    name: str
    namespace: str
    labels: dict[str, str]
    annotations: dict[str, str]
    environment: Environment
    watched: list[str]


def read_header(document: Document, files: Reading, findings: Findings) -> Header:
    """Fields that are wrong come out empty, with an error; the caller drops the application then."""
    metadata = document.content.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        findings.error(("metadata",), f"must be a mapping, not {kind_of(metadata)}")
        metadata = {}
    metadata = metadata or {}
    _check_fields(metadata, findings)
    labels = _read_texts(metadata, "labels", findings)
    for key, value in labels.items():
        if value and not _QUALIFIED.fullmatch(value):
            findings.error(
                ("metadata", "labels", key), "a label's value has at most 63 of A-Z, a-z, 0-9, - _ and . and begins and ends with a letter or digit"
            )
    annotations = _read_texts(metadata, "annotations", findings)
    size = sum(len(key.encode("utf-8", "replace")) + len(value.encode("utf-8", "replace")) for key, value in annotations.items())
    if size > MAX_ANNOTATIONS:
        findings.error(("metadata", "annotations"), f"annotations have {size} bytes, more than the limit of {MAX_ANNOTATIONS}")
    environment, place, problems = find_environment(document.path, files)
    if environment is None:
        first = f": {one_line(problems[0], 200)}" if problems else ""
        findings.error((), f"the environment file {place} has errors{first}")
        environment = Environment()
    if names.SHARD in labels and not names.DNS_LABEL.fullmatch(labels[names.SHARD]):
        findings.error(("metadata", "labels", names.SHARD), "no shard is called so: a DNS-1123 label (a-z, 0-9 and -, at most 63)")
    label = labels.get(names.ENVIRONMENT, "")
    namespace = _read_name(metadata, "namespace", findings) or environment.namespace or "default"
    if label:
        environment = msgspec.structs.replace(environment, name=label)
    name = _read_name(metadata, "name", findings)
    if names.DEPENDS_ON in annotations:
        _check_dependencies(annotations[names.DEPENDS_ON], AppKey(namespace, name), findings)
    if picks := picked(annotations):
        _check_account(picks, namespace, findings)
    fault = fault_of_deletion(annotations[names.DELETION_POLICY]) if names.DELETION_POLICY in annotations else ""
    if fault:
        findings.error(("metadata", "annotations", names.DELETION_POLICY), fault)
    return Header(name or _stem(document, metadata, findings), namespace, labels, annotations, environment, candidates(document.path))


def _check_dependencies(text: str, own: AppKey, findings: Findings) -> None:
    at: FieldPath = ("metadata", "annotations", names.DEPENDS_ON)
    try:
        if own in parse_dependencies(text, own.namespace):
            findings.error(at, "an application can't wait for itself")
    except ValueError as error:
        findings.error(at, str(error))


def _check_account(picks: dict[str, str], namespace: str, findings: Findings) -> None:
    """Well-formed, and one. Whether the operator allows it, the engine asks."""
    for key, text in picks.items():
        try:
            read_account({key: text}, namespace)
        except ValueError as error:
            findings.error(("metadata", "annotations", key), str(error))
            return
    try:
        read_account(picks, namespace)
    except ValueError as error:
        findings.error(("metadata", "annotations", next(iter(picks))), str(error))


def subject_of(document: Document, kind: str) -> str:
    """`Kind name`, by the name as written or the file's stem."""
    metadata = document.content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{kind} {name if isinstance(name, str) and name else stem_of(document.path)}"


def stem_of(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def is_gate_name(name: str) -> bool:
    """Whether the text is valid as the name part of an annotation key."""
    return _QUALIFIED.fullmatch(name) is not None


def _check_fields(metadata: dict[str, Any], findings: Findings) -> None:
    for field, value in metadata.items():
        at = ("metadata", field)
        if field == "generateName" and value is not None:
            findings.error(at, "generateName would make another application at each look; give it a name")
        elif field in _SERVER:
            findings.warn(at, f"{field} is the API server's to write and is not read")
        elif field not in _KNOWN and field != "generateName":
            findings.unknown(at, "field", field, _KNOWN)


def _read_texts(metadata: dict[str, Any], field: str, findings: Findings) -> dict[str, str]:
    value = metadata.get(field)
    if value is None:
        return {}
    at: FieldPath = ("metadata", field)
    if not isinstance(value, dict):
        findings.error(at, f"must be a mapping of text to text, not {kind_of(value)}")
        return {}
    for key, item in value.items():
        prefix, slash, name = key.rpartition("/")
        if not is_gate_name(name) or (slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix))):
            findings.error((*at, key), "not a valid key: an optional DNS prefix and /, then at most 63 of A-Z, a-z, 0-9, - _ and .")
        if not isinstance(item, str):
            findings.error((*at, key), f'the value must be text, not {kind_of(item)}: put it in quotes (for example "true")')
    return {key: item for key, item in value.items() if isinstance(item, str)}


def _read_name(metadata: dict[str, Any], field: str, findings: Findings) -> str:
    value = metadata.get(field)
    if value is None:
        return ""
    at: FieldPath = ("metadata", field)
    if not isinstance(value, str):
        findings.error(at, f"must be text, not {kind_of(value)}; put it in quotes")
        return ""
    if field == "namespace" and not names.DNS_LABEL.fullmatch(value):
        findings.error(at, f"{one_line(value, 80) or 'an empty text'} is no DNS-1123 label (a-z, 0-9 and -, at most 63)")
        return ""
    if field == "name" and not is_name(value):
        findings.error(at, f"{one_line(value, 80) or 'an empty text'} is no DNS-1123 subdomain of at most 63 characters (a-z, 0-9, - and .)")
        return ""
    return value


def is_name(text: str) -> bool:
    """Whether the text can be the name of an application."""
    # At most 63, because it is the value of a label on all that the application applies.
    return len(text) <= 63 and _SUBDOMAIN.fullmatch(text) is not None


def _stem(document: Document, metadata: dict[str, Any], findings: Findings) -> str:
    if metadata.get("name") is not None:
        return ""
    stem = stem_of(document.path)
    if not is_name(stem):
        findings.error(("metadata",), f"it has no name, and the file's name {one_line(stem, 80)} can't be one; set metadata.name")
        return ""
    findings.warn(("metadata",), f"it has no name; the file's is taken: {stem}")
    return stem
