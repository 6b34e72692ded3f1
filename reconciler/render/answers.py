"""What was answered, by the digest of all that was asked: who asks the same again is answered without an evaluation (rule 10)."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST: Final = 24 << 20
"""Bytes of all that is kept, packed."""
_MOST_EACH: Final = 2 << 20
_OVERHEAD: Final = 256  # bytes of an entry beside its content, about


class Answers:
    """
    To be used from any thread. In memory alone: answers may hold what was decrypted. The one that was not asked for the longest goes first.

    Who asks what another thread asks already waits for that one, and evaluates it only where that failed.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self._size = most, 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._under_way: dict[bytes, threading.Event] = {}

    def get(self, key: bytes, evaluate: Callable[[], bytes]) -> bytes:
        """What is kept, else what `evaluate` says; what that raises is raised, and nothing is kept."""
        with self._lock:
            other = self._under_way.get(key)
            mine = self._under_way.setdefault(key, threading.Event())
        if other is not None:
            other.wait()  # as long as the bounds of a call allow
        try:
            kept = self._find(key)
            if kept is None:
                kept = evaluate()
                self._keep(key, kept)
        finally:
            if other is None:
                with self._lock:
                    del self._under_way[key]
                mine.set()
        return kept

    def _find(self, key: bytes) -> bytes | None:
        with self._lock:
            packed = self._kept.get(key)
            if packed is None:
                return None
            self._kept.move_to_end(key)
        return zlib.decompress(packed)

    def _keep(self, key: bytes, answer: bytes) -> None:
        packed = zlib.compress(answer, 1)
        if len(packed) > min(_MOST_EACH, self._most // 4):
            return
        with self._lock:
            if key in self._kept:  # by who waited in vain for another
                return
            self._kept[key] = packed
            self._size += len(packed) + _OVERHEAD
            while self._size > self._most:
                _, gone = self._kept.popitem(last=False)
                self._size -= len(gone) + _OVERHEAD
