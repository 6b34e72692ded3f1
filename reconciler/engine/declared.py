"""What one file declares; small, because there may be ten thousand of them."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.model.dependencies import read_dependencies
from reconciler.model.identity import AppKey
from reconciler.model.names import DELETION_POLICY, SUSPEND
from reconciler.model.problem import Problem
from reconciler.model.records import Mirror
from reconciler.model.treatment import DELETIONS, Deletion


class Declared(NamedTuple):
    """One application as a head declares it; small, because there may be ten thousand of them. `annotations`: ours alone.

    `commit`: the head in which this digest was first seen. `shard`: whose daemon is to act; empty: the one that has none.
    """

    key: AppKey
    digest: str
    path: str
    position: int
    line: int
    oid: str
    family: str
    environment: str
    commit: str
    annotations: dict[str, str]
    gates: tuple[str, ...]
    watched: tuple[str, ...]
    awaited: tuple[AppKey, ...] = ()
    shard: str = ""

    @property
    def needs(self) -> list[AppKey]:
        """Those that must be ready before a new run of it begins; `awaited` are those that its steps wait for."""
        return read_dependencies(self.annotations, self.key.namespace)

    @property
    def deletion(self) -> Deletion:
        """What becomes of its objects when it leaves git; empty where nothing is said."""
        said = self.annotations.get(DELETION_POLICY, "")
        return next((known for known in DELETIONS if known == said), "")

    @property
    def suspended(self) -> str:
        """The reason; empty where it is not suspended. A suspension without a reason is one nevertheless."""
        return (self.annotations[SUSPEND] or "no reason given") if SUSPEND in self.annotations else ""


class File(NamedTuple):
    """One file in scope. `recognised`: every document in it was read and is known for what it is (rule 1a)."""

    oid: str
    declared: tuple[Declared, ...]
    problems: tuple[Problem, ...]
    recognised: bool
    foreign: frozenset[str]


def declared_of(mirror: Mirror) -> Declared:
    """What state knows of an application's manifest, until a look finds it."""
    desired = mirror.desired
    return Declared(
        key=mirror.key,
        digest=desired.digest if desired is not None else "",
        path=mirror.path,
        position=0,
        line=mirror.line,
        oid="",
        family=mirror.family,
        environment=mirror.environment,
        commit=desired.commit if desired is not None else "",
        annotations=mirror.accounts,
        gates=(),
        watched=(),
        shard=mirror.shard,
    )
