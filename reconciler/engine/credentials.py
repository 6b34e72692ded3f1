"""
What an effect that sends something is not told by its parameters: a value of a Secret, read when it is sent and kept nowhere (rule 13c), and the
application as it stands in git.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final
from urllib.parse import urlsplit

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
from reconciler.revisions.masking import mask_manifests
from reconciler.workflow.facts import Order

_FIELDS: Final = ("url", "password")
_PORTS: Final = {"http": 80, "https": 443}
_API: Final = {"Application": "core.oam.dev/v1beta1", "WorkflowRun": "core.oam.dev/v1alpha1"}


class Refused(Exception):  # noqa: N818  # an answer, not a fault of ours
    """Why a value of a Secret is not used. The text holds nothing of it."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.error)
        self.result = result


class Informed:
    """An executor whose effects are told, before they reach it, what only the cluster and the revision know. `inner` stores none of it."""

    def __init__(self, inner: Executor, reach: Reach, contents: Contents, clock: Clock) -> None:
        self._inner, self._reach, self._contents, self._clock = inner, reach, contents, clock

    async def prepare(self, app: Application, run: Run, order: Order) -> Any:
        params = order.effect.params
        told: dict[str, Any] = {}
        try:
            for field in _FIELDS:
                if isinstance(params.get(field), dict):
                    told[field] = await self._read(app, run.step(order.step).type, params[field]["secretRef"], params)
            if isinstance(params.get("body"), dict):
                told["body"] = await self._describe(app, run)
        except Refused as refused:
            return refused.result
        except ContentError as error:
            return Result(error=str(error), reason="ContentLost", at=self._clock.now())
        return await self._inner.prepare(app, run, order._replace(effect=type(order.effect)(order.effect.kind, {**params, **told})))

    async def execute(self, app: Application, planned: Any) -> Result:
        return await self._inner.execute(app, planned)

    async def _read(self, app: Application, step_type: str, named: dict[str, str], params: dict[str, Any]) -> str:
        """A value of a Secret of the application's own namespace, whose owner lets steps of that type send it where it goes."""
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
        host, port = (str(params["host"]), int(params["port"])) if "host" in params else _place(value)
        consents = str((found["metadata"].get("annotations") or {}).get(ALLOW_STEPS) or "")
        if not allows(consents, step_type, host, port):
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


def _place(url: str) -> tuple[str, int]:
    """Host and port of a URL; none where it has none, which nobody allows."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", 0
