"""How an application wants its objects to be treated: rules that select objects, and what they say of one of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Collect = Literal["onAppUpdate", "onAppDelete", "never"]

_CARE: tuple[Collect, ...] = ("onAppUpdate", "onAppDelete", "never")


class Origin(NamedTuple):
    """What rules know of an object: the component and, where a trait made it, the trait that it comes from, its kind and name."""

    component: str
    component_type: str
    trait: str
    kind: str
    name: str


class Selector(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    Lists of what an object may come from or be. Each list that is not empty must hold it, and one at least must not be empty.

    `sources`: COMPONENT (or KubeVela's label for it, WORKLOAD), TRAIT.
    """

    components: list[str] = []
    component_types: list[str] = []
    sources: list[str] = []
    traits: list[str] = []
    kinds: list[str] = []
    names: list[str] = []

    def selects(self, origin: Origin) -> bool:
        source = {"TRAIT"} if origin.trait else {"COMPONENT", "WORKLOAD"}
        wanted = (
            (self.components, {origin.component}),
            (self.component_types, {origin.component_type}),
            (self.sources, source),
            (self.traits, {origin.trait} - {""}),
            (self.kinds, {origin.kind}),
            (self.names, {origin.name}),
        )
        return any(listed for listed, _ in wanted) and all(not is_in.isdisjoint(listed) for listed, is_in in wanted if listed)


class CollectRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """`orphan`: what belongs to the object stays when it is deleted."""

    selector: Selector
    strategy: Collect = "onAppUpdate"
    orphan: bool = False


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """All rules of an application. Of several that select one object the first counts. `keep_legacy`: what is dropped is kept."""

    keep_legacy: bool = False
    collect: list[CollectRule] = []

    def collects(self, origin: Origin) -> CollectRule:
        """When the object is deleted, and how."""
        return next((rule for rule in self.collect if rule.selector.selects(origin)), CollectRule(Selector()))


def more_careful(one: Collect, other: Collect) -> Collect:
    """Of two strategies the one that deletes less (rules of garbage collection never make prune less careful)."""
    return max(one, other, key=_CARE.index)
