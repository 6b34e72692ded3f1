"""What is asked of a revision when the next move is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Record(NamedTuple):
    """
    A kept revision in short. `digest` is its git digest, made by algorithm `version`. `promoted`: a run of it succeeded, once.
    `rejected`: its digest is rejected for this application now (rule 7b).
    """

    number: int
    digest: str
    promoted: bool = False
    rejected: bool = False
    version: int = 1

    def holds(self, digests: Mapping[int, str]) -> bool:
        """Whether it is the content of those digests (`git_digests`), by the algorithm that made it."""
        return digests.get(self.version) == self.digest
