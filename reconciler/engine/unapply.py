"""The executor of `unapply` effects: what a run created is deleted again, what was there before it stays (rules 1c, 1d)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from reconciler.cluster.protocol import ClusterError
from reconciler.engine.access import Claims
from reconciler.engine.applications import Application
from reconciler.engine.contents import Contents
from reconciler.engine.deletion import PRECIOUS, delete_ours
from reconciler.engine.reach import Reach
from reconciler.engine.stages import in_order_of_deletion
from reconciler.model.clock import Clock
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.outcome import Result
from reconciler.model.records import InventoryItem
from reconciler.model.run import Run
from reconciler.workflow.facts import Order

_LOOKS, _PAUSE = 25, 0.2


class Doomed(NamedTuple):
    """`items`: in the order in which they go. `kept`: what never goes without approval."""

    items: list[InventoryItem]
    kept: list[InventoryItem]

    @property
    def written(self) -> list[ObjectRef]:
        return []


class Unapplier:
    """
    Both methods answer a failed Result instead of raising. The inventory says which run created an object; where that is not known, because
    the daemon was killed before it heard of it, the object stays.
    """

    def __init__(
        self, reach: Reach, contents: Contents, claims: Claims, clock: Clock, known: Collection[AppKey], unplanned: Collection[AppKey]
    ) -> None:
        self._reach, self._contents, self._claims, self._clock = reach, contents, claims, clock
        self._known, self._unplanned = known, unplanned

    async def prepare(self, app: Application, run: Run, order: Order) -> Doomed:
        """When the application is removed, all that its runs created goes; what that may be was judged before (rule 1d)."""
        component = order.effect.params.get("component")
        mine = [item for item in app.items.values() if item.uid and item.component == component and item.run and item.collect != "never"]
        if run.kind == "undo":
            return Doomed(in_order_of_deletion(mine), [])
        mine = in_order_of_deletion(item for item in mine if item.run == run.name)
        return Doomed([item for item in mine if item.object.kind not in PRECIOUS], [item for item in mine if item.object.kind in PRECIOUS])

    async def execute(self, app: Application, planned: Doomed) -> Result:
        """Value: `deleted` and `kept`, packed refs."""
        deleted: list[str] = []
        value: dict[str, Any] = {"deleted": deleted, "kept": [item.ref for item in planned.kept]}
        if not await self._is_settled(app.key):
            return Result(value, "it is not known yet what other applications declare", "OwnerUnsettled", "wait", self._clock.now())
        for item in planned.items:
            if any(self._contents.declaring([item.object], (other for other in self._known if other != app.key))):
                continue
            try:
                await delete_ours(self._reach.of(app), item.object, item.uid, app.mirror.uid, "Orphan" if item.orphan else "Background")
            except ClusterError as error:
                return Result(value, f"{item.object}: {error}"[:1024], error.reason, error.retry, self._clock.now())
            deleted.append(item.ref)
            self._claims.release(item.object, app.key)
        return Result(value, at=self._clock.now())

    async def _is_settled(self, key: AppKey) -> bool:
        """Whether it is known what the others declare: that is never deleted (rule 1b). Waits for it a little."""
        for _ in range(_LOOKS):
            if all(other == key for other in self._unplanned):
                return True
            await self._clock.sleep(_PAUSE)
        return False
