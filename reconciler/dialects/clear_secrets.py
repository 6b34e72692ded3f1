"""Secrets that stand in git in clear text, and what the repository's own `.sops.yaml` says of the files that they are in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from reconciler.dialects.documents import line_of, parse
from reconciler.dialects.fieldpath import FieldPath, format_path
from reconciler.dialects.protocol import Document, Files
from reconciler.model.names import SOPS_FILE
from reconciler.model.pattern import found, is_readable
from reconciler.model.problem import Problem
from reconciler.model.sealed import is_token, should_be_encrypted
from reconciler.model.text import one_line

_MOST_RULES: Final = 200
_MOST_FOUND: Final = 20


class ClearValue(NamedTuple):
    """A value of a Secret that is not encrypted. `secret`: its name; `at`: where it stands in the document at `position` of the file."""

    secret: str
    position: int
    at: FieldPath


def find_clear(documents: Sequence[Document]) -> list[ClearValue]:
    """The first values of each Secret in those documents, wherever in them it stands."""
    return [value for document in documents for value in _find(document.content, document.position, ())][:_MOST_FOUND]


def check_file(path: str, files: Files, *, warn: bool) -> list[Problem]:
    """
    Errors for clear values of Secrets that the nearest `.sops.yaml` above the file wants encrypted; with `warn`, warnings for other
    Secrets in clear text. Nothing where the file or its rules can't be read: others say so.
    """
    try:
        data = files.read(path)
    except (OSError, ValueError):
        return []
    if b"Secret" not in data and b"export2secret" not in data:
        return []
    clear = find_clear(parse(path, data)[0])
    if not clear:
        return []
    where, rule = _rule_for(path, files)
    text = data.decode("utf-8", "replace")
    problems: list[Problem] = []
    warned: set[str] = set()
    for value in clear:
        keys = [part for part in value.at if isinstance(part, str)]
        line, field = line_of(text, value.position, value.at), one_line(format_path(value.at), 200)
        name = f"Secret {one_line(value.secret, 80)}".strip()
        if rule is not None and should_be_encrypted(rule, keys):
            problems.append(Problem(path, line, f"stands in clear text, and {where} says that it is to be encrypted: sops encrypt -i", name, field))
        elif warn and name not in warned:
            warned.add(name)
            message = "a Secret's values stand in git in clear text: whoever can read the repository can read them (docs/sops.md)"
            problems.append(Problem(path, line, message, name, field, "warning"))
    return problems


def _find(value: Any, position: int, at: FieldPath) -> Iterator[ClearValue]:
    if isinstance(value, dict) and value.get("kind") == "Secret" and value.get("apiVersion") == "v1":
        metadata = value.get("metadata")
        name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
        for field in ("data", "stringData"):
            entries = value.get(field)
            for key, entry in entries.items() if isinstance(entries, dict) else ():
                if entry not in ("", None) and not is_token(entry):
                    yield ClearValue(name, position, (*at, field, key))
    elif isinstance(value, dict) and value.get("type") == "export2secret" and isinstance(value.get("properties"), dict):
        properties = value["properties"]
        for field, places in (("data", None), ("dockerRegistry", ("password",))):
            entries = properties.get(field)
            for key, entry in entries.items() if isinstance(entries, dict) else ():
                if (places is None or key in places) and entry not in ("", None) and not is_token(entry):
                    yield ClearValue(str(properties.get("secretName") or ""), position, (*at, "properties", field, key))
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _find(item, position, (*at, key))


def _rule_for(path: str, files: Files) -> tuple[str, dict[str, Any] | None]:
    """(file of the rules, the first rule of it that fits); no rule where there is none, or it can't be told which one fits."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        where = f"{folder}/{SOPS_FILE}" if folder else SOPS_FILE
        if files.oid(where) is not None:
            return where, _first(files, where, path[len(folder) :].lstrip("/"))
    return "", None


def _first(files: Files, where: str, path: str) -> dict[str, Any] | None:
    try:
        documents, _ = parse(where, files.read(where))
    except (OSError, ValueError):
        return None
    rules = documents[0].content.get("creation_rules") if documents else None
    for rule in rules[:_MOST_RULES] if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        pattern = str(rule.get("path_regex") or "")
        if not is_readable(pattern):
            return None
        if found(pattern, path):
            return rule
    return None
