"""How cost grows with the number of applications, in units that a busy machine does not change.

    python benchmarks/growth.py 25 100 [--gates]

Lines: lines of this package that Python ran, each turn of a comprehension too. Rows: instructions of SQLite's machine, in hundreds.
Each figure is for one thing that happens: a cold start, a push that changes one application, one that touches nothing of ours (the
least of five each), a second without news, a restart. `tests/integration/test_rule_10_growth.py` holds the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from applications import Plan, Repository, push_foreign, push_once, running, settled

import reconciler
from reconciler.cluster.embedded import storage
from reconciler.observe.logs import configure_logs
from reconciler.settings import Settings

_PACKAGE = str(Path(reconciler.__file__).parent)
_INSTRUCTIONS = 100
PUSHES = 5
IDLE = 1.0


class Counts:
    """What was done since the last time that it was asked."""

    def __init__(self) -> None:
        self.lines = self.rows = 0

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def _line(self, _frame: FrameType, event: str, _argument: object) -> Any:
        self.lines += event == "line"
        return self._line

    def step(self) -> int:
        self.rows += 1
        return 0

    def take(self) -> dict[str, int]:
        taken, self.lines, self.rows = {"lines": self.lines, "rows": self.rows}, 0, 0
        return taken


@contextmanager
def counting() -> Iterator[Counts]:
    """Counts on every thread that starts within it, and in every state file that is opened within it."""
    counts, opened = Counts(), storage._open  # noqa: SLF001

    def opening(path: str) -> Any:
        db = opened(path)
        db.set_progress_handler(counts.step, _INSTRUCTIONS)
        return db

    storage._open = opening  # noqa: SLF001
    threading.settrace(counts.trace)
    sys.settrace(counts.trace)
    try:
        yield counts
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]  # the documented way to end it
        storage._open = opened  # noqa: SLF001


def least(costs: list[dict[str, int]]) -> dict[str, int]:
    """What one of several equal things costs where no heartbeat and no poll falls into it."""
    return {unit: min(cost[unit] for cost in costs) for unit in costs[0]}


async def measure(plan: Plan) -> dict[str, dict[str, int]]:
    figures = {}
    with tempfile.TemporaryDirectory() as folder, counting() as counts:
        repository = Repository(folder, gates=plan.gates)
        repository.declare(dict.fromkeys(range(plan.count), 0))
        repository.move(repository.commit())
        settings = Settings(repo=repository.path, state=f"{folder}/state.db", listen="127.0.0.1:0", create_namespaces="all")
        counts.take()
        async with running(settings) as (daemon, _):
            await settled(daemon, plan)
            figures["cold"] = counts.take()
            pushes, foreign = [], []
            for turn in range(1, PUSHES + 1):
                if not plan.gates:
                    await push_once(daemon, repository, turn, turn)
                    await settled(daemon, plan)
                pushes.append(counts.take())
            for turn in range(PUSHES):
                await push_foreign(daemon, repository, turn)
                foreign.append(counts.take())
            figures["push"], figures["foreign"] = least(pushes), least(foreign)
            await asyncio.sleep(IDLE)
            figures["idle"] = counts.take()
        counts.take()
        async with running(settings) as (daemon, _):
            await settled(daemon, plan)
            figures["restart"] = counts.take()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--gates", action="store_true", help="every application waits at a gate")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        configure_logs("json", "error")
        print(json.dumps(asyncio.run(measure(Plan(given.counts[0], 0, 0, 0, given.gates, 0)))))
        return
    found = {}
    for count in given.counts:
        words = [sys.executable, str(Path(__file__)), str(count), "--inside", *(["--gates"] if given.gates else [])]
        found[count] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        print(json.dumps({"applications": count, **found[count]}), flush=True)
    least, most = min(found), max(found)
    for what, costs in found[most].items():
        ratios = ", ".join(f"{unit} {costs[unit] / max(1, found[least][what][unit]):.2f}" for unit in costs)
        print(f"{what}: {most / least:g} times the applications: {ratios}")


if __name__ == "__main__":
    main()
