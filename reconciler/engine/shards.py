"""
Which applications a daemon acts for, where several share the work: the label `reconciler.dev/shard` (docs/decisions/0012).

Git says by a manifest's label whose daemon is to act. Who does is said by the same label on the mirror, which only who acts changes: so there is
one at any time, however far the copies of the repository are apart.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.cluster.protocol import Cluster, ClusterError, NotFoundError
from reconciler.engine.applications import Application
from reconciler.engine.declared import Declared
from reconciler.engine.index import Entry, Index
from reconciler.engine.leadership import lease_ref
from reconciler.model.clock import Clock
from reconciler.model.identity import ObjectRef

_MOMENT = 2.0
_DURATIONS = 2  # for which a lease that nobody renews counts as held: clocks differ


class Shards:
    """`own`: the shard of this daemon, empty: that of all that name none; None: it has the cluster to itself and takes everything."""

    def __init__(self, own: str | None, cluster: Cluster, namespace: str, clock: Clock) -> None:
        self.own, self._cluster, self._namespace, self._clock = own, cluster, namespace, clock
        self._led: dict[str, tuple[float, bool]] = {}

    @property
    def shared(self) -> bool:
        """Whether other daemons may act for some applications."""
        return self.own is not None

    def source(self, identity: str) -> str:
        """Under which what this daemon has accepted of a source is kept."""
        return f"{identity} shard={self.own}" if self.own else identity

    def keeps(self, app: Application) -> bool:
        """Whether this daemon acts for it."""
        return self.own in (None, app.mirror.shard)

    def takes(self, declared: Declared) -> bool:
        """Whether one without a mirror is this daemon's to begin with."""
        return self.own in (None, declared.shard)

    def is_strange(self, app: Application | None, entry: Entry | None) -> bool:
        """Whether another daemon acts for it, or is to begin with it."""
        if app is not None:
            return not self.keeps(app)
        return entry is not None and not self.takes(entry.declared)

    def count(self, index: Index) -> int:
        """How many applications git gives to this daemon."""
        return len(index.entries) if self.own is None else index.by_shard[self.own]

    def target(self, entry: Entry | None) -> str | None:
        """The shard that git gives one of this daemon's to; None where it stays. What git does not surely declare stays."""
        if self.own is None or entry is None or not entry.valid or entry.declared.shard == self.own:
            return None
        return entry.declared.shard

    def lease(self, shard: str) -> ObjectRef:
        return lease_ref(self._namespace, shard)

    async def is_led(self, shard: str) -> bool:
        """Whether somebody acts for that shard, or did a moment ago. What can't be known now is not so."""
        until, led = self._led.get(shard, (0.0, False))
        if self._clock.monotonic() >= until:
            led = await self._ask(shard)
            self._led[shard] = self._clock.monotonic() + _MOMENT, led
        return led

    async def _ask(self, shard: str) -> bool:
        try:
            spec = (await self._cluster.get(self.lease(shard)))["spec"]
            renewed, seconds = datetime.fromisoformat(str(spec["renewTime"])), float(spec["leaseDurationSeconds"])
        except (NotFoundError, ClusterError, KeyError, TypeError, ValueError):
            return False
        return bool(spec.get("holderIdentity")) and self._clock.now() < renewed + _DURATIONS * timedelta(seconds=seconds)


def planned_elsewhere(app: Application, entry: Entry) -> bool:
    """Whether the daemon that acts for it has taken up what git declares now: then it is known which objects that has."""
    digest, desired = entry.declared.digest, app.mirror.desired
    return (desired is not None and desired.digest == digest) or any(record.digest == digest for record in app.records)
