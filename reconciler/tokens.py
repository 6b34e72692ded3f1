"""The token of those who may order, in a file that its owner alone reads (rule 13d). Both sides read it: the daemon and the command line."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

SHORTEST: Final = 16
_LARGEST: Final = 4096
# Whoever is not the owner may not write it, and others may not even read it; a group may, as a mounted Secret has it.
_TOO_OPEN: Final = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


class TokenError(Exception):
    """A file that holds no token that could be relied on. The message names it, and never what is in it."""


def keep_token(path: Path) -> str:
    """The token in that file; one is made, for its owner alone, where there is no such file. Raises TokenError and OSError."""
    try:
        return read_token(path)
    except FileNotFoundError:
        token = secrets.token_urlsafe(32)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    return token


def read_token(path: Path) -> str:
    """The token in that file. Raises TokenError and OSError."""
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise TokenError(f"{path} is no file")
        if mode & _TOO_OPEN:
            raise TokenError(f"{path} is open to others than its owner: `chmod 600` it, and have a new token made if anybody may have read it")
        data = file.read(_LARGEST + 1)
    token = data.decode("ascii", "replace").strip()
    if not SHORTEST <= len(token) <= _LARGEST or not token.isascii() or not token.isprintable() or " " in token:
        raise TokenError(f"{path} holds no token: {SHORTEST} to {_LARGEST} visible ASCII characters on one line are one")
    return token
