"""Reading properties that nobody vouches for: each wrong one is a RenderError that names component and field."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.text import one_line
from reconciler.render.protocol import RenderError


class Fields:
    """A mapping at a path of a component. Null means left out. What comes out is a copy: changing it changes no component."""

    def __init__(self, component: str, values: Mapping[str, Any], path: str = "properties") -> None:
        self._component, self._values, self._path = component, values, path

    def error(self, field: str, message: str) -> RenderError:
        where = f"{self._path}.{field}" if field else self._path
        return RenderError(f"component {one_line(self._component, 80)}: {where}: {message}")

    def has(self, field: str) -> bool:
        return self._values.get(field) is not None

    def given(self, field: str) -> bool:
        """Whether it stands there, be it null."""
        return field in self._values

    def raw(self, field: str) -> Any:
        """Whatever stands there."""
        return copy.deepcopy(self._values.get(field))

    def text(self, field: str, default: str = "") -> str:
        """A text; numbers, as one writes them for quantities and versions, are texts too."""
        value = self._values.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._wrong(field, "a text", value)
        return str(value)

    def required(self, field: str) -> str:
        value = self.text(field)
        if not value:
            raise self.error(field, "is required")
        return value

    def scalar(self, field: str) -> str:
        """A text, number or boolean as the text that a program gets; nothing is the empty text."""
        value = self._values.get(field)
        if isinstance(value, (dict, list)):
            raise self._wrong(field, "a text", value)
        return "" if value is None else plain_text(value)

    def choice(self, field: str, options: tuple[str, ...], default: str = "") -> str:
        value = self.text(field, default)
        if value and value not in options:
            raise self.error(field, f"must be one of {', '.join(options)}, not {one_line(value, 60)}")
        return value

    def whole(self, field: str, low: int, high: int, default: int) -> int:
        value = self._values.get(field)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(field, f"a whole number from {low} to {high}", value)
        return value

    def count(self, field: str) -> int:
        """A number of pods, which families also write as a text (seed 003)."""
        text = self.text(field)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise self.error(field, "must be a number of pods")
        return int(text)

    def flag(self, field: str, default: bool) -> bool:
        value = self._values.get(field)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(field, "true or false", value)
        return default if value is None else value

    def mapping(self, field: str) -> dict[str, Any]:
        value = self._values.get(field)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(field, "a mapping", value)
        return copy.deepcopy(value or {})

    def below(self, field: str) -> Fields:
        """The mapping of that name, empty where it is left out."""
        return Fields(self._component, self.mapping(field), f"{self._path}.{field}")

    def replaced(self, field: str, value: Any) -> Fields:
        """The same with another value in one field."""
        return Fields(self._component, {**self._values, field: value}, self._path)

    def text_map(self, field: str) -> dict[str, str]:
        """A mapping of texts: labels, annotations."""
        inside = self.below(field)
        return {key: inside.text(key) for key in sorted(self.mapping(field))}

    def texts(self, field: str) -> list[str]:
        """A list of texts; numbers and booleans are written out (`args: [--port, 80]`)."""
        texts = []
        for index, value in enumerate(self.values(field)):
            if value is None or isinstance(value, (dict, list)):
                raise self._wrong(f"{field}[{index}]", "a text", value)
            texts.append(plain_text(value))
        return texts

    def values(self, field: str) -> list[Any]:
        value = self._values.get(field)
        if value is not None and not isinstance(value, list):
            raise self._wrong(field, "a list", value)
        return copy.deepcopy(value or [])

    def items(self, field: str) -> Iterator[Fields]:
        """Each item of a list of mappings."""
        for index, item in enumerate(self.values(field)):
            if not isinstance(item, dict):
                raise self._wrong(f"{field}[{index}]", "a mapping", item)
            yield Fields(self._component, item, f"{self._path}.{field}[{index}]")

    def _wrong(self, field: str, wanted: str, value: object) -> RenderError:
        """Says what kind of value stands there, not the value: it may be a secret's."""
        kinds = {bool: "a boolean", str: "a text", dict: "a mapping", list: "a list", int: "a number", float: "a number"}
        return self.error(field, f"must be {wanted}, not {'empty' if value is None else kinds.get(type(value), 'something else')}")


def plain_text(value: str | float | bool) -> str:
    """A scalar as a text in an environment variable or an argument: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
