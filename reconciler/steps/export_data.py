"""`export-data`: data into a ConfigMap or a Secret. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.steps.making import Making
from reconciler.steps.validation import Finding, check_choice, check_scalars, check_text


class ExportData(Making):
    name = "export-data"
    params: Mapping[str, str] = MappingProxyType(
        {
            "name": "of the object; the application's name unless given",
            "namespace": "where it goes; the application's own unless given",
            "kind": "ConfigMap, the default, or Secret",
            "data": "its entries",
            "topology": "name of a topology policy; its only cluster is the daemon's own",
        }
    )
    required: tuple[str, ...] = ("data",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "name", "namespace", "topology") + check_scalars(properties, "data")
        return found + check_choice(properties, "kind", ("ConfigMap", "Secret"))
