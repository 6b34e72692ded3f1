"""
A daemon that dies by SIGKILL at a write of its choice, and begins again, until it has nothing more to write.

`python dying.py WRITE LANDED ARGUMENTS OF run`: each life ends at its write of that number of state, right after it landed or right before.
0: it does not die. All lives are forks of this process, so that none has to load the program; each is a process of its own all the same, and
nothing but the state file is left of it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from reconciler import daemon as loaded
from reconciler.__main__ import serve
from reconciler.cli import run as _run
from reconciler.cli.main import execute
from reconciler.cluster.embedded.cluster import EmbeddedCluster

WRITES = ("create", "replace", "replace_status")  # of state: an effect that is done again and again would never get its result stored
assert loaded
assert _run


def mortal(last: int, landed: bool) -> None:
    """From now on this process dies at its write of that number."""
    count = 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def wrap(name: str) -> None:
        right = getattr(EmbeddedCluster, name)

        async def write(self: EmbeddedCluster, *args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            mine = count
            if mine == last and not landed:
                die()
            answer = await right(self, *args, **kwargs)
            if mine == last:
                die()
            return answer

        setattr(EmbeddedCluster, name, write)

    for name in WRITES:
        wrap(name)


def main(last: int, landed: bool, args: list[str]) -> int:
    while True:
        child = os.fork()
        if not child:
            if last:
                mortal(last, landed)
            os._exit(execute(serve, ["run", *args]))
        _, status = os.waitpid(child, 0)
        if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
            return os.waitstatus_to_exitcode(status)
        sys.stdout.write("died\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2] == "landed", sys.argv[3:]))
