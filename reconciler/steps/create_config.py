"""`create-config`: a config that other steps read by name. KubeVela's built-in of that name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import JsonObject
from reconciler.model.names import CONFIG_CATALOG, CONFIG_DATA, CONFIG_TYPE
from reconciler.steps.making import Making
from reconciler.steps.validation import Finding, check_text, check_type


class CreateConfig(Making):
    """
    A ConfigMap with KubeVela's labels for configs. Upstream keeps it in a Secret, although every step may read it: here no value of a Secret
    becomes a step's output (rule 13c), so what is to be read is no secret.
    """

    name = "create-config"
    params: Mapping[str, str] = MappingProxyType(
        {
            "name": "of the config",
            "namespace": "where it is; the application's own unless given",
            "template": "what kind of config it is, for `list-config`; nothing is rendered by it",
            "config": "its content, any mapping. Not for secrets: take export2secret for those",
        }
    )
    required: tuple[str, ...] = ("name", "config")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "name", "namespace", "template") + check_type(properties, "config", dict)


def make_config(name: str, namespace: str, template: str, config: Mapping[str, Any]) -> JsonObject:
    """The object that keeps a config; no namespace: the application's own."""
    labels = {**CONFIG_CATALOG, **({CONFIG_TYPE: template} if template else {})}
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels}
    text = json.dumps(config, sort_keys=True, ensure_ascii=False)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {CONFIG_DATA: text}}
