"""Where a rollback goes (rule 7a)."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.revisions.record import Record


def choose_target(records: Iterable[Record], leaving: Record) -> Record | None:
    """
    The newest promoted revision that is not rejected and is not the content that is being left; None: `NoRollbackTarget`.

    A superseded or failed revision was never promoted; a restore run makes no revision: so neither is ever a target.
    """
    fit = (record for record in records if record.promoted and not record.rejected and not _same(record, leaving))
    return max(fit, key=lambda record: record.number, default=None)


def _same(one: Record, other: Record) -> bool:
    return one.number == other.number or (one.version, one.digest) == (other.version, other.digest)
