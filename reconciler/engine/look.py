"""What one look at git found."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from reconciler.engine.declared import File
from reconciler.engine.files import Served
from reconciler.engine.rulebook import Rulebook
from reconciler.model.application import Application
from reconciler.model.identity import AppKey
from reconciler.source.ignore import Ignore
from reconciler.source.protocol import Head


class Look(NamedTuple):
    """What one look found: the head, when its ref was read, and each changed path with its file now (None: out of scope or gone).

    `compiled`: the applications of those files, each with its digest. `existed`: identities not in them that the accepted commit declared.
    `approved`: digests in `.reconciler/prune.yaml`. `blocked`: where a folder of the last files of those identities stood and now something
    else does. `book`: the health rules in `.reconciler/health/`. `served`: the definitions of the cluster. `fetch`: seconds until it was known
    what changed; `parse`: seconds of reading that.
    """

    head: Head
    at: datetime
    full: bool
    descends: bool
    ignore: str
    patterns: Ignore
    files: dict[str, File | None]
    compiled: dict[AppKey, tuple[str, Application]]
    existed: frozenset[AppKey]
    blocked: frozenset[str]
    approved: frozenset[str]
    book: Rulebook
    served: Served
    fetch: float
    parse: float
