"""
What an effect that sends something is not told by its parameters: a value of a Secret, read when it is sent and kept nowhere (rule 13c), and the
application as it stands in git.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from reconciler.cluster.protocol import ClusterError
from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError
from reconciler.engine.contents import Contents
from reconciler.engine.executors import Executor
from reconciler.engine.reach import Reach
from reconciler.model.canonical import canonical
from reconciler.model.clock import Clock
from reconciler.model.consent import allows
from reconciler.model.identity import ObjectRef
from reconciler.model.names import ALLOW_STEPS
from reconciler.model.outcome import Result
from reconciler.model.run import Run
from reconciler.model.text import MASK
from reconciler.revisions.masking import mask_manifests
from reconciler.steps.http import is_header_value
from reconciler.workflow.facts import Order

_FIELDS: Final = ("url", "password")
_SHORTEST: Final = 6  # words of a value that are shorter are no secrets
_PORTS: Final = {"http": 80, "https": 443}
_API: Final = {"Application": "core.oam.dev/v1beta1", "WorkflowRun": "core.oam.dev/v1alpha1"}


class Refused(Exception):  # noqa: N818  # an answer, not a fault of ours
    """Why a value of a Secret is not used. The text holds nothing of it."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.error)
        self.result = result


class _Telling(NamedTuple):
    """An effect whose receiver is told `secrets`, which it might answer."""

    planned: Any
    secrets: list[str]

    @property
    def written(self) -> list[ObjectRef]:
        found: list[ObjectRef] = self.planned.written
        return found


class Informed:
    """An executor whose effects are told, before they reach it, what only the cluster and the revision know. `inner` stores none of it."""

    def __init__(self, inner: Executor, reach: Reach, contents: Contents, clock: Clock) -> None:
        self._inner, self._reach, self._contents, self._clock = inner, reach, contents, clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Any:
        params = order.effect.params
        step_type = run.step(order.step).type
        told: dict[str, Any] = {}
        secrets: list[str] = []
        try:
            for field in _FIELDS:
                if isinstance(params.get(field), dict):
                    told[field] = await self._read(
                        app, step_type, params[field]["secretRef"], (params["host"], int(params["port"])) if "host" in params else None
                    )
            headers = {name: value["secretRef"] for name, value in (params.get("headers") or {}).items() if isinstance(value, dict)}
            if headers:
                read = {name: await self._read_header(app, step_type, named, told.get("url", params["url"])) for name, named in headers.items()}
                told["headers"], secrets = {**params["headers"], **read}, list(read.values())
            if isinstance(params.get("body"), dict):
                told["body"] = await self._describe(app, run)
        except Refused as refused:
            return refused.result
        except ContentError as error:
            return Result(error=str(error), reason="ContentLost", at=self._clock.now())
        planned = await self._inner.prepare(app, run, order._replace(effect=type(order.effect)(order.effect.kind, {**params, **told})))
        return _Telling(planned, secrets) if secrets and not isinstance(planned, Result) else planned

    async def execute(self, app: Application, planned: Any) -> Result:
        if isinstance(planned, _Telling):
            return _silence(await self._inner.execute(app, planned.planned), planned.secrets)
        return await self._inner.execute(app, planned)

    async def _read_header(self, app: Application, step_type: str, named: dict[str, str], url: str) -> str:
        value = await self._read(app, step_type, named, _place(url))
        if not is_header_value(value):
            raise self._refuse(
                "SecretIncomplete", f"Secret {named['name']} has no text in the entry {named['key']} that a header may be", retry="backoff"
            )
        return value

    async def _read(self, app: Application, step_type: str, named: dict[str, str], place: tuple[str, int] | None) -> str:
        """A value of a Secret of the application's own namespace, whose owner lets steps of that type send it to that host and port; None: it is the
        URL itself."""
        ref = ObjectRef("v1", "Secret", app.key.namespace, named["name"])
        objection = self._reach.look_objection(app, ref)
        if objection:
            raise self._refuse("NotAllowed", f"{ref}: {objection}")
        try:
            found = await self._reach.of(app).get(ref)
        except ClusterError as error:
            raise self._refuse(error.reason, f"{ref} can't be read: {error}", retry="backoff") from None
        entry = (found.get("data") or {}).get(named["key"])
        try:
            value = base64.b64decode(entry or "", validate=True).decode().strip()
        except (binascii.Error, ValueError, TypeError):
            value = ""
        if not value:
            raise self._refuse("SecretIncomplete", f"{ref} has no text in the entry {named['key']}", retry="backoff")
        consents = str((found["metadata"].get("annotations") or {}).get(ALLOW_STEPS) or "")
        if not allows(consents, step_type, *(place or _place(value))):
            text = f"{ref} does not allow it: whoever has it says so by the annotation {ALLOW_STEPS}: {step_type}@HOST, with the host that it is for"
            raise self._refuse("NoConsent", text)
        return value

    async def _describe(self, app: Application, run: Run) -> str:
        """The application as it stands in git, less what is secret in it: the same text for one revision."""
        declared = (await self._contents.get(app.key, run.revision)).application
        metadata = {"name": declared.name, "namespace": declared.namespace, "labels": declared.labels}
        content = {"apiVersion": _API.get(declared.kind, _API["Application"]), "kind": declared.kind, "metadata": metadata, "spec": declared.spec}
        return canonical(mask_manifests(content)).decode()

    def _refuse(self, reason: str, message: str, retry: str = "terminal") -> Refused:
        return Refused(Result({}, message[:1024], reason, "backoff" if retry == "backoff" else "terminal", self._clock.now()))


def _silence(result: Result, secrets: list[str]) -> Result:
    """The result without what its receiver was told in confidence, be it a text or JSON in a text."""
    words = {word for secret in secrets for word in (secret, *secret.split()) if len(word) >= _SHORTEST}
    value, error = msgspec.json.encode(result.value).decode(), result.error
    for word in sorted(words, key=len, reverse=True):
        error = error.replace(word, MASK)
        quoted = word
        for _ in range(3):
            value = value.replace(quoted, MASK)
            quoted = msgspec.json.encode(quoted).decode()[1:-1]
    try:
        return msgspec.structs.replace(result, value=msgspec.json.decode(value), error=error)
    except msgspec.DecodeError:  # a word that begins within an escape
        return msgspec.structs.replace(result, value={}, error="the answer repeats what the receiver was told in confidence", reason="AnswerInvalid")


def _place(url: str) -> tuple[str, int]:
    """Host and port of a URL; none where it has none, which nobody allows."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0
