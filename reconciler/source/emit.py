"""Values as YAML text that every reader understands alike: what YAML 1.1, 1.2 or Kubernetes would misread is quoted."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from reconciler.dialects.scalars import STR, resolve

# Text that may stand without quotes in block and in flow style; the rest of the rules are in `is_plain`.
_PLAIN = re.compile(r"[A-Za-z0-9_./$(^~+-][A-Za-z0-9_./$()^~+=@%:;<>?!*&|\\ -]*")
_RESOLVER = yaml.resolver.Resolver()
_NOT_PRINTABLE = re.compile("[^\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def is_plain(text: str) -> bool:
    """Whether `text` without quotes is that text to every YAML reader."""
    if not _PLAIN.fullmatch(text) or text == "-" or text.endswith((" ", ":")) or ": " in text or text.startswith(("- ", "---", "...")):
        return False
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return isinstance(resolve(text), str) and tag == STR


def quoted(text: str) -> str:
    """Double-quoted, good as YAML and as JSON."""

    def escape(match: re.Match[str]) -> str:
        char = match[0]
        return _SHORT.get(char) or f"\\u{ord(char):04x}"

    return '"' + re.sub(r'["\\]|' + _NOT_PRINTABLE.pattern, escape, text) + '"'


def scalar(value: Any, style: str = "") -> str:
    """
    A string, number, boolean or None on one line. `style`: the quote of what it replaces, kept for strings where it can be.

    Raises ValueError for NaN and infinities.
    """
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == '"' or not is_plain(value):
        return quoted(value)
    return value


def flow(value: Any, *, strict: bool) -> str:
    """On one line. `strict`: JSON, every string quoted."""
    style = '"' if strict else ""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(key, style)}: {flow(item, strict=strict)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item, strict=strict) for item in value) + "]"
    return scalar(value, style)


def block(value: Any, *, hang: bool) -> list[str]:
    """
    Lines in block style, without indentation of their own. `hang`: lists stand two columns right of their key.

    What has no block style (scalars, empty collections) is one line.
    """
    if isinstance(value, dict) and value:
        return [line for key, item in value.items() for line in entry(key, item, hang=hang)]
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *rest = block(item, hang=hang) if not _is_literal(item) else _literal(item)
            lines += [f"- {first}", *("  " + line if line else "" for line in rest)]
        return lines
    return [flow(value, strict=False)]


def entry(key: str, value: Any, *, hang: bool) -> list[str]:
    """The lines of `key: value`."""
    name = scalar(key)
    if isinstance(value, dict | list) and value:
        indent = "  " if hang or isinstance(value, dict) else ""
        return [f"{name}:", *(indent + line if line else "" for line in block(value, hang=hang))]
    if _is_literal(value):
        first, *rest = _literal(value)
        return [f"{name}: {first}", *("  " + line if line else "" for line in rest)]
    return [f"{name}: {flow(value, strict=False)}"]


def _is_literal(value: Any) -> bool:
    """Whether a literal block holds the text exactly; more would be possible, quotes do for it."""
    if not isinstance(value, str) or "\n" not in value or value.endswith("\n\n") or value[0] in " \t\n":
        return False
    return all(not _NOT_PRINTABLE.search(line) and "\t" not in line and line == line.rstrip() for line in value.split("\n"))


def _literal(value: str) -> list[str]:
    return ["|" if value.endswith("\n") else "|-", *value.removesuffix("\n").split("\n")]
