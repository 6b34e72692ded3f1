"""`list-config`: the configs of one template, for later steps. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.names import CONFIG_CATALOG, CONFIG_TYPE
from reconciler.model.outcome import Call, Done, Failed, Listed, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.read_config import read_content
from reconciler.steps.validation import Finding, check_text, refuse


class ListConfig(NothingToUndo):
    """Of those that `create-config` made, by name. None is no failure."""

    name = "list-config"
    params: Mapping[str, str] = MappingProxyType({"template": "of the configs", "namespace": "where they are; the application's own unless given"})
    required: tuple[str, ...] = ("template",)
    exports = ("output",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "template", "namespace")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        labels = {**CONFIG_CATALOG, CONFIG_TYPE: call.properties["template"]}
        query = Listed("v1", "ConfigMap", call.properties.get("namespace") or call.app.namespace, tuple(sorted(labels.items())))
        if query not in seen:
            return Wait(None, "waiting to hear of the configs", (query,))
        if seen[query] is None:
            return Failed("NotAllowed", f"this application may not list the ConfigMaps of namespace {query.namespace}")
        found = {obj["metadata"]["name"]: read_content(obj) for obj in seen[query]}
        configs = [{"name": name, "namespace": query.namespace, "config": config} for name, config in sorted(found.items()) if config is not None]
        return Done({"output": {"configs": configs, "$returns": {"configs": configs}}})
