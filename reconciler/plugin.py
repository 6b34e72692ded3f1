"""
What a step type of your own is made of: a class with `run`, `rollback` and, where it can look at what it made, `sync`.

docs/plugins.md tells the whole of it by an example; `reconciler.testing` runs such a class in your tests. A class may say:

- `Parameters`: a msgspec Struct or a dataclass, plain types only, no code of its own. What the manifest gives is checked against it when
  it is read, and once more, with the inputs in it, before each call. Without it the step takes no parameters.
- `seconds`: how long one call may take, 60 unless given, at most 600.

A new object of the class is made for each call, in a thread of its own: what it keeps on itself is gone afterwards. The methods may be
`async def`; each of them then has an event loop of its own. They take a `Context` and answer `Done`, or None for a Done without anything in
it. What they raise is their failure: `Retryable`, `NotReady` or `Final`; any other exception is a fault of the plug-in, which is tried again
like Retryable and shown by its type alone.

Each call is one effect: done at least once under one `Context.key`. After a crash it is made again with the same key and the same
parameters, and whoever it calls on should take that key for what it is (`Idempotency-Key`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from reconciler.model.outcome import Done

__all__ = ["Context", "Done", "Final", "Log", "NotReady", "Retryable", "Step", "StepError"]

P = TypeVar("P")


class Log(Protocol):
    """Writes to the daemon's log, with plug-in, application and step beside it. Each text is cut to one line, and secrets are taken out as
    far as they are known; do not put any in."""

    def debug(self, message: str, **fields: Any) -> None: ...
    def info(self, message: str, **fields: Any) -> None: ...
    def warning(self, message: str, **fields: Any) -> None: ...
    def error(self, message: str, **fields: Any) -> None: ...


@dataclass(frozen=True)
class Context(Generic[P]):
    """
    What a call is told.

    `workflow`: namespace/name of the application. `step`: the step's name. `parameters`: an object of the class's `Parameters`.
    `attributes`: what steps of this run have shared so far. `workflow_parameters`: the workflow's own. `made`: for `rollback` and `sync`
    what `run` answered. `key`: the idempotency key, the same for each attempt of this call, also after a crash. `attempt`: how often this
    call has failed before. `deadline`: when the daemon gives it up (UTC).
    """

    workflow: str
    step: str
    parameters: P
    key: str
    attempt: int
    deadline: datetime
    log: Log
    attributes: Mapping[str, Any] = field(default_factory=dict)
    workflow_parameters: Mapping[str, Any] = field(default_factory=dict)
    made: Done | None = None


class Step(Protocol):
    """The two methods that each step has. `sync` is optional: how what `run` made is now, as `Done(resource=...)`; raised each `sync` period
    of the workflow, a `Final` one means that it is broken for good, anything else that it is asked again."""

    def run(self, context: Context[Any], /) -> Done | Awaitable[Done | None] | None: ...
    def rollback(self, context: Context[Any], /) -> Done | Awaitable[Done | None] | None: ...


class StepError(Exception):
    """`message` is shown to people, on one line: no secrets. `reason`: one CamelCase word for scripts."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.message, self.reason = message, reason


class Retryable(StepError):  # noqa: N818  # what it says about the failure, as a manifest's author reads it
    """It may pass: tried again with back-off, as often as the step's retry says."""


class NotReady(StepError):  # noqa: N818
    """Not yet: asked again after `after` seconds (at least one), with the same key. It counts as no attempt."""

    def __init__(self, message: str, reason: str = "", after: float = 10.0) -> None:
        super().__init__(message, reason)
        self.after = after


class Final(StepError):  # noqa: N818
    """It will not pass: the step has failed."""
