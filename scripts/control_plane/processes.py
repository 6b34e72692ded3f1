"""Processes that are known again: a pid with the moment that it began, so that nobody else's is ever ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PORTS = range(20000, 32000)
"""Below what the system hands out by itself: nobody takes one of them between our look and the server's start."""


class Identity(NamedTuple):
    pid: int
    began: str

    @property
    def alive(self) -> bool:
        return began(self.pid) == self.began

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def identify(pid: int) -> Identity:
    return Identity(pid, began(pid))


def began(pid: int) -> str:
    """When the process began, in the system's own words; empty where there is none, or only what is left of one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
        asked = subprocess.run(["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
        state, _, moment = asked.strip().partition(" ")
        return "" if state.startswith("Z") else moment.strip()
    except ProcessLookupError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Starts it in a group of its own; where the system can, it is killed when this process ends, however that ends."""
    kill_with_me = {"preexec_fn": follow_parent}  # the supervisor has one thread: it is safe there
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0, cwd=log.parent, **kill_with_me)


def follow_parent() -> None:
    """Asks Linux for SIGKILL at the parent's end (prctl(2), PR_SET_PDEATHSIG = 1)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on."""
    offset = secrets.randbelow(len(PORTS))
    found: list[int] = []
    for port in (*PORTS[offset:], *PORTS[:offset]):
        with contextlib.suppress(OSError), socket.socket() as sock:
            sock.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


class Watched:
    """Another process whose end is waited for. None: nobody's."""

    def __init__(self, pid: int | None) -> None:
        self._identity = identify(pid) if pid else None
        self._descriptor = -1
        if pid and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._descriptor = os.pidfd_open(pid)

    def ended(self, seconds: float) -> bool:
        """Whether it has. Waits that long at most, less where it ends meanwhile."""
        if self._descriptor >= 0:
            return bool(select.select([self._descriptor], [], [], seconds)[0])
        time.sleep(seconds)
        return self._identity is not None and not self._identity.alive
