"""`generate-jdbc-connection`: the environment that connects to a database, from the Secret that describes it. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Done, Failed, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.read_object import look
from reconciler.steps.validation import Finding, check_text, refuse

_PLACE: Final = ("DB_HOST", "DB_PORT", "DB_NAME")
_LOGIN: Final = {"username": "DB_USER", "password": "DB_PASSWORD"}


class JdbcConnection(NothingToUndo):
    """
    The variables `url`, `username` and `password`, as upstream's, but by reference to the Secret: its values are in the container alone and in no
    step's output (rule 13c). `url` is put together by Kubernetes of three more variables.
    """

    name = "generate-jdbc-connection"
    params: Mapping[str, str] = MappingProxyType(
        {"name": "of the Secret, with DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD", "namespace": "the application's own; leave it out"}
    )
    required: tuple[str, ...] = ("name",)
    exports = ("env",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "name", "namespace")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        name = call.properties["name"]
        if call.properties.get("namespace") not in (None, call.app.namespace):
            return Failed("NotAllowed", f"a container reads Secrets of its own namespace alone: {call.app.namespace}")
        found = look(ObjectRef("v1", "Secret", call.app.namespace, name), seen)
        if not isinstance(found, dict):
            return found
        keys = found.get("data") or {}
        missing = [key for key in (*_PLACE, *_LOGIN.values()) if key not in keys]
        if missing:
            return Failed("SecretIncomplete", f"the Secret {name} has no {', '.join(missing)}", retryable=True)
        env: list[dict[str, Any]] = [_variable(key, name, key) for key in _PLACE]
        env.append({"name": "url", "value": "jdbc://$(DB_HOST):$(DB_PORT)/$(DB_NAME)?characterEncoding=utf8&useSSL=false"})
        return Done({"env": env + [_variable(variable, name, key) for variable, key in _LOGIN.items()]})


def _variable(name: str, secret: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
