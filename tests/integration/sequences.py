"""What the attack sequences have in common: manifests with gates, and looking until a commit is surely taken in."""

from __future__ import annotations

from reconciler.model.identity import AppKey
from reconciler.model.run import Run
from reconciler.model.status import GateView
from tests.integration.harness import Clone, Daemon

GATE = "gates.reconciler.dev/approve"


def canary_app(
    name: str, value: str, *, annotations: dict[str, str] | None = None, namespace: str = "", gate: str = "{type: suspend, name: approve}"
) -> str:
    """An Application of two ConfigMaps, `<name>-canary` applied before the gate and `<name>-rest` behind it."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata:", f"  name: {name}"]
    lines += [f"  namespace: {namespace}"] if namespace else []
    lines += ["  annotations:", *(f'    {key}: "{text}"' for key, text in annotations.items())] if annotations else []
    lines += ["spec:", "  components:"]
    for part in ("canary", "rest"):
        lines += [f"    - name: {part}", "      type: k8s-objects", "      properties:", "        objects:"]
        lines += ["          - apiVersion: v1", "            kind: ConfigMap", f"            metadata: {{name: {name}-{part}}}"]
        lines += [f'            data: {{value: "{value}"}}']
    lines += ["  workflow:", "    steps:", "      - {type: apply-component, name: first, properties: {component: canary}}"]
    lines += [f"      - {gate}", "      - {type: apply-component, name: second, properties: {component: rest}}"]
    return "\n".join(lines) + "\n"


async def taken(daemon: Daemon, commit: str) -> None:
    """Waits until that commit is the head that was looked at, and all that it brings is done."""
    await daemon.until(lambda: (head := daemon.engine._context.index.head) is not None and head.id == commit, f"looked at {commit}")
    await daemon.looked()
    await daemon.looked()


async def push(daemon: Daemon, clone: Clone, files: dict[str, str | None], message: str = "change") -> str:
    """Pushes, and waits until it is taken in."""
    commit = clone.push(files, message)
    await taken(daemon, commit)
    return commit


def gate_of(daemon: Daemon, name: str, namespace: str = "default") -> GateView:
    status = daemon.status(name, namespace)
    assert status is not None
    assert status.gate is not None, f"{name} waits at no gate: {status}"
    return status.gate


def runs(daemon: Daemon, name: str, namespace: str = "default") -> list[Run]:
    app = daemon.engine._context.apps.get(AppKey(namespace, name))
    return app.runs if app is not None else []


def phases(daemon: Daemon, name: str, namespace: str = "default") -> list[str]:
    """`<run> <phase>` of all runs, oldest first."""
    return [f"{run.name} {run.phase.value}" for run in runs(daemon, name, namespace)]


async def value(daemon: Daemon, name: str, namespace: str = "default") -> str:
    data: dict[str, str] = (await daemon.get("ConfigMap", name, namespace))["data"]
    return data["value"]


async def replace_data(daemon: Daemon, name: str, data: dict[str, str], namespace: str = "default") -> None:
    """Somebody edits a managed ConfigMap by hand."""
    live = await daemon.get("ConfigMap", name, namespace)
    await daemon.cluster.replace({**live, "data": data}, manager="kubectl-edit")
