"""How a single object wants to be treated: annotations that people write onto it, beside the rules of its application."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from reconciler.model.consent import find_consent_fault
from reconciler.model.names import (
    ADOPT_FIELDS,
    ALLOW_STEPS,
    ANNOTATION_RELEASED,
    ANNOTATION_REVISION,
    APPLY,
    DELETION_POLICY,
    FORCE,
    PRUNE,
    RECONCILE,
    STRIP_FIELDS,
    is_ours,
)
from reconciler.model.pointers import Pointer, parse_pointer
from reconciler.model.text import nearest, one_line

Deletion = Literal["", "delete", "orphan", "wait"]
Force = Literal["", "enabled", "with-data-loss"]

DELETIONS: Final[tuple[Deletion, ...]] = ("delete", "orphan", "wait")
_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        PRUNE: ("enabled", "disabled"),
        FORCE: ("disabled", "enabled", "with-data-loss"),
        APPLY: ("always", "if-absent"),
        RECONCILE: ("enabled", "ignore"),
        DELETION_POLICY: DELETIONS,
    }
)
_HELM_POLICY: Final = "helm.sh/resource-policy"  # what charts call it
_FIELDS: Final = (STRIP_FIELDS, ADOPT_FIELDS)
_MINE: Final = frozenset({ANNOTATION_REVISION, ANNOTATION_RELEASED})  # in objects that were read back from a cluster
_KEPT: Final = (
    ["apiVersion"],
    ["kind"],
    ["status"],
    *(["metadata", name] for name in ("name", "namespace", "labels", "annotations", "ownerReferences")),
)
_MOST: Final = 50


class Treatment(NamedTuple):
    """
    `prune`: it may be deleted. `force`: it may be deleted and made anew where it can't be changed; with data loss whatever it is.
    `if_absent`: it is made where it is not there, and never changed. `ignored`: it is left alone as it lives. `deletion`: empty where
    its application decides. `strip`: fields that are never sent; `adopt`: fields whose live value is taken.
    """

    prune: bool = True
    force: Force = ""
    if_absent: bool = False
    ignored: bool = False
    deletion: Deletion = ""
    strip: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()

    @property
    def stays(self) -> bool:
        """Whether it is never deleted."""
        return not self.prune or self.ignored or self.deletion == "orphan"


def treatment_of(obj: Mapping[str, Any]) -> Treatment:
    """Total: a value that means nothing is as if it was not there. `find_faults` refuses it before it comes here."""
    annotations = obj["metadata"].get("annotations") or {}
    if not any(name in annotations for name in (*_WORDS, *_FIELDS, _HELM_POLICY)):
        return Treatment()
    said = {name: annotations[name] for name, known in _WORDS.items() if annotations.get(name) in known}
    force, deletion = said.get(FORCE, ""), said.get(DELETION_POLICY, "")
    return Treatment(
        prune=said.get(PRUNE, annotations.get(_HELM_POLICY)) not in ("disabled", "keep"),
        force="" if force == "disabled" else force,
        if_absent=said.get(APPLY) == "if-absent",
        ignored=said.get(RECONCILE) == "ignore",
        deletion=deletion,
        strip=tuple(text for text in _texts(annotations.get(STRIP_FIELDS)) if not _fault_of_field(text)),
        adopt=tuple(text for text in _texts(annotations.get(ADOPT_FIELDS)) if not _fault_of_field(text)),
    )


def find_faults(annotations: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Annotation and what is wrong with it: unknown words, and names under our own domain that nothing reads on an object."""
    for name, value in annotations.items():
        if not isinstance(name, str) or not isinstance(value, str) or not is_ours(name) or name in _MINE:
            continue
        if name in _WORDS:
            if value not in _WORDS[name]:
                yield name, f"{one_line(repr(value), 60)} means nothing here; write {_listed(_WORDS[name])}{_guess(value, _WORDS[name])}"
        elif name in _FIELDS:
            yield from ((name, fault) for fault in _faults_of_fields(value))
        elif name == ALLOW_STEPS:
            yield from ((name, fault) for fault in [find_consent_fault(value)] if fault)
        else:
            known = (*_WORDS, *_FIELDS, ALLOW_STEPS)
            yield name, f"nothing reads {one_line(name, 120)} on an object{_guess(name, known) or f'; known are {_listed(known)}'}"


def fault_of_deletion(value: str) -> str:
    """What is wrong with an application's deletion policy; empty where nothing is."""
    return "" if value in DELETIONS else f"{one_line(repr(value), 60)} means nothing here; write {_listed(DELETIONS)}{_guess(value, DELETIONS)}"


def _faults_of_fields(value: str) -> Iterator[str]:
    texts = _texts(value)
    if not 1 <= len(texts) <= _MOST:
        yield f"must hold from 1 to {_MOST} JSON pointers, with spaces between them"
        return
    for text in texts:
        fault = _fault_of_field(text)
        if fault:
            yield f"{one_line(text, 80)} {fault}"


def _fault_of_field(text: str) -> str:
    try:
        path = parse_pointer(text)
    except ValueError as error:
        return str(error)
    return "is what the object is known by, or is ours to write" if _holds(path) else ""


def _holds(path: Pointer) -> bool:
    """Whether without that nothing would tell what the object is, or whose."""
    return path in ([], ["metadata"]) or path in _KEPT or (path[:1] == ["metadata"] and is_ours(path[-1])) or path[:1] == ["status"]


def _texts(value: Any) -> list[str]:
    return [text for text in re.split(r"[\s,]+", value) if text] if isinstance(value, str) else []


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _guess(word: str, known: tuple[str, ...]) -> str:
    meant = nearest(word, known) if len(word) <= 317 else None  # the longest name; a guess is slow
    return f"; did you mean {meant}?" if meant else ""
