"""
The process that a control plane hangs on: it starts the parts, starts again what died, and ends them all with itself.

It ends by SIGTERM, or when the process that it was told to follow has ended. The parts are its children and die with it.
"""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.control_plane import layout as layouts
from scripts.control_plane.layout import ADDRESS, ADMIN, NODE, Layout, Ports
from scripts.control_plane.processes import Watched, free_ports, identify, start

PATIENCE = 120.0
TICK = 0.1
SHORT_LIFE = 5.0
LIVES = 5


class FailedError(Exception):
    """A part does not come up. The message ends with what it said last."""


class Stopped(BaseException):
    """SIGTERM came."""


class Supervisor:
    def __init__(self, folder: Layout, binaries: Mapping[str, Path], follow: int | None) -> None:
        self._layout, self._watched = folder, Watched(follow)
        ports = Ports(*free_ports(len(Ports._fields)))
        layouts.prepare(folder)
        layouts.write_kubeconfigs(folder, ports)
        self._ports, self._commands = ports, layouts.commands(folder, binaries, ports)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, list[float]] = {name: [] for name in self._commands}
        self._server = f"https://{ADDRESS}:{ports.server}"
        self._trust = ssl.create_default_context(cafile=str(folder.path("ca.crt")))

    def run(self) -> None:
        """Until it shall end. Raises FailedError where a part can't be had."""
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        try:
            self._bring_up()
            self._layout.ready.write_text(f"{self._layout.kubeconfig}\n")
            while not self._watched.ended(TICK):
                self._mend()
        except Stopped:
            pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._layout.ready.unlink(missing_ok=True)
            self._end()

    def _bring_up(self) -> None:
        self._start("etcd")
        self._wait("etcd", lambda: self._ask(f"http://{ADDRESS}:{self._ports.etcd}/health")["health"] == "true")
        self._start("kube-apiserver")
        self._wait("kube-apiserver", lambda: self._ask(f"{self._server}/readyz") == "ok")
        for name in layouts.COMPONENTS:
            self._start(name)
        self._add_node()
        account = f"{self._server}/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", lambda: self._ask(account)["kind"] == "ServiceAccount")
        self._wait("kwok", lambda: is_ready(self._ask(f"{self._server}/api/v1/nodes/{NODE}")))

    def _add_node(self) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        }
        try:
            self._ask(f"{self._server}/api/v1/nodes", node)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 409:
                raise

    def _start(self, name: str) -> None:
        self._running[name] = start(self._commands[name], self._layout.log(name))
        self._starts[name].append(time.monotonic())
        self._note()

    def _note(self) -> None:
        """Before anything else can happen: `down` finds what this process leaves behind."""
        known = {name: identify(process.pid)._asdict() for name, process in self._running.items()}
        note(self._layout, known)

    def _mend(self) -> None:
        """A part that died comes back, as a static pod does on a node."""
        for name, process in self._running.items():
            if process.poll() is None:
                continue
            now = time.monotonic()
            if [moment for moment in self._starts[name] if now - moment < SHORT_LIFE * LIVES][LIVES - 1 :]:
                raise FailedError(f"{name} ends again and again ({process.returncode}):\n{self._said(name)}")
            self._start(name)

    def _wait(self, name: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if holds():
                    return
            except urllib.error.HTTPError as error:
                error.close()
            except (OSError, KeyError, ValueError):
                pass
            for each, process in self._running.items():
                if process.poll() is not None:
                    raise FailedError(f"{each} ended with {process.returncode}:\n{self._said(each)}")
            if time.monotonic() > end:
                raise FailedError(f"{name} is not ready after {PATIENCE:.0f} s:\n{self._said(name)}")
            if self._watched.ended(TICK):
                raise Stopped

    def _ask(self, url: str, body: dict[str, Any] | None = None) -> Any:
        """The answer: JSON, or text where it is none."""
        headers = {"Authorization": f"Bearer {self._layout.token(ADMIN)}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
        with urllib.request.urlopen(request, timeout=10, context=self._trust if url.startswith("https") else None) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith("{") else text

    def _said(self, name: str) -> str:
        return self._layout.log(name).read_text(errors="replace")[-2000:]

    def _end(self) -> None:
        """The last one first: nobody writes to what is gone already. At once where nobody is left who could want its state."""
        for process in reversed(self._running.values()):
            process.kill() if self._watched.ended(0) else process.terminate()
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def stop(*_: object) -> None:
    raise Stopped


def note(folder: Layout, known: dict[str, dict[str, Any]]) -> None:
    """Keeps what is noted of the supervisor itself, which stands there first."""
    noted = json.loads(folder.processes.read_text()) if folder.processes.exists() else {}
    draft = folder.path("processes.json.new")
    draft.write_text(json.dumps(noted | known, indent=2))
    draft.rename(folder.processes)


def is_ready(node: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node.get("status", {}).get("conditions", []))
