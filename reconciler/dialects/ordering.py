"""Names that wait for each other: cycles, and an order without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.application import Component


def find_cycle(before: Mapping[str, Iterable[str]]) -> list[str]:
    """
    One cycle of a graph, each name before the one that it waits for, the first repeated at the end; empty where there is none.

    `before` maps each name to those it waits for; names that are no keys are ignored. Linear in names and edges.
    """
    waits = {name: [other for other in others if other in before] for name, others in before.items()}
    followers: dict[str, list[str]] = {name: [] for name in waits}
    missing = {name: len(others) for name, others in waits.items()}
    for name, others in waits.items():
        for other in others:
            followers[other].append(name)
    ready = [name for name, count in missing.items() if count == 0]
    while ready:
        for follower in followers[ready.pop()]:
            missing[follower] -= 1
            if missing[follower] == 0:
                ready.append(follower)
    left = {name for name, count in missing.items() if count > 0}
    if not left:
        return []
    # Each name that is left waits for another that is: following those comes back to itself.
    trail: dict[str, int] = {}
    name = next(name for name in waits if name in left)
    while name not in trail:
        trail[name] = len(trail)
        name = next(other for other in waits[name] if other in left)
    return [*list(trail)[trail[name] :], name]


def in_order(components: Mapping[str, Component]) -> dict[str, Component]:
    """Each after those that it depends on, else in the order given."""
    done: dict[str, Component] = {}
    waiting = dict(components)
    while waiting:
        ready = {
            name: component for name, component in waiting.items() if all(other in done or other not in components for other in component.depends_on)
        }
        done |= ready or waiting  # a cycle is an error already
        waiting = {name: component for name, component in waiting.items() if name not in done}
    return done
