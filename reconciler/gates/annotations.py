"""Annotations to items (rules 4a, 4d). Total: whatever stands there gives items and remarks, never an exception (rule 4f)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from reconciler.model.names import (
    CONTINUE_ROLLOUT,
    CREATE_NAMESPACE,
    DELETION_POLICY,
    DEPENDS_ON,
    GATE_PREFIX,
    RESERVED_STEPS,
    ROLLBACK,
    RUN_GATE,
    SERVICE_ACCOUNT,
    SUSPEND,
    is_ours,
)
from reconciler.model.run import Verb
from reconciler.model.text import nearest, one_line

_CODE = re.compile(r"[0-9a-f]{12}\Z", re.ASCII)
_VERBS: dict[str, Verb] = {"continue": "continue", "rollback": "rollback", "end": "end"}
_LONGEST = 4096
_MOST = 64
_LONGEST_NAME = 253 + 1 + 63  # of an annotation: prefix, slash and name
_GUESSES = 8
_OTHERS = frozenset({CONTINUE_ROLLOUT, ROLLBACK, SUSPEND, CREATE_NAMESPACE, DEPENDS_ON, SERVICE_ACCOUNT, DELETION_POLICY})
_PAIR: dict[tuple[str, str], Verb] = {("true", "false"): "continue", ("false", "true"): "rollback", ("false", "false"): "end"}


class Item(NamedTuple):
    """One decision as written. `gate`: the gate's key; empty for SREWorks' pair, which addresses the gate that waits (4d).

    `text` identifies it within the application: what 4b calls standing there, and what 4c stores as the value.
    """

    gate: str
    verb: Verb
    code: str
    text: str


class Remark(NamedTuple):
    """Why something that was written does not count: `reason` is a condition's, `message` a sentence that helps, `line` what would count."""

    reason: str
    message: str
    line: str = ""


class Reading(NamedTuple):
    items: list[Item]
    remarks: list[Remark]


def read_items(annotations: Mapping[str, Any], gates: Iterable[str]) -> Reading:
    """All decisions in a manifest's annotations. `gates`: the keys that exist in its workflow; `run` always exists."""
    known = {*gates, RUN_GATE}
    there = one_line(", ".join(sorted(known - RESERVED_STEPS)) or "none")
    items: list[Item] = []
    remarks: list[Remark] = []
    for annotation in sorted(key for key in annotations if isinstance(key, str) and key.startswith(GATE_PREFIX)):
        key, value = annotation[len(GATE_PREFIX) :], annotations[annotation]
        if key not in known:
            remarks.append(Remark("UnknownGate", f"{one_line(annotation)} names no gate of this workflow (its gates: {there})"))
            continue
        found, wrong = _read_list(key, value)
        items += found
        remarks += wrong
    pair, wrong = _read_pair(annotations)
    return Reading(items + pair, remarks + wrong + _unknown(annotations, known))


def _unknown(annotations: Mapping[str, Any], known: Iterable[str]) -> list[Remark]:
    """Keys under our own domain that nothing reads: a decision or a suspension with a typo in it is never silent (4f)."""
    remarks: list[Remark] = []
    for name in sorted(key for key in annotations if isinstance(key, str) and is_ours(key)):
        if name.startswith(GATE_PREFIX) or name in _OTHERS:
            continue
        guess = len(remarks) < _GUESSES and len(name) <= _LONGEST_NAME  # a guess is slow, and manifests are untrusted
        meant = nearest(name, [*_OTHERS, *(GATE_PREFIX + key for key in known)]) if guess else None
        hint = f"; did you mean {one_line(meant)}?" if meant else ""
        remarks.append(Remark("UnknownAnnotation", f"nothing reads {one_line(name)}{hint}"))
    return remarks


def _read_list(key: str, value: Any) -> tuple[list[Item], list[Remark]]:
    name = GATE_PREFIX + key
    if not isinstance(value, str):
        return [], [Remark("Malformed", f"{one_line(name)} must be a string; put it into quotes")]
    if len(value) > _LONGEST or value.count(",") >= _MOST:
        return [], [Remark("Malformed", f"{one_line(name)} is too long: at most {_MOST} decisions")]
    items: list[Item] = []
    remarks: list[Remark] = []
    for raw in value.split(","):
        text = raw.strip()
        if not text:
            continue
        word, at, code = text.partition("@")
        verb = _VERBS.get(word)
        if verb is None:
            remarks.append(Remark("Malformed", f"{one_line(name)}: {one_line(repr(text), 60)} is no decision; write continue@CODE, rollback or end"))
        elif at and not _CODE.match(code):
            remarks.append(Remark("Malformed", f"{one_line(name)}: {one_line(repr(code), 60)} is no code; a code has 12 lower-case hex digits"))
        elif key == RUN_GATE and verb == "continue":
            remarks.append(Remark("Malformed", f"{name} takes rollback and end, not continue"))
        else:
            items.append(Item(key, verb, code, f"{key}={text}"))
    return items, remarks


def _read_pair(annotations: Mapping[str, Any]) -> tuple[list[Item], list[Remark]]:
    """SREWorks' two keys are one value; a missing half waits in git (4d)."""
    missing = [name for name in (CONTINUE_ROLLOUT, ROLLBACK) if name not in annotations]
    if missing:
        half = f"{CONTINUE_ROLLOUT} and {ROLLBACK} are one value: {missing[0]} is missing, and the gate waits on"
        return [], [Remark("HalfMissing", half)] if len(missing) == 1 else []
    words: list[str] = []
    codes: list[str] = []
    for name in (CONTINUE_ROLLOUT, ROLLBACK):
        value = annotations[name]
        word, at, code = value.strip().partition("@") if isinstance(value, str) and len(value) <= _LONGEST else ("", "", "")
        if word not in ("true", "false") or (at and not _CODE.match(code)):
            return [], [Remark("Malformed", f'{name} must be "true" or "false", in quotes, with @CODE where it means continue')]
        words.append(word)
        codes += [code] if at else []
    verb = _PAIR.get((words[0], words[1]))
    if verb is None:
        return [], [Remark("Contradictory", f"10002: {CONTINUE_ROLLOUT} must be false if {ROLLBACK} is true; the gate waits on")]
    if len(set(codes)) > 1:
        return [], [Remark("Contradictory", f"10002: {CONTINUE_ROLLOUT} and {ROLLBACK} carry different codes; the gate waits on")]
    code = codes[0] if codes else ""
    return [Item("", verb, code, f"context={words[0]}/{words[1]}@{code}")], []
