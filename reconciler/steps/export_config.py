"""`export2config`: data into a ConfigMap. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from reconciler.steps.making import Making
from reconciler.steps.validation import Finding, check_local, check_scalars, check_text


class ExportConfig(Making):
    name = "export2config"
    params: Mapping[str, str] = MappingProxyType(
        {
            "configName": "name of the ConfigMap",
            "namespace": "where it goes; the application's own unless given",
            "data": "its entries",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
        }
    )
    required: tuple[str, ...] = ("configName", "data")

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "configName", "namespace") + check_scalars(properties, "data") + check_local(properties)
