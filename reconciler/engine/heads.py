"""The heads that this process has seen of a ref: what a new leader may take for news (rule 3h)."""

from __future__ import annotations

from collections import deque

from reconciler.source.protocol import BehindError, Head, Source

_KEPT = 32


class Heads:
    """The last of them, in the order in which they were taken in."""

    def __init__(self) -> None:
        self._seen: deque[str] = deque(maxlen=_KEPT)

    def note(self, head: Head) -> None:
        self._seen.append(head.id)

    def check(self, source: Source, head: Head, observed: str) -> None:
        """
        Raises BehindError where the ref stands at an ancestor of what was observed, unless it was seen here to move there: whoever saw it at
        `observed` or later has seen that. `observed` empty: this repository is all there is, and is never behind.
        """
        if not observed or head.id == observed or source.descends(head.id, observed) or not source.descends(observed, head.id):
            return
        if not any(source.descends(seen, observed) for seen in list(self._seen)):
            raise BehindError(
                f"{head.ref or 'the source'} stands at {head.id[:12]}, an ancestor of {observed[:12]}, which was observed before: "
                "nothing is taken from it until it moves (if that is meant, push a commit; an empty one will do)"
            )
