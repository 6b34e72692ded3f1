"""Where a daemon works in these tests: a repository and a control plane, with a namespace for each of the two sides."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from tests.control_plane import ControlPlane, RefusedError, Request
from tests.integration.harness import Clone
from tests.integration.process import Process

CRDS = Path(__file__).resolve().parents[2] / "manifests" / "crds" / "reconciler.dev.yaml"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install(plane: ControlPlane) -> None:
    """The daemon's own kinds. Nothing changes where they are there."""
    documents = [one for one in yaml.safe_load_all(CRDS.read_text()) if one]
    for document in documents:
        plane.apply(f"{DEFINITIONS}/{document['metadata']['name']}", document)
    for document in documents:
        plane.until(lambda name=document["metadata"]["name"]: established(plane.get(f"{DEFINITIONS}/{name}")), "the kind is served")


def established(definition: dict[str, Any] | None) -> bool:
    conditions = (definition or {}).get("status", {}).get("conditions")
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions or [])  # null, right after it was made


class Place:
    """`namespace`: where applications and their objects are. `home`: the daemon's own."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane, self.namespace, self.folder = plane, namespace, folder
        self.home = f"home-{secrets.token_hex(5)}"
        self.clone = Clone(folder)
        self.kubeconfig = plane.kubeconfig
        self._lives = 0

    def __enter__(self) -> Self:
        install(self.plane)
        self.plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": self.home}})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(RefusedError, OSError):
            self.plane.api("DELETE", f"/api/v1/namespaces/{self.home}")

    @contextlib.contextmanager
    def daemon(self, *args: str | Path, program: Sequence[str | Path] = ("-m", "reconciler")) -> Iterator[Process]:
        """
        One life of the daemon, as who `kubeconfig` says; killed at the end of the block, if it has not ended before. The next one leads once the
        lease of the one that was killed is over: it is a short one, unless `args` say otherwise.
        """
        self._lives += 1
        folder = self.folder / f"life-{self._lives}"
        folder.mkdir()
        lease = [] if "--lease-duration" in args else ["--lease-duration", "3s"]
        options = ["--cluster", "kubernetes", "--kubeconfig", self.kubeconfig, "--namespace", self.home, *lease, *args]
        with Process(folder, self.clone.origin, *options, program=program) as process:
            yield process

    def account(self, name: str) -> str:
        """The token of an account that may do everything, so that the audit log tells daemons apart."""
        everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        return self.plane.account(self.home, name, everything, cluster_wide=True)

    # --- what is there

    def path(self, group: str, plural: str, name: str = "", namespace: str = "") -> str:
        """Of an object or a list, in the applications' namespace. `group`: with its version, `v1` or `apps/v1`."""
        root = "/apis" if "/" in group else "/api"
        return "/".join(filter(None, (root, group, "namespaces", namespace or self.namespace, plural, name)))

    def object(self, group: str, plural: str, name: str) -> dict[str, Any] | None:
        return self.plane.get(self.path(group, plural, name))

    def value(self, name: str, key: str = "value") -> str:
        """Of a ConfigMap; empty where it is not there."""
        return str(((self.object("v1", "configmaps", name) or {}).get("data") or {}).get(key, ""))

    def state(self, plural: str) -> list[dict[str, Any]]:
        """State objects of this daemon: `applications`, `applicationrevisions`, `workflowruns`."""
        found: list[dict[str, Any]] = self.plane.api("GET", self.path("reconciler.dev/v1alpha1", plural, namespace=self.home))["items"]
        return found

    def stored(self, name: str) -> bool:
        """Whether the mirror of an application says Synced: then nothing is left to be written of what the daemon shows."""
        mirrors = [each for each in self.state("applications") if each["metadata"]["name"] == f"{self.namespace}.{name}"]
        return [each.get("status", {}).get("sync") for each in mirrors] == ["Synced"]

    # --- what was asked of the API server

    def asked(self, *verbs: str) -> list[Request]:
        """Requests about our two namespaces that were carried out, by whoever."""
        spaces = {self.namespace, self.home}
        return [one for one in self.plane.audited() if one.verb in verbs and spaces & {one.namespace} and one.code < 300]

    def done_by_daemons(self, *verbs: str) -> list[Request]:
        """
        The same, of daemons alone. Left out: Events of transitions, which come later and within bounds of their own, or are lost, and the lease,
        which is renewed beside all that.
        """
        return [one for one in self.asked(*verbs) if one.agent.startswith("reconciler/") and one.resource not in {"events", "leases"}]

    def deletions(self) -> list[Request]:
        """What daemons deleted of the applications' objects."""
        return [one for one in self.done_by_daemons("delete", "deletecollection") if one.namespace == self.namespace]


@pytest.fixture
def place(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Place]:
    """On the shared control plane: a repository, a namespace for what it declares (`namespace`), and one for the daemon."""
    with Place(control_plane, namespace, tmp_path) as one:
        yield one


def config_map_app(namespace: str, name: str, value: str, *more: str, **annotations: str) -> str:
    """A KubeVela application of one ConfigMap `<name>`, and others of these names."""
    notes = "".join(f"\n    {key}: '{text}'" for key, text in annotations.items())
    lines = [f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: {namespace}"]
    lines += [f"  annotations:{notes}"] if notes else []
    lines.append("spec:\n  components:")
    for each in (name, *more):
        lines.append(f"  - name: {each}\n    type: k8s-objects\n    properties:\n      objects:")
        lines.append(f"      - apiVersion: v1\n        kind: ConfigMap\n        metadata: {{name: {each}}}\n        data: {{value: '{value}'}}")
    return "\n".join(lines) + "\n"


def in_shard(text: str, shard: str) -> str:
    """The manifest with the label of a shard."""
    return text.replace("spec:\n", f"  labels: {{reconciler.dev/shard: {shard}}}\nspec:\n", 1) if shard else text
