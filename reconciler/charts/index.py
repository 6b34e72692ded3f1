"""`index.yaml` of a chart repository, of any size up to a bound: read as a stream of which only what is asked for is kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final, NamedTuple

import yaml
from yaml._yaml import CParser  # libyaml's parser; the public loaders are built on it
from yaml.events import AliasEvent, Event, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from reconciler.charts.protocol import ChartError

MOST_BYTES: Final = 48 << 20
_MOST_ENTRIES: Final = 200_000
_LONGEST: Final = 4096
_DEEPEST: Final = 100
_OPENING = (MappingStartEvent, SequenceStartEvent)
_CLOSING = (MappingEndEvent, SequenceEndEvent)


class Entry(NamedTuple):
    """One version of a chart. `url`: the first that is given, perhaps relative; `digest`: hex, empty where the index says none."""

    version: str
    url: str
    digest: str


def read_index(data: bytes) -> dict[str, list[Entry]]:
    """The versions of each chart, as listed. Raises ChartError."""
    try:
        return _Index(CParser(data)).read()
    except (yaml.YAMLError, UnicodeError) as error:
        raise ChartError("its index.yaml can't be read", retry=True) from error


class _Index:
    def __init__(self, parser: CParser) -> None:
        self._events = self._checked(parser)
        self._count = 0

    @staticmethod
    def _checked(parser: CParser) -> Iterator[Event]:
        depth = 0
        while parser.check_event():
            event = parser.get_event()
            assert event is not None
            if isinstance(event, AliasEvent):
                raise ChartError("its index.yaml uses aliases")
            depth += isinstance(event, _OPENING)
            depth -= isinstance(event, _CLOSING)
            if depth > _DEEPEST:
                raise ChartError("its index.yaml is nested too deeply")
            yield event

    def read(self) -> dict[str, list[Entry]]:
        top = next((event for event in itertools.islice(self._events, 3) if isinstance(event, (*_OPENING, ScalarEvent))), None)
        if not isinstance(top, MappingStartEvent):
            raise ChartError("its index.yaml is no mapping", retry=True)
        for key, value in self._pairs():
            if key == "entries" and isinstance(value, MappingStartEvent):
                return {chart: self._entries(listed) for chart, listed in self._pairs()}
            self._skip(value)
        raise ChartError("its index.yaml lists no entries", retry=True)

    def _entries(self, listed: Event) -> list[Entry]:
        if not isinstance(listed, SequenceStartEvent):
            self._skip(listed)
            return []
        found = []
        for event in self._items():
            if not isinstance(event, MappingStartEvent):
                self._skip(event)
                continue
            self._count += 1
            if self._count > _MOST_ENTRIES:
                raise ChartError(f"its index.yaml lists more than {_MOST_ENTRIES} charts")
            found.append(self._entry())
        return [entry for entry in found if entry.version and entry.url]

    def _entry(self) -> Entry:
        version = url = digest = ""
        for key, value in self._pairs():
            text = value.value[:_LONGEST] if isinstance(value, ScalarEvent) else ""
            if key == "version":
                version = text
            elif key == "digest":
                digest = text
            if key == "urls" and isinstance(value, SequenceStartEvent):
                for item in self._items():
                    url = url or (item.value[:_LONGEST] if isinstance(item, ScalarEvent) else "")
                    self._skip(item)
            else:
                self._skip(value)
        return Entry(version, url, digest.removeprefix("sha256:").lower())

    def _pairs(self) -> Iterator[tuple[str, Event]]:
        """Keys and what opens their values, to the end of the mapping that is open. Whoever asks reads each value to its end."""
        for key in self._events:
            if isinstance(key, MappingEndEvent):
                return
            self._skip(key)
            yield (key.value if isinstance(key, ScalarEvent) else ""), next(self._events)

    def _items(self) -> Iterator[Event]:
        for item in self._events:
            if isinstance(item, SequenceEndEvent):
                return
            yield item

    def _skip(self, opened: Event) -> None:
        """To the end of the value that this event begins."""
        depth = int(isinstance(opened, _OPENING))
        while depth:
            event = next(self._events)
            depth += isinstance(event, _OPENING)
            depth -= isinstance(event, _CLOSING)
