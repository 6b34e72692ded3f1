"""Checks of step properties. Each answers (field, message) pairs; fields are paths below `properties`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.model.duration import parse_duration
from reconciler.model.outcome import Failed
from reconciler.model.text import nearest, one_line

Finding = tuple[str, str]
Check = Callable[[dict[str, Any]], list[Finding]]

_PERCENT = re.compile(r"(\d{1,3})%", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_WORDS = {bool: "true or false", str: "a text", dict: "a mapping", list: "a list", int: "a whole number"}


def refuse(check: Check, properties: dict[str, Any], *required: str) -> Failed | None:
    """
    A failure where the properties do not hold or a required one is null, else None. Asked again in each call: inputs come into the
    properties only when the step runs, long after validation.
    """
    found = [(name, "is required") for name in required if properties.get(name) is None] + check(properties)
    return Failed("InvalidProperties", "; ".join(f"{field}: {message}" for field, message in found[:5])) if found else None


def check_type(properties: dict[str, Any], field: str, wanted: type) -> list[Finding]:
    """A property that is left out or null is fine; true is no whole number."""
    value = properties.get(field)
    if value is None or (isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))):
        return []
    return [(field, f"must be {_WORDS[wanted]}, not {_shown(value)}")]


def check_text(properties: dict[str, Any], *fields: str) -> list[Finding]:
    """Each a text that is not empty, where given."""
    found = []
    for field in fields:
        found += check_type(properties, field, str) or ([(field, "must not be empty")] if properties.get(field) == "" else [])
    return found


def check_texts(properties: dict[str, Any], field: str, least: int = 0) -> list[Finding]:
    """A list of texts, none empty, at least `least` of them, where given."""
    found = check_type(properties, field, list)
    items = properties.get(field)
    if found or items is None:
        return found
    if len(items) < least:
        found.append((field, "must not be empty"))
    for index, item in enumerate(items):
        if not isinstance(item, str) or not item:
            found.append((f"{field}[{index}]", f"must be a text that is not empty, not {_shown(item)}"))
    return found


def check_fields(properties: dict[str, Any], field: str, known: Mapping[str, type], required: tuple[str, ...] = ()) -> list[Finding]:
    """A mapping of known fields, each of its type, where given; texts are not empty."""
    found = check_type(properties, field, dict)
    value = properties.get(field)
    if found or value is None:
        return found
    for name in value:
        if name not in known:
            close = nearest(name, known) if isinstance(name, str) else None
            found.append((f"{field}.{one_line(name, 80)}", "is not known here" + (f"; did you mean {close}?" if close else "")))
    for name, wanted in known.items():
        more = check_text(value, name) if wanted is str else check_type(value, name, wanted)
        found += [(f"{field}.{inner}", message) for inner, message in more]
    return found + [(f"{field}.{name}", "is required") for name in required if value.get(name) is None]


def check_scalars(properties: dict[str, Any], field: str) -> list[Finding]:
    """A mapping of texts, numbers and booleans, where given."""
    found = check_type(properties, field, dict)
    value = properties.get(field)
    if found or value is None:
        return found
    return [(f"{field}.{one_line(name, 80)}", f"must be a text, not {_shown(item)}") for name, item in value.items() if not _is_scalar(item)]


def check_whole(properties: dict[str, Any], field: str, least: int, most: int) -> list[Finding]:
    found = check_type(properties, field, int)
    value = properties.get(field)
    return found if found or value is None or least <= value <= most else [(field, f"must be from {least} to {most}")]


def check_choice(properties: dict[str, Any], field: str, choices: tuple[str, ...]) -> list[Finding]:
    found = check_text(properties, field)
    if not found and properties.get(field) is not None and properties[field] not in choices:
        found.append((field, f"must be one of {', '.join(choices)}"))
    return found


def check_duration(properties: dict[str, Any], field: str) -> list[Finding]:
    if properties.get(field) is None:
        return []
    try:
        parse_duration(properties[field])
    except ValueError as error:
        return [(field, one_line(error))]
    return []


def check_local(properties: dict[str, Any], field: str = "cluster") -> list[Finding]:
    """The only cluster so far is the one the daemon works on."""
    found = check_type(properties, field, str)
    if not found and properties.get(field) not in (None, "", "local"):
        found.append((field, "only the cluster that the daemon works on is known; leave it out"))
    return found


def check_rollout(properties: dict[str, Any]) -> list[Finding]:
    """`rollout` of SREWorks' apply-components: `{type: partition, properties: {partition, name}}`."""
    found = check_type(properties, "rollout", dict)
    rollout = properties.get("rollout")
    if found or rollout is None:
        return found
    found = [(f"rollout.{field}", "is not known here") for field in rollout if field not in ("type", "properties")]
    if rollout.get("type") != "partition":
        found.append(("rollout.type", f"must be partition, not {_shown(rollout.get('type'))}"))
    details = rollout.get("properties")
    if not isinstance(details, dict):
        return [*found, ("rollout.properties", "must be a mapping with partition")]
    found += [(f"rollout.properties.{field}", "is not known here") for field in details if field not in ("partition", "name")]
    found += [(f"rollout.properties.{field}", message) for field, message in check_text(details, "name")]
    try:
        parse_partition(details.get("partition"))
    except ValueError as error:
        found.append(("rollout.properties.partition", str(error)))
    return found


def parse_partition(value: object) -> int | str:
    """
    How many pods stay as they are: a whole number, also written as text (seed 003), or a percentage. Raises ValueError.

    Numbers come back as int, percentages as text (`25%`).
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    if isinstance(value, str):
        if _WHOLE.fullmatch(value):
            return int(value)
        percent = _PERCENT.fullmatch(value)
        if percent and int(percent[1]) <= 100:
            return f"{int(percent[1])}%"
    raise ValueError(f'must be a whole number from 0 or a percentage like "25%", not {_shown(value)}')


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _shown(value: object) -> str:
    """A value in a message: scalars as they are, the rest by its kind (it may be large)."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else one_line(repr(value), 60)
