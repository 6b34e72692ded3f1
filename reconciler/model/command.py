"""What a person orders at the API, and what is answered (rules 7f, 13d)."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from reconciler.model.identity import AppKey
from reconciler.model.run import CommandVerb

CommandResult = Literal["Done", "Unchanged", "Refused", "NotFound", "TimedOut"]


class Wish(msgspec.Struct, frozen=True):
    """`step`: the name or key of a step, empty for the whole. All of it is untrusted text, the author too: a token says who may, not who it was."""

    verb: CommandVerb
    author: str
    reason: str
    step: str = ""


class Commanded(msgspec.Struct):
    """
    What came of a command. `run`: the run that it was about, empty where there is none. `message`: one sentence. `commit`: the annotation that
    the daemon owes to git because of it, as a line of YAML; empty where it owes none, or another commit than that.
    """

    application: str
    namespace: str
    verb: CommandVerb
    result: CommandResult
    message: str
    run: str = ""
    step: str = ""
    commit: str = ""


class Commands(Protocol):
    """What the API hands commands to."""

    async def command(self, key: AppKey, wish: Wish, seconds: float) -> Commanded | None:
        """
        What came of it within that time; None where there is no such application. It is stored before it is answered as Done; TimedOut: it
        was not taken in yet, and will be, unless the daemon ends.
        """
        ...
