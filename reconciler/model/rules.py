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


class DriftRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What may drift: dotted paths into the object, or `*` for all of it. `on_update`: a new revision leaves it as it is; `on_keep`:
    it is not healed.
    """

    selector: Selector
    paths: list[str] = []
    on_update: bool = True
    on_keep: bool = True


class Drift(NamedTuple):
    """Paths of one object that are left as they are, when a revision is applied and when drift is healed. `*` is all of it."""

    update: list[str]
    keep: list[str]


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    All rules of an application. Of several that select one object the first counts. `keep_legacy`: what is dropped is kept.
    `unhealed`: no drift is healed at all. `read_only`: objects that are there already and are never written. `shared_resource`:
    objects that other applications may have as well. `take_over`: objects that may be somebody else's; `adopts`: the family takes
    what belongs to nobody without being told.
    """

    keep_legacy: bool = False
    collect: list[CollectRule] = []
    unhealed: bool = False
    drift: list[DriftRule] = []
    read_only: list[Selector] = []
    shared_resource: list[Selector] = []
    take_over: list[Selector] = []
    adopts: bool = False

    def collects(self, origin: Origin) -> CollectRule:
        """When the object is deleted, and how."""
        return next((rule for rule in self.collect if rule.selector.selects(origin)), CollectRule(Selector()))

    def drifts(self, origin: Origin) -> Drift:
        """What of the object may drift."""
        rule = next((rule for rule in self.drift if rule.selector.selects(origin)), None)
        if self.unhealed or rule is None:
            return Drift(rule.paths if rule is not None and rule.on_update else [], ["*"] if self.unhealed else [])
        return Drift(rule.paths if rule.on_update else [], rule.paths if rule.on_keep else [])

    def only_reads(self, origin: Origin) -> bool:
        return any(selector.selects(origin) for selector in self.read_only)

    def shares(self, origin: Origin) -> bool:
        return any(selector.selects(origin) for selector in self.shared_resource)

    def takes_over(self, origin: Origin) -> bool:
        return any(selector.selects(origin) for selector in self.take_over)


def more_careful(one: Collect, other: Collect) -> Collect:
    """Of two strategies the one that deletes less (rules of garbage collection never make prune less careful)."""
    return max(one, other, key=_CARE.index)
