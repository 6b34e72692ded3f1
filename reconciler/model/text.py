"""Untrusted text for people: one line, control characters escaped (rule 13e)."""

from __future__ import annotations

import unicodedata
from typing import Final

MASK: Final = "***"
"""What stands in the place of a value that must not be seen."""


def one_line(text: object, limit: int = 256) -> str:
    """`text` on one line: controls, format characters (bidi overrides too) and lone surrogates escaped, cut at `limit` characters."""
    plain = str(text)
    if len(plain) <= limit and plain.isprintable():  # nearly all text is: what `isprintable` says holds none of the categories below
        return plain
    out = []
    for char in plain[: limit + 1]:
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            out.append(char.encode("unicode_escape", "surrogatepass").decode("ascii"))
        else:
            out.append(char)
    line = "".join(out)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def nearest(word: str, known: object) -> str | None:
    """The known word that `word` most looks like, or None. For "did you mean"."""
    import difflib

    names = [str(name) for name in known] if hasattr(known, "__iter__") else []
    found = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return found[0] if found else None
