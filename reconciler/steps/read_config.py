"""`read-config`: a config by name, for later steps. KubeVela's built-in of that name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.names import CONFIG_CATALOG, CONFIG_DATA
from reconciler.model.outcome import Call, Done, Failed, Outcome, Query, Result
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.read_object import look
from reconciler.steps.validation import Finding, check_text, refuse


class ReadConfig(NothingToUndo):
    """Of those that `create-config` made. One that KubeVela keeps in a Secret is not read: nothing of a Secret becomes an output (rule 13c)."""

    name = "read-config"
    params: Mapping[str, str] = MappingProxyType({"name": "of the config", "namespace": "where it is; the application's own unless given"})
    required: tuple[str, ...] = ("name",)
    exports = ("output",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "name", "namespace")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        found = look(ObjectRef("v1", "ConfigMap", call.properties.get("namespace") or call.app.namespace, call.properties["name"]), seen)
        if not isinstance(found, dict):
            return found
        config = read_content(found)
        if config is None:
            return Failed("NoConfig", f"the ConfigMap {call.properties['name']} is no config that create-config made")
        return Done({"output": {"config": config, "$returns": {"config": config}}})


def read_content(obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of a config; None for an object that is none."""
    labels, data = obj.get("metadata", {}).get("labels") or {}, obj.get("data") or {}
    if not labels.items() >= CONFIG_CATALOG.items():
        return None
    try:
        content = json.loads(data.get(CONFIG_DATA) or "")
    except (ValueError, TypeError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
