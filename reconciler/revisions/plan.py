"""What to do about a desired digest (rule 5b). Whether it may run at all (rule 6a) was asked before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from reconciler.revisions.record import Record


class SameAs(msgspec.Struct, frozen=True):
    """It runs already: recorded, no run."""

    revision: Record


class Restore(msgspec.Struct, frozen=True):
    """A restore run of that revision."""

    revision: Record


class New(msgspec.Struct, frozen=True):
    """A run with all its gates. `kept`: a revision of this content that is kept but was never promoted; None: there is none."""

    kept: Record | None = None


Plan = SameAs | Restore | New


def decide(desired: Mapping[int, str], promoted: Record | None, kept: Iterable[Record], *, newer_applied: bool) -> Plan:
    """
    `desired`: `git_digests` of the head's application. `promoted`: what counts as running. `newer_applied`: some run after
    that promotion applied objects of another revision, so that the cluster no longer holds just the promoted one.
    """
    if promoted is not None and promoted.holds(desired) and not newer_applied:
        return SameAs(promoted)
    same = sorted((record for record in kept if record.holds(desired)), key=lambda record: record.number, reverse=True)
    for record in same:
        if record.promoted and not record.rejected:
            return Restore(record)
    return New(same[0] if same else None)
