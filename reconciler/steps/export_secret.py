"""`export2secret`: data into a Secret. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from reconciler.steps.making import Making
from reconciler.steps.validation import Finding, check_choice, check_fields, check_local, check_scalars, check_text

_KINDS: Final = ("generic", "docker-registry")


class ExportSecret(Making):
    """What it exports is stored where Secrets are, and shown nowhere (rule 12)."""

    name = "export2secret"
    params: Mapping[str, str] = MappingProxyType(
        {
            "secretName": "name of the Secret",
            "namespace": "where it goes; the application's own unless given",
            "type": "type of the Secret; Opaque unless given",
            "data": "its entries, as text",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
            "kind": "generic, or docker-registry: the login of `dockerRegistry`",
            "dockerRegistry": "`username`, `password` and `server`, https://index.docker.io/v1/ unless given",
        }
    )
    required: tuple[str, ...] = ("secretName",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "secretName", "namespace", "type") + check_scalars(properties, "data") + check_local(properties)
        found += check_choice(properties, "kind", _KINDS)
        found += check_fields(properties, "dockerRegistry", {"username": str, "password": str, "server": str})
        if properties.get("dockerRegistry") is not None and properties.get("kind") != "docker-registry":
            found.append(("dockerRegistry", "does nothing without `kind: docker-registry`"))
        return found
