"""How others reach what a component runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.model.identity import GVK, JsonObject


def connection(objects: Iterable[JsonObject]) -> dict[str, Any]:
    """
    `{host, port, secretRef}`: `<service>.<namespace>.svc` and first port of the first Service, name of the first Secret.

    Each is None where there is none. Never any of a Secret's data (rule 13c).
    """
    found: dict[str, Any] = {"host": None, "port": None, "secretRef": None}
    for obj in objects:
        gvk, meta = GVK.of(obj), obj.get("metadata") or {}
        if gvk.group:
            continue
        if gvk.kind == "Secret" and found["secretRef"] is None:
            found["secretRef"] = meta.get("name")
        elif gvk.kind == "Service" and found["host"] is None:
            found["host"] = f"{meta.get('name')}.{meta.get('namespace')}.svc"
            found["port"] = _first_port(obj.get("spec"))
    return found


def _first_port(spec: Any) -> Any:
    ports = spec.get("ports") if isinstance(spec, dict) else None
    first = ports[0] if isinstance(ports, list) and ports else None
    return first.get("port") if isinstance(first, dict) else None
