"""What a step answers, and what it asks for: effects and queries. A step does no I/O (DESIGN part 3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from reconciler.model.identity import GVK, AppKey, ObjectRef

Retry = Literal["now", "backoff", "wait", "terminal"]


HEALTH_SECONDS = 600.0
"""How long a step waits for health where nobody says so (rule 6c)."""


class Effect(msgspec.Struct, frozen=True):
    """Something that changes the world: kept, keyed, done at least once under one key (rule 9)."""

    kind: str
    params: dict[str, Any] = {}


class Result(msgspec.Struct, omit_defaults=True):
    """
    The stored outcome of an effect. `error` empty: it succeeded. `retry`: what the engine must do next when it failed.

    `value` at most 32 KiB as JSON (rule 3e); it never holds a secret.
    """

    value: dict[str, Any] = {}
    error: str = ""
    reason: str = ""
    retry: Retry = "terminal"
    at: datetime | None = None

    @property
    def ok(self) -> bool:
        return not self.error


class Health(msgspec.Struct, frozen=True):
    """
    Query: how are these objects? Answer: `{"status": Healthy|Progressing|Degraded|Missing|Unknown, "message": str}`, and
    `"failed": True` where one has failed for good.
    """

    refs: tuple[ObjectRef, ...]


class Live(msgspec.Struct, frozen=True):
    """Query: one live object. Answer: the object without managedFields and without secret data, or None."""

    ref: ObjectRef


LISTED = 200
"""How many objects a list answers at most."""


class Listed(msgspec.Struct, frozen=True):
    """Query: the objects of one kind in one namespace that have these labels. Answer: at most `LISTED` of them, as `Live` answers one; None where
    they may not be listed."""

    api_version: str
    kind: str
    namespace: str
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def gvk(self) -> GVK:
        return ObjectRef(self.api_version, self.kind, self.namespace, "").gvk


class Ready(msgspec.Struct, frozen=True):
    """Query: is that application as git declares it, with nothing newer waiting, and healthy? Answer: `{"ready": bool, "message": str}`, the
    message what follows its name where it is not."""

    app: AppKey


class Evaluation(msgspec.Struct, frozen=True):
    """Query: how far does a definition's template come with this? `request`: canonical JSON, as the evaluator reads it. Answer: what it says, or
    `{"error": str}`. It follows from the request alone."""

    request: str


class Measured(msgspec.Struct, frozen=True):
    """
    Query: how a metric was in the last `seconds`, but not before `since`. `endpoint`: the URL of a Prometheus, empty for the operator's first.

    Answer: `{"points": [(time, value)], "start", "end", "step"}` in seconds since 1970, or `{"error": str}` where it is not known, `{"refused": str}`
    where it is never asked, `{"pretended": True}` where nobody is.
    """

    endpoint: str
    query: str
    since: datetime | None
    seconds: float


Query = Health | Live | Listed | Ready | Evaluation | Measured


class Do(msgspec.Struct, frozen=True):
    """Carry these out; keys are paths within the step (`apply/web`), stable over calls."""

    effects: dict[str, Effect]


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do until `until` or until an answer to `watch` changes. Holds no worker."""

    until: datetime | None
    message: str
    watch: tuple[Query, ...] = ()


class Gate(msgspec.Struct, frozen=True):
    """A decision is needed. `deadline`: it opens by itself then (a timer; rule 4c says when that counts)."""

    message: str = ""
    deadline: datetime | None = None


class Done(msgspec.Struct, frozen=True):
    """`outputs`: what the step exports, `{component, objects, connection{host, port, secretRef}}` for apply steps. `attributes`: what it shares
    with all steps behind it and with who is called back. `resource`: what it made, `{status, id, name, address}`, as far as it knows."""

    outputs: dict[str, Any] = {}
    message: str = ""
    attributes: dict[str, Any] = {}
    resource: dict[str, str] = {}


class Failed(msgspec.Struct, frozen=True):
    """`retryable`: try again with back-off within the step's limit; otherwise for good. `ignorable`: not ready yet, ask again after
    `after` seconds; it counts as no attempt."""

    reason: str
    message: str
    retryable: bool = False
    ignorable: bool = False
    after: float = 10.0


Outcome = Do | Wait | Gate | Done | Failed


class Call(msgspec.Struct, frozen=True):
    """
    What a step is told. `properties` have the inputs in them; `values` are inputs that go into components, by component
    path. `restore`: gates pass, `rollout` is ignored (rule 7a). `since`: when the step began. `paused`: how long the
    application was suspended since then, or since the newest result came in; deadlines move by it (rule 6a). `begun`: paths of
    effects with a stored intent. Until one of them has its result the step answers `Do` with it: after a crash this is what
    carries it out again (rule 9a). `key`: of this try of this step, never used twice; what is left to chance follows from it. `attributes`:
    what steps before it shared, and where its workflow has contexts all that it began with; `parameters`: the workflow's. `made`: when it
    is undone or looked at again, the results of having run it. `health`: seconds that it waits for health, unless its properties say so.
    `template`: of the definition that its type is; `declared`: `components` and `policies` of the application as they are written, where the template
    asks for them. `outputs`: what is to be read of what it exports, by name. `context`: what that template, and nothing else, sees of its run.
    """

    app: AppKey
    step: str
    type: str
    properties: dict[str, Any]
    components: tuple[str, ...] = ()
    values: dict[str, Any] = {}
    restore: bool = False
    since: datetime | None = None
    paused: timedelta = timedelta()
    decision: str = ""
    begun: frozenset[str] = frozenset()
    key: str = ""
    attributes: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    made: dict[str, Result] = {}
    health: float = HEALTH_SECONDS
    template: str = ""
    outputs: dict[str, str] = {}
    declared: dict[str, Any] = {}
    context: dict[str, Any] = {}

    def deadline(self, start: datetime | None, seconds: float) -> datetime | None:
        """`start` plus `seconds`, moved by the time the application stood suspended."""
        return None if start is None else start + timedelta(seconds=seconds) + self.paused


class StepType(Protocol):
    """A step type: pure functions. `params` maps each property to its documented meaning; `required` names those that must be there.

    One that can look at what it made has also `sync`, with the arguments of `next`: Done, or Failed (for good where it is neither retryable
    nor ignorable). A step that has none is never looked at again. `exports`, where it is True: its outputs may be any path into what it answers;
    a tuple: these are what such a path may begin with, beside what every step that applies exports; "expressions": nor need they be paths.
    `unchecked`, where it is True: nobody here knows its properties. `makes`, where it is True: it applies objects that are rendered of its
    properties, and inputs for those go there.
    """

    name: str
    params: Mapping[str, str]
    required: tuple[str, ...]

    def check(self, properties: dict[str, Any]) -> list[tuple[str, str]]:
        """(field, message) for each thing wrong with the properties; used by validation."""
        ...

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome: ...
    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome: ...
