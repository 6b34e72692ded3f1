"""The executors of an engine: those of effects on the cluster, and those that are handed in, told what they need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.engine.access import Claims
from reconciler.engine.apply import Applier
from reconciler.engine.cleaning import Cleaner
from reconciler.engine.contents import Contents
from reconciler.engine.credentials import Informed
from reconciler.engine.executors import Executor, Executors
from reconciler.engine.reach import Reach
from reconciler.engine.unapply import Unapplier
from reconciler.model.clock import Clock
from reconciler.notify.protocol import Sender

_SENDING: Final = frozenset({"http", "mail"})


def gather_executors(
    applier: Applier,
    unapplier: Unapplier,
    others: Mapping[str, Executor],
    sender: Sender | None,
    reach: Reach,
    contents: Contents,
    claims: Claims,
    clock: Clock,
) -> Executors:
    """By kind of effect. Where nothing leaves the machine (`sender` is None), no Secret is read for who would send it either."""
    informed = {kind: Informed(each, reach, contents, clock) if kind in _SENDING and sender is not None else each for kind, each in others.items()}
    return Executors({"apply": applier, "unapply": unapplier, "delete": Cleaner(reach, claims, clock), **informed})
