"""Where the daemon keeps the files of its own: its state and, beside it, its token."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.settings import Settings


def state_file(settings: Settings, branch: str, environ: Mapping[str, str] = os.environ) -> Path:
    """
    Where the state is kept: `--state`, or one file for each repository and branch in the user's state folder.

    `branch`: the full name of the ref that is followed, so that naming the default branch and leaving it out is one state.
    """
    if settings.state:
        return Path(settings.state)
    repository = Path(settings.repo).resolve()
    # The XDG Base Directory specification: a relative value is to be ignored.
    base = Path(environ.get("XDG_STATE_HOME", ""))
    folder = base if base.is_absolute() else Path.home() / ".local" / "state"
    mark = hashlib.sha256(f"{repository}\0{branch}".encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", repository.name.removesuffix(".git")).strip("-.") or "repository"
    return folder / "reconciler" / f"{name[:60]}-{mark}.db"


def token_file(settings: Settings, state: Path) -> Path:
    """`--token-file`, or beside the state."""
    return Path(settings.token_file) if settings.token_file else state.with_name(f"{state.name}.token")
