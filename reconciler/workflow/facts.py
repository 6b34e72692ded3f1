"""What the machine is told about a run, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from reconciler.model.outcome import Effect, Query, Result
from reconciler.model.run import Decision, Run


class Facts(msgspec.Struct, frozen=True):
    """What the engine knows now.

    `results`: outcomes of effects that came in, by effect key. `seen`: answers to queries. `decisions`: judged ones, each for the
    gate key that it opens, or `run`. `looked_at`: when git was last read with success (timers, rule 4c). `newer`: the revision
    that supersedes this run, empty for none; `patient`: only while it waits at a gate (rule 6b). `held`: the reason for which the
    application is suspended (rule 6a). `removed`: it is surely gone from git. `target`: the rollback target's revision (7a).
    `restored`: how the restore run that undoes this one ended; `restore_message` and `restore_failure`: why it did not succeed.
    `admitted`: its queue lets it go on. `unbegun`: keys of effects whose intents are
    stored and that were not started, because they wait for their turn.
    """

    results: Mapping[str, Result] = {}
    seen: Mapping[Query, Any] = {}
    decisions: tuple[Decision, ...] = ()
    looked_at: datetime | None = None
    newer: str = ""
    patient: bool = False
    held: str = ""
    removed: bool = False
    target: str = ""
    restored: Literal["", "Succeeded", "Failed"] = ""
    restore_message: str = ""
    restore_failure: Literal["", "user", "internal"] = ""
    admitted: bool = True
    unbegun: frozenset[str] = frozenset()


class Order(NamedTuple):
    """An effect to carry out. `step` and `path` say where its intent stands in the run."""

    key: str
    step: str
    path: str
    effect: Effect


class Advance(NamedTuple):
    """`orders`: effects whose intents stand in `run` without a result, in workflow order; the engine starts those that are not
    under way. `wake`: look again then, whatever happens; where that is over, a timer waits for git to be read (rule 4c)."""

    run: Run
    orders: list[Order]
    queries: frozenset[Query]
    wake: datetime | None
