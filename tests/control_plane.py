"""
Fixtures: a real Kubernetes control plane, one for all workers of a test run.

`control_plane` is shared: a test leaves alone what it did not make, works in a namespace of its own (`namespace`), and gives
cluster-scoped objects names of their own. A test that breaks the control plane takes one for itself: `own_control_plane`.

Commands that are missing are built once the tests are collected, outside of any test's time limit, and only where a test
needs them. With `TEST_KUBECONFIG` the shared one is that cluster: it is then neither started nor stopped.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from scripts.control_plane import binaries
from scripts.control_plane.layout import ADMIN, Layout, kubeconfig
from scripts.control_plane.processes import Identity

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "controlplane"
FIXTURES = {"control_plane": binaries.NEEDED, "own_control_plane": binaries.NEEDED, "helm": ("helm",), "kustomize": ("kustomize",)}
PATIENCE = 150.0


class RefusedError(Exception):
    """The API server answers with another status than 2xx."""

    def __init__(self, code: int, body: dict[str, Any]) -> None:
        super().__init__(f"{code} {body.get('reason', '')}: {body.get('message', '')}")
        self.code, self.body = code, body


class ControlPlane:
    """A cluster that tests may use. `api` asks it directly, as a user who may do everything."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.folder = kubeconfig.parent

    @property
    def server(self) -> str:
        """The URL of its API."""
        return self._cluster["server"]

    @property
    def authority(self) -> str:
        """The certificate that its own is signed by; PEM."""
        return base64.b64decode(self._cluster["certificate-authority-data"]).decode()

    @property
    def _cluster(self) -> dict[str, str]:
        found: dict[str, str] = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        return found

    def api(self, method: str, path: str, body: Any = None, *, token: str = "", kind: str = "application/json") -> dict[str, Any]:
        """One request; its answer as JSON. Raises RefusedError."""
        user = yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]
        headers = {"Authorization": f"Bearer {token or user['token']}", "Content-Type": kind, "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=ssl.create_default_context(cadata=self.authority)) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            raise RefusedError(error.code, json.loads(text) if text.startswith("{") else {"message": text}) from None

    def get(self, path: str) -> dict[str, Any] | None:
        """None where there is none."""
        try:
            return self.api("GET", path)
        except RefusedError as error:
            if error.code != 404:
                raise
            return None

    def apply(self, path: str, obj: dict[str, Any], manager: str = "test") -> dict[str, Any]:
        """Server-side apply, by force."""
        return self.api("PATCH", f"{path}?fieldManager={manager}&force=true", obj, kind="application/apply-patch+yaml")

    def until(self, ask: Callable[[], Any], what: str) -> Any:
        """Asks until the answer is true; answers that."""
        end = time.monotonic() + PATIENCE
        while not (value := ask()):
            assert time.monotonic() < end, f"never came: {what}"
            time.sleep(0.05)
        return value

    def account(self, namespace: str, name: str, rules: list[dict[str, Any]], *, cluster_wide: bool = False) -> str:
        """Makes a service account that may do just that; answers a token of it."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.api("POST", accounts, {"metadata": {"name": name}})
        scope, kind = ("", "ClusterRole") if cluster_wide else (f"/namespaces/{namespace}", "Role")
        role = f"{namespace}-{name}"
        plural = f"/apis/rbac.authorization.k8s.io/v1{scope}/{kind.lower()}"
        self.api("POST", f"{plural}s", {"metadata": {"name": role}, "rules": rules})
        binding = {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        self.api("POST", f"{plural}bindings", binding)
        asked = self.api("POST", f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 7200}})
        return str(asked["status"]["token"])

    def kubeconfig_for(self, path: Path, token: str, server: str = "") -> Path:
        """Writes a kubeconfig: this cluster (or a proxy before it), that token."""
        path.touch(mode=0o600)
        path.write_text(kubeconfig(server or self.server, self.authority, token))
        return path

    @property
    def token(self) -> str:
        """Of who may do everything."""
        return Layout(self.folder).token(ADMIN)

    def audited(self) -> list[Request]:
        """Every request that was answered so far, watches aside, in that order. Only of a control plane that was started here."""
        lines = (self.folder / "audit.log").read_text().splitlines()
        return [Request.read(entry) for line in lines if line.endswith("}") and (entry := json.loads(line))["stage"] == "ResponseComplete"]

    def process(self, name: str) -> Identity:
        """A part of it, to be stopped or killed by a test that owns it: `etcd`, `kube-apiserver` and so on."""
        found: dict[str, Any] = json.loads(Layout(self.folder).processes.read_text())
        return Identity(**found[name])


class Request(NamedTuple):
    """One line of the audit log. `user`: the name; `acting`: the name in which it asked, where that is another; `agent`: what the client calls itself; `object`: `resource[/subresource] namespace/name`."""

    verb: str
    user: str
    agent: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int
    uri: str
    at: str
    acting: str = ""

    @classmethod
    def read(cls, entry: dict[str, Any]) -> Request:
        ref = entry.get("objectRef", {})
        resource = "/".join(filter(None, (ref.get("resource", ""), ref.get("subresource", ""))))
        return cls(
            entry["verb"],
            entry["user"].get("username", ""),
            entry.get("userAgent", ""),
            ref.get("apiGroup", ""),
            resource,
            ref.get("namespace", ""),
            ref.get("name", ""),
            entry.get("responseStatus", {}).get("code", 0),
            entry["requestURI"],
            entry["requestReceivedTimestamp"],
            entry.get("impersonatedUser", {}).get("username", ""),
        )


# --- one for a test run


def pytest_collection_finish(session: pytest.Session) -> None:
    names = [] if session.config.option.collectonly else wanted(session)
    if names:
        with contextlib.suppress(binaries.MissingError):  # the fixture says it again, in the test that needs it
            binaries.provide(names)


def wanted(session: pytest.Session) -> list[str]:
    """The commands that the collected tests need."""
    used = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    needed = {command for name, commands in FIXTURES.items() if name in used for command in commands}
    return sorted(needed - set(binaries.NEEDED) if os.environ.get("TEST_KUBECONFIG") else needed)


@pytest.fixture(scope="session")
def control_plane_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if hasattr(request.config, "workerinput") else base) / "control-plane"


@pytest.fixture(scope="session", autouse=True)
def control_plane_start(request: pytest.FixtureRequest, control_plane_folder: Path) -> Iterator[None]:
    """The first worker starts it while the first tests run; it ends with the process that began the test run."""
    if not any("control_plane" in getattr(item, "fixturenames", ()) for item in request.session.items) or os.environ.get("TEST_KUBECONFIG"):
        yield
        return
    owner = os.getppid() if hasattr(request.config, "workerinput") else os.getpid()
    starting = threading.Thread(target=start_once, args=(control_plane_folder, owner))
    starting.start()
    yield
    starting.join()


def start_once(folder: Path, owner: int) -> None:
    with (folder.parent / "control-plane.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        outcome = folder.parent / "control-plane.outcome"
        if not outcome.exists():
            outcome.write_text(begin(folder, owner))


def begin(folder: Path, owner: int) -> str:
    """What is in the way; nothing when it is ready."""
    if missing := set(binaries.NEEDED) - binaries.find().keys():
        return f"missing: {', '.join(sorted(missing))}. `scripts/controlplane build` says why"
    command = [sys.executable, str(SCRIPT), "up", str(folder), "--follow", str(owner)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="session")
def control_plane(control_plane_folder: Path) -> ControlPlane:
    """A real control plane, shared with all other tests of this run."""
    if given := os.environ.get("TEST_KUBECONFIG"):
        return ControlPlane(Path(given).resolve())
    outcome = control_plane_folder.parent / "control-plane.outcome"
    end = time.monotonic() + PATIENCE
    while not outcome.exists():
        if time.monotonic() > end:
            pytest.fail(f"the control plane is not ready after {PATIENCE:.0f} s; its logs are in {control_plane_folder / 'logs'}", pytrace=False)
        time.sleep(0.05)
    if failure := outcome.read_text():
        pytest.fail(f"the control plane does not start: {failure}", pytrace=False)
    return ControlPlane(control_plane_folder / "kubeconfig")


@pytest.fixture
def own_control_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane for this test alone, to be hurt at will."""
    folder = tmp_path / "own-control-plane"
    failure = begin(folder, os.getpid())
    if failure:
        pytest.fail(f"the control plane does not start: {failure}", pytrace=False)
    yield ControlPlane(folder / "kubeconfig")
    subprocess.run([sys.executable, str(SCRIPT), "down", str(folder)], check=True)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """The name of a fresh namespace of the shared control plane, in which pods can be made. It is deleted in the end."""
    name = f"test-{secrets.token_hex(5)}"
    control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    control_plane.until(lambda: control_plane.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the default service account")
    yield name
    with contextlib.suppress(RefusedError):
        control_plane.api("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture(scope="session")
def helm() -> Path:
    """The `helm` command."""
    found = binaries.find(["helm"])
    if not found:
        pytest.fail("helm is missing: `scripts/controlplane build --with helm` says why", pytrace=False)
    return found["helm"]


@pytest.fixture(scope="session")
def kustomize() -> Path:
    """The `kustomize` command."""
    found = binaries.find(["kustomize"])
    if not found:
        pytest.fail("kustomize is missing: `scripts/controlplane build --with kustomize` says why", pytrace=False)
    return found["kustomize"]
