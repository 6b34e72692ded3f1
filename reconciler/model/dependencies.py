"""Applications that wait for others: how that is written, and which of them wait for each other."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final, Literal, NamedTuple

from reconciler.model.identity import AppKey
from reconciler.model.names import DEPENDS_ON, DNS_LABEL
from reconciler.model.text import one_line

MOST: Final = 50
_LISTED: Final = 8
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?", re.ASCII)


class Unmet(NamedTuple):
    """One that is waited for. `text`: why, as what follows its name (`is Degraded`)."""

    app: AppKey
    reason: Literal["NotReady", "Missing", "Cycle"]
    text: str


def parse_dependencies(text: str, namespace: str) -> list[AppKey]:
    """Reads `name, namespace/name`; one without a namespace is of `namespace`. Raises ValueError with what is wrong."""
    items = [item.strip() for item in text.split(",")]
    if len(items) > MOST:
        raise ValueError(f"names more than {MOST} applications")
    found = []
    for item in items:
        where, slash, name = item.rpartition("/")
        if not _NAME.fullmatch(name) or (slash and not DNS_LABEL.fullmatch(where)):
            raise ValueError(f"{one_line(item, 80) or 'an empty text'} names no application: write NAME or NAMESPACE/NAME, with commas between them")
        found.append(AppKey(where or namespace, name))
    return list(dict.fromkeys(found))


def read_dependencies(annotations: Mapping[str, str], namespace: str) -> list[AppKey]:
    """Those that an application's annotation names; none where it is wrong, which its dialect has said."""
    try:
        return parse_dependencies(annotations[DEPENDS_ON], namespace) if DEPENDS_ON in annotations else []
    except ValueError:
        return []


def find_cycles(waits: Mapping[AppKey, Collection[AppKey]]) -> dict[AppKey, tuple[AppKey, ...]]:
    """For each application that waits for itself, however far around, the applications of one such cycle, in the order in which they wait."""
    left = _without_ends(waits)
    cycles: dict[AppKey, tuple[AppKey, ...]] = {}
    for start in left:
        if start not in cycles:
            cycle = find_way_back(left.__getitem__, start)
            cycles |= dict.fromkeys((key for key in cycle if key not in cycles), cycle)
    return cycles


def describe_cycle(cycle: tuple[AppKey, ...]) -> str:
    shown = [str(key) for key in cycle[:_LISTED]] + (["…"] if len(cycle) > _LISTED else [])
    return " → ".join([*shown, str(cycle[0])])


def _without_ends(waits: Mapping[AppKey, Collection[AppKey]]) -> dict[AppKey, list[AppKey]]:
    """Less all that waits for nobody in the end, and all that nobody waits for: what is left is on a cycle, or between two. Linear."""
    left = {key: [other for other in others if other in waits] for key, others in waits.items()}
    for _ in range(2):  # once in each direction
        back: dict[AppKey, list[AppKey]] = {key: [] for key in left}
        for key, others in left.items():
            for other in others:
                back[other].append(key)
        count = {key: len(others) for key, others in left.items()}
        ends = [key for key, number in count.items() if number == 0]
        while ends:
            for other in back[ends.pop()]:
                count[other] -= 1
                if count[other] == 0:
                    ends.append(other)
        left = {key: [other for other in back[key] if count[other]] for key, number in count.items() if number}
    return left


def find_way_back(waits_of: Callable[[AppKey], Collection[AppKey]], start: AppKey, most: int = 1_000_000) -> tuple[AppKey, ...]:
    """The shortest cycle through `start`, itself first; empty where there is none, or none among the `most` that are nearest."""
    came: dict[AppKey, AppKey] = {}
    todo = deque([start])
    while todo and len(came) < most:
        key = todo.popleft()
        for other in waits_of(key):
            if other == start:
                way = [key]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return tuple(reversed(way))
            if other not in came:
                came[other] = key
                todo.append(other)
    return ()
