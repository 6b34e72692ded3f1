"""Applications with policies, and what the tests of policies ask of them."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.harness import Daemon

Spec = dict[str, Any]


def config_map(name: str, data: str, namespace: str = "") -> Spec:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"value": data}}


def component(name: str, *objects: Spec) -> Spec:
    return {"name": name, "type": "k8s-objects", "properties": {"objects": list(objects)}}


def policy(name: str, kind: str, **properties: Any) -> Spec:
    return {"name": name, "type": kind, "properties": properties}


def application(name: str, components: list[Spec], policies: list[Spec], *deploys: list[str]) -> str:
    """As JSON, which is YAML: a deploy step for each list of policies, none where there is no list."""
    spec: Spec = {"components": components, "policies": policies}
    if deploys:
        spec["workflow"] = {"steps": [{"type": "deploy", "properties": {"policies": names}} for names in deploys]}
    return json.dumps({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": name}, "spec": spec})


async def places(daemon: Daemon, name: str) -> list[str]:
    """The namespaces in which there is a ConfigMap of that name."""
    return [item["metadata"]["namespace"] for item in await daemon.engine.reader.objects("configmap", "", name)]


WEB = component("web", config_map("web", "1"))
BLUE, GREEN = policy("blue", "topology", namespace="blue"), policy("green", "topology", namespace="green")


OLD, NEW = component("old", config_map("old", "1")), component("new", config_map("new", "1"))


async def released(daemon: Daemon, name: str) -> Spec:
    """Waits until the object was let go of; answers it."""
    shown = f"ConfigMap default/{name}"
    await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "object-released" and event.fields["object"] == shown])
    return await daemon.get("ConfigMap", name)


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


async def settled(daemon: Daemon) -> None:
    """Drift that is there was seen and judged."""
    for _ in range(3):
        await daemon.looked()


def healed(daemon: Daemon) -> int:
    return len([event for event in daemon.sink.events if event.kind == "drift-healed"])


def selecting(kind: str, name: str) -> Spec:
    return policy(kind, kind, rules=[{"selector": {"componentNames": [name]}}])


def message(daemon: Daemon, name: str) -> str:
    status = daemon.status(name)
    return " ".join(step.message for step in status.run.steps) if status is not None and status.run is not None else ""
