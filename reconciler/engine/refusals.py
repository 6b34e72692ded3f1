"""What the cluster refuses of the objects that are applied together, found without writing any of them (decision 10)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from reconciler.cluster.protocol import ClusterError, ForbiddenError, ImmutableError, InvalidError
from reconciler.engine.applications import Application
from reconciler.engine.writing import Look, Writer
from reconciler.model.identity import ObjectRef

Refusals = list[tuple[ObjectRef, ClusterError]]

_SECONDS = 20.0
_LISTED = 5
_CANNOT_TELL = "does not support dry run"  # an admission webhook with side effects
_EACH = 240


def is_refusal(error: ClusterError) -> bool:
    """Whether the cluster judged the object itself. What may pass by itself, and what somebody else's object is in the way of, is none."""
    return isinstance(error, ForbiddenError | InvalidError) and _CANNOT_TELL not in str(error)


async def find_refusals(writer: Writer, app: Application, looks: Sequence[Look | None]) -> Refusals:
    """Tries each of those that are to be sent. Where a dry run cannot tell, nothing is concluded: a namespace or kind that comes with the same
    apply, an API server that is not there, or one that takes too long."""
    found: Refusals = []
    try:
        async with asyncio.timeout(_SECONDS):
            for look in looks:
                if look is None or look.told is not None or look.anew:
                    continue
                try:
                    await writer.rehearse(app, look)
                except ClusterError as error:
                    if is_refusal(error) and not (look.uid and isinstance(error, ImmutableError)):
                        found.append((look.ref, error))
    except TimeoutError:
        pass
    return found


def tell_refusals(refused: Refusals, applied: int, total: int) -> str:
    """Each by its name, and how far it came."""
    named = "; ".join(f"{ref}: {error}"[:_EACH] for ref, error in refused[:_LISTED])
    more = f"; and {len(refused) - _LISTED} more" if len(refused) > _LISTED else ""
    before = f" ({applied} of {total} objects were applied before it)" if applied else " (nothing was written)"
    return f"{named}{more}{before if total > 1 else ''}"
