"""The executor of `delete` effects: objects that the application has are deleted and are not to be healed (rule 1c)."""

from __future__ import annotations

from typing import Any

from reconciler.cluster.protocol import ClusterError, NotFoundError
from reconciler.engine.access import Claims
from reconciler.engine.applications import Application
from reconciler.engine.deletion import PRECIOUS, delete_ours
from reconciler.engine.executors import Plain
from reconciler.engine.observations import Identity
from reconciler.engine.ownership import ProtectedError
from reconciler.engine.reach import Reach
from reconciler.model.clock import Clock
from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Result
from reconciler.model.records import InventoryItem
from reconciler.model.run import Run
from reconciler.workflow.facts import Order


class Cleaner:
    """Of what is in the inventory, alone: an object that others made or share is never deleted."""

    def __init__(self, reach: Reach, claims: Claims, clock: Clock) -> None:
        self._reach, self._claims, self._clock = reach, claims, clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:  # noqa: ARG002  # the protocol's arguments
        return Plain(run, order)

    async def execute(self, app: Application, planned: Plain) -> Result:
        """Value: `deleted` and `uids`, of the objects that go; `because` as it was ordered."""
        params = planned.order.effect.params
        if "refs" in params:
            return await self._sweep(app, [ObjectRef.unpack(packed).identity for packed in params["refs"]], str(params.get("because") or ""))
        deleted: list[str] = []
        uids: list[str] = []
        value: dict[str, Any] = {"deleted": deleted, "uids": uids}
        ref = ObjectRef(params["apiVersion"], params["kind"], params["namespace"], params["name"])
        try:
            for item in _chosen(app, ref):
                ref = item.object
                if await self._has(app, ref, params["labels"]):
                    if ref.kind in PRECIOUS:
                        return Result(
                            value, f"{ref} goes with approval alone: leave it out of the manifest", "Protected", "terminal", self._clock.now()
                        )
                    await delete_ours(self._reach.of(app), ref, item.uid, app.mirror.uid)
                    deleted.append(item.ref)
                    uids.append(item.uid)
                    self._claims.release(ref, app.key)
            if params["name"] and not deleted and await self._has(app, ref, {}):
                return Result(value, f"{ref} is none that this application made", "NotOurs", "terminal", self._clock.now())
        except ClusterError as error:
            return Result(value, f"{ref}: {error}"[:1024], error.reason, error.retry, self._clock.now())
        return Result(value, at=self._clock.now())

    async def _sweep(self, app: Application, wanted: list[Identity], because: str) -> Result:
        """Exactly those, as far as the application has them; what is marked by hand stays."""
        deleted: list[str] = []
        uids: list[str] = []
        value: dict[str, Any] = {"deleted": deleted, "uids": uids, **({"because": because} if because else {})}
        for item in [item for identity in wanted if (item := app.items.get(identity)) is not None and item.uid and not item.shared]:
            try:
                await delete_ours(self._reach.of(app), item.object, item.uid, app.mirror.uid)
            except ProtectedError:
                continue
            except ClusterError as error:
                return Result(value, f"{item.object}: {error}"[:1024], error.reason, error.retry, self._clock.now())
            deleted.append(item.ref)
            uids.append(item.uid)
            self._claims.release(item.object, app.key)
        return Result(value, at=self._clock.now())

    async def _has(self, app: Application, ref: ObjectRef, labels: dict[str, str]) -> bool:
        """Whether it is there, with those labels."""
        try:
            live = await self._reach.of(app).get(ref)
        except NotFoundError:
            return False
        return (live["metadata"].get("labels") or {}).items() >= labels.items()


def _chosen(app: Application, ref: ObjectRef) -> list[InventoryItem]:
    """What the application has of that kind and namespace, by name where there is one."""
    *place, name = ref.identity
    mine = [item for item in app.items.values() if item.uid and not item.shared and not item.ignored]
    return [item for item in mine if [*item.object.identity[:3]] == place and name in ("", item.object.name)]
