"""Where the daemon keeps the files of its own: the embedded cluster's state, its token, and what it made of the repository's files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.settings import Settings


class Files(NamedTuple):
    """`state`: the embedded cluster's, None where the cluster is another. `looks`: a cache that may be deleted at any time; `charts`: the folder of
    another one, which all daemons of a user share."""

    state: Path | None
    token: Path
    looks: Path
    charts: Path


def state_file(settings: Settings, branch: str, environ: Mapping[str, str] = os.environ) -> Path:
    """
    Where the state is kept: `--state`, or one file for each repository and branch in the user's state folder.

    `branch`: the full name of the ref that is followed, so that naming the default branch and leaving it out is one state.
    """
    if settings.state:
        return Path(settings.state)
    return _folder(environ, "XDG_STATE_HOME", ".local/state") / f"{_mark(settings, branch)}.db"


def files_of(settings: Settings, branch: str, environ: Mapping[str, str] = os.environ) -> Files:
    """On Kubernetes the state is there, and only a token and a cache are here: by repository and branch, and by how the cluster is reached."""
    charts = _folder(environ, "XDG_CACHE_HOME", ".cache") / "charts"
    if settings.cluster == "embedded":
        state = state_file(settings, branch, environ)
        beside = Files(state, state.with_name(f"{state.name}.token"), state.with_name(f"{state.name}.looks"), charts)
    else:
        shard = f"\0{settings.shard}" if settings.shard else ""
        mark = _mark(settings, branch, f"kubernetes\0{settings.kubeconfig}\0{settings.context}{shard}")
        token = _folder(environ, "XDG_STATE_HOME", ".local/state") / f"{mark}.token"
        beside = Files(None, token, _folder(environ, "XDG_CACHE_HOME", ".cache") / f"{mark}.looks", charts)
    return beside._replace(token=Path(settings.token_file)) if settings.token_file else beside


def _folder(environ: Mapping[str, str], variable: str, otherwise: str) -> Path:
    # The XDG Base Directory specification: a relative value is to be ignored.
    base = Path(environ.get(variable, ""))
    return (base if base.is_absolute() else Path.home() / otherwise) / "reconciler"


def _mark(settings: Settings, branch: str, more: str = "") -> str:
    """A name for files, of one repository and branch alone."""
    repository = Path(settings.repo).resolve()
    what = f"{repository}\0{branch}" + (f"\0{more}" if more else "")
    mark = hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", repository.name.removesuffix(".git")).strip("-.") or "repository"
    return f"{name[:60]}-{mark}"
