"""The text of a file of the repository, from untrusted bytes."""

from __future__ import annotations


class UnreadableError(Exception):
    """Reading a file can't go on. `line`: from 1; 0 where it is none in particular."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def decode(data: bytes | str, limit: int) -> str:
    """Raises UnreadableError for what is too large, or no UTF-8."""
    if isinstance(data, str):
        # Lone surrogates have no UTF-8; they come out as bytes that the check below refuses.
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > limit:
        raise UnreadableError(0, f"the file has {len(data)} bytes, more than the limit of {limit}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError(1, "the file is UTF-16 (or UTF-32); save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise UnreadableError(data.count(b"\n", 0, nul) + 1, "the file holds a NUL byte (is it UTF-16 or binary?); save it as UTF-8")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as wrong:
        raise UnreadableError(data.count(b"\n", 0, wrong.start) + 1, "the file is not valid UTF-8") from None
