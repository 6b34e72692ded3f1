"""
Applications that wait for others: whether those are ready now, and who is to look again when one changes.

Who waits is remembered with what it was told; it gets a turn only when that is no longer so. So a change costs a turn of those that wait
for it and learn something new, and applications that wait for each other don't wake each other for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

from reconciler.engine.applications import Application
from reconciler.engine.index import Index
from reconciler.engine.observations import Observations
from reconciler.model.dependencies import Unmet, describe_cycle, find_way_back
from reconciler.model.identity import AppKey
from reconciler.model.run import Phase

_FARTHEST: Final = 1000  # applications on a cycle that is told as one


class Dependencies:
    """In memory only: after a restart all that have something to run ask again."""

    def __init__(self, index: Index, apps: Mapping[AppKey, Application], observations: Observations, hint: Callable[[AppKey], None]) -> None:
        self._index, self._apps, self._observations, self._hint = index, apps, observations, hint
        self._awaited: dict[AppKey, dict[AppKey, str]] = {}

    def ask(self, waiter: AppKey, needs: Collection[AppKey]) -> list[Unmet]:
        """Those that are not ready. The waiter gets a turn when one of them stands otherwise."""
        found = []
        for need in needs:
            text = self._stands(need)
            told = self._awaited.setdefault(need, {})
            if text:
                told[waiter] = text
                found.append(self._explain(waiter, need, text))
            else:
                told.pop(waiter, None)
            if not told:
                del self._awaited[need]
        return found

    def tell(self, key: AppKey) -> None:
        """That application may stand otherwise."""
        waiters = self._awaited.get(key)
        if waiters is None:
            return
        text = self._stands(key)
        for waiter in [waiter for waiter, told in waiters.items() if told != text]:
            del waiters[waiter]
            self._hint(waiter)
        if not waiters:
            del self._awaited[key]

    def _explain(self, waiter: AppKey, need: AppKey, text: str) -> Unmet:
        cycle = find_way_back(self._waits_of, waiter, _FARTHEST)
        if need in cycle:
            return Unmet(need, "Cycle", f"waits for this one too: {describe_cycle(cycle)}")
        return Unmet(need, "NotReady" if need in self._index.entries else "Missing", text)

    def _waits_of(self, key: AppKey) -> list[AppKey]:
        entry = self._index.entries.get(key)
        return [*entry.declared.needs, *entry.declared.awaited] if entry is not None else []

    def _stands(self, key: AppKey) -> str:
        """Why it is not ready, empty where it is: what its head declares runs, nothing newer waits, and it is healthy. Without numbers
        that move all the time."""
        entry, app = self._index.entries.get(key), self._apps.get(key)
        if entry is None:
            return "is declared nowhere"
        if entry.missing:
            return "has left git"
        if not entry.valid:
            return "has errors in its manifest"
        if app is None or app.mirror.removal is not None:
            return "does not run yet"
        run, digest = app.open_run(), entry.declared.digest
        if run is not None:
            return f"{'waits at a gate of' if run.phase is Phase.WAITING else 'is at work in'} run {run.name}"
        if app.suspended(entry):
            return "is suspended"
        if digest == app.mirror.rejected:
            return "was rolled back"
        if digest == app.mirror.held:
            return f"has not come through its last run ({app.newest.phase.value})" if app.newest is not None else "is held"
        if app.mirror.running is None or app.mirror.running.digest != digest or app.mirror.dirty:
            return "has something newer to run"
        status, _ = self._observations.health(app.living())
        return "" if not app.items or status == "Healthy" else f"is {status}"
