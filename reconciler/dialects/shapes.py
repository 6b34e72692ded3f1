"""The shapes that values must have, as tables are written in them; each finds every deviation below it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.model.duration import parse_duration
from reconciler.model.schedule import parse_schedule
from reconciler.model.text import one_line

_QUANTITY = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?", re.ASCII)
_PERCENT = re.compile(r"(?:100|[0-9]{1,2})%", re.ASCII)


class Shape(Protocol):
    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        """Adds what is wrong with `value`, which stands at `at`."""
        ...


@dataclass(frozen=True, slots=True)
class Anything:
    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Text:
    """`pattern` with `meaning`: what the text must be like, in words."""

    choices: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    meaning: str = ""
    empty: bool = False

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, str):
            hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
            findings.error(at, f"must be text, not {kind_of(value)}{hint}")
        elif not value and not self.empty:
            findings.error(at, "must not be empty")
        elif self.choices and value not in self.choices:
            findings.unknown(at, "value", value, self.choices)
        elif self.pattern is not None and not self.pattern.fullmatch(value):
            findings.error(at, f"must be {self.meaning}, not {one_line(value, 80)}")


@dataclass(frozen=True, slots=True)
class Whole:
    least: int = 0
    most: int = 2**31 - 1

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if isinstance(value, float):
            findings.error(at, f"must be a whole number from {self.least} to {self.most}")
        elif isinstance(value, bool) or not isinstance(value, int):
            findings.error(at, f"must be a whole number, not {kind_of(value)}")
        elif not self.least <= value <= self.most:
            findings.error(at, f"must be from {self.least} to {self.most}")


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            findings.error(at, f"must be a number, not {kind_of(value)}")
        elif not self.least <= value <= self.most:
            findings.error(at, f"must be from {self.least:g} to {self.most:g}")


@dataclass(frozen=True, slots=True)
class Duration:
    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        try:
            parse_duration(value)
        except ValueError as error:
            findings.error(at, one_line(error))


@dataclass(frozen=True, slots=True)
class Truth:
    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, bool):
            findings.error(at, f"must be true or false, not {kind_of(value)}")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A Kubernetes quantity: `500m`, `1Gi`, `0.5`, 2."""

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        if not _QUANTITY.fullmatch(text):
            findings.error(at, "must be a quantity such as 500m, 0.5 or 1Gi")


@dataclass(frozen=True, slots=True)
class Partition:
    """A whole number, also as text, or a percentage where the workload takes one."""

    percent: bool = True

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
            return
        if isinstance(value, str) and _PERCENT.fullmatch(value):
            if not self.percent:
                findings.error(at, "a StatefulSet takes a number of pods as partition, not a percentage")
            return
        findings.error(at, f"must be a whole number from 0{' or a percentage such as 30%' if self.percent else ''}")


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron schedule of five fields."""

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        try:
            parse_schedule(value)
        except ValueError as error:
            findings.error(at, str(error))


@dataclass(frozen=True, slots=True)
class PortName:
    """A port by number or by name."""

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        (Text() if isinstance(value, str) else Whole(1, 65535)).check(value, at, findings)


@dataclass(frozen=True, slots=True)
class PortOr:
    """A port by number, or spelled out as `other`."""

    other: Shape

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        (self.other if isinstance(value, dict) else Whole(1, 65535)).check(value, at, findings)


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Shape
    least: int = 0
    most: int = 2**31

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, list):
            findings.error(at, f"must be a list, not {kind_of(value)}")
            return
        if len(value) < self.least:
            findings.error(at, "must not be empty")
        elif len(value) > self.most:
            findings.error(at, f"must have at most {self.most} items")
            return
        for index, item in enumerate(value):
            self.item.check(item, (*at, index), findings)


@dataclass(frozen=True, slots=True)
class MapOf:
    """`keys`: what its keys must be like, too."""

    item: Shape
    keys: Text | None = None
    least: int = 0

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, dict):
            findings.error(at, f"must be a mapping, not {kind_of(value)}")
            return
        if len(value) < self.least:
            findings.error(at, "must not be empty")
        for key, item in value.items():
            if self.keys is not None:
                self.keys.check(key, (*at, key), findings)
            self.item.check(item, (*at, key), findings)


@dataclass(frozen=True, slots=True)
class Record:
    """
    A mapping of known fields. A field that is null counts as left out, as for Kubernetes.

    `present`: fields that must stand there, be they null. `refused`: known fields that can't be used, each with why.
    """

    fields: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, dict):
            findings.error(at, f"must be a mapping, not {kind_of(value)}")
            return
        for name in self.required:
            if value.get(name) is None and (*at, name) not in findings.supplied:
                findings.error(at, f"{name} is required")
        for name in self.present:
            if name not in value:
                findings.error(at, f"{name} is required")
        if self.one_of and sum(value.get(name) is not None for name in self.one_of) != 1:
            findings.error(at, f"needs exactly one of {', '.join(self.one_of)}")
        for name, item in value.items():
            shape = self.fields.get(name)
            if name in self.refused:
                if item is not None:
                    findings.error((*at, name), f"{name} is {self.refused[name]}")
            elif shape is None:
                findings.unknown((*at, name), "field", name, self.fields)
            elif item is not None:
                shape.check(item, (*at, name), findings)


@dataclass(frozen=True, slots=True)
class ListedOr:
    """One thing spelled out, or several in the list at `field`: never both."""

    field: str
    several: Record
    one: Record

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        listed = isinstance(value, dict) and value.get(self.field) is not None
        (self.several if listed else self.one).check(value, at, findings)


@dataclass(frozen=True, slots=True)
class Variant:
    """A mapping whose text at `field` (`default` where it is left out) says which other fields it has."""

    field: str
    options: Mapping[str, Record]
    default: str = ""

    def check(self, value: Any, at: FieldPath, findings: Findings) -> None:
        if not isinstance(value, dict):
            findings.error(at, f"must be a mapping, not {kind_of(value)}")
            return
        choice = value.get(self.field)
        choice = self.default if choice is None else choice
        if not choice:
            findings.error(at, f"{self.field} is required")
        elif not isinstance(choice, str) or choice not in self.options:
            Text(choices=tuple(self.options)).check(choice, (*at, self.field), findings)
        else:
            named = self.options[choice]
            replace(named, fields={self.field: Text(), **named.fields}).check(value, at, findings)


def kind_of(value: Any) -> str:
    """What a value is, in words; never the value itself, which may be a secret."""
    for types, word in ((bool, "true or false"), (int, "a number"), (float, "a number"), (str, "text"), (list, "a list"), (dict, "a mapping")):
        if isinstance(value, types):
            return word
    return "nothing"
