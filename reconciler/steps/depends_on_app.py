"""`depends-on-app`: waits until another application is as git declares it, and healthy. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import AppKey
from reconciler.model.names import DEPENDS_ON_APP
from reconciler.model.outcome import Call, Done, Outcome, Query, Ready, Result, Wait
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.validation import Finding, check_text, refuse


class DependsOnApp(NothingToUndo):
    """It only waits: upstream also makes an application that is missing, from a ConfigMap. A restore run waits for nobody (rule 7a)."""

    name = DEPENDS_ON_APP
    params: Mapping[str, str] = MappingProxyType({"name": "of the application", "namespace": "its namespace; this application's own unless given"})
    required: tuple[str, ...] = ("name",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "name", "namespace")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        query = Ready(AppKey(call.properties.get("namespace") or call.app.namespace, call.properties["name"]))
        answer = seen.get(query)
        if call.restore or (answer is not None and answer["ready"]):
            return Done()
        return Wait(None, f"waiting for {query.app}" + (f", which {answer['message']}" if answer is not None else ""), (query,))
