"""What decrypting takes and gives."""

from __future__ import annotations

from typing import NamedTuple


class SealError(Exception):
    """
    A document can't be decrypted; says where and why, never what was in it. `retry`: the same input may be decrypted later, when a key is
    there or the command answers.
    """

    def __init__(self, message: str, path: str = "", line: int = 0, field: str = "", *, retry: bool = False) -> None:
        super().__init__(message)
        self.path, self.line, self.field, self.retry = path, line, field, retry

    def again(self) -> SealError:
        """The same, as one that another try may mend."""
        self.retry = True
        return self


class Keys(NamedTuple):
    """Private keys as they stand in files: age identities, a line each, and armored PGP keys. `source`: where they came from, for messages."""

    age: tuple[str, ...] = ()
    pgp: tuple[str, ...] = ()
    source: str = ""

    def __repr__(self) -> str:
        return f"Keys({len(self.age)} age, {len(self.pgp)} pgp, {self.source})"
