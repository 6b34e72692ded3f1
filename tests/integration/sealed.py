"""Applications with encrypted values, and the keys that decrypt them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from reconciler.engine.unsealing import Unsealing
from reconciler.sealing.command import Command
from reconciler.sealing.opening import Place
from tests.integration.harness import Clone, Daemon
from tests.unit.sealing.encrypting import Person, as_yaml

PERSON = Person()
CANARY = "c4n4ry-Wer-das-liest"


class Keys:
    """Key files in a folder; `unsealer` reads them as a daemon's does. `rows`: of the operator's mapping, path to key file."""

    def __init__(self, folder: Path, *people: Person) -> None:
        self.file = folder / "keys.txt"
        self.put(*people)

    def put(self, *people: Person) -> None:
        self.file.write_text("".join(f"{person.secret}\n" for person in people))

    def unsealer(self, cluster: Any = None) -> Unsealing:
        return Unsealing(cluster, [Place("", str(self.file))], Command())


def app(*components: dict[str, Any], name: str = "web", steps: list[dict[str, Any]] | None = None) -> str:
    spec: dict[str, Any] = {"components": list(components)}
    if steps:
        spec["workflow"] = {"steps": steps}
    return as_yaml({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": name}, "spec": spec})


def folder(path: str = "secrets") -> dict[str, Any]:
    return {"name": "secrets", "type": "manifests", "properties": {"path": path}}


def plain(secret: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


async def annotate(clone: Clone, key: str, value: str) -> None:
    clone.pull()
    text = yaml.safe_load(clone.read("web.yaml"))
    text["metadata"]["annotations"] = {key: value}
    clone.push({"web.yaml": as_yaml(text)})


async def pass_gate(daemon: Daemon, clone: Clone) -> None:
    gate = (await daemon.waiting("web")).gate
    assert gate is not None
    await annotate(clone, gate.key, gate.continue_)
