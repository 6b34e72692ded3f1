"""N workflows of ten steps, one behind the other, in one queue: what running them costs, and how soon the next one begins.

    python benchmarks/workflows.py 1000 10000 [--most 100] [--strategy FIFO] [--steps 10]

Done: from the start of the daemon until every workflow has succeeded and its status is stored; all of them are made at once and wait in a queue
of which `--most` run at a time. Steps: those that ended in a second of that. Admitted: from the end of a run until the run that takes its place
has begun (its first effect stored). Restart: from the start on the same state until every status is there
again. Ratio: the time that the most took, by that of the fewest.

The steps are those of the step flow that change nothing (`sleep` for 0 seconds), so that what is measured is the engine. Each N runs in a process
of its own; the whole daemon runs in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from applications import Repository, running
from growth import counting

from reconciler.daemon import Daemon
from reconciler.engine.applications import Application
from reconciler.model.event import Event
from reconciler.observe.logs import configure_logs
from reconciler.settings import Settings
from reconciler.settings_parts import ControllerConfig, Queues

COLUMNS = {
    "workflows": "{:.0f}",
    "done": "{:.1f} s",
    "steps": "{:.0f} /s",
    "admitted, median": "{:.1f} ms",
    "worst": "{:.1f} ms",
    "restart": "{:.1f} s",
    "peak memory": "{:.0f} MiB",
}


class Plan(NamedTuple):
    count: int
    steps: int = 10
    most: int = 100
    strategy: str = "FIFO"


def manifest(number: int, plan: Plan) -> str:
    """A workflow of steps that come one after the other; of every ten one is in a queue of its own."""
    queue = "few" if number % 10 == 0 else "many"
    lines = [
        "apiVersion: workflow.example.com/v1alpha1",
        "kind: Workflow",
        f"metadata: {{name: flow-{number}}}",
        "spec:",
        f"  queue: {queue}",
        "  steps:",
    ]
    for step in range(plan.steps):
        lines += [f"  - name: s{step}", '    stepTemplate: {type: sleep, parameters: {seconds: "0"}}']
        lines += [f"    dependOns: [{{name: s{step - 1}, phase: Success}}]"] if step else []
    return "\n".join(lines) + "\n"


class Turns:
    """A sink: when runs ended for which others waited, and when those began."""

    def __init__(self, daemon: Daemon) -> None:
        self._line = daemon.engine._context.admission  # noqa: SLF001
        self._began: list[float] = []
        self._ended: list[float] = []
        daemon.engine._sink._sinks += (self,)  # noqa: SLF001

    def emit(self, event: Event) -> None:
        if event.kind != "run":
            return
        if (event.fields["from"], event.fields["to"]) == ("Pending", "Running"):
            self._began.append(time.perf_counter())
        elif event.fields["to"] == "Succeeded" and self._line.waiting:
            self._ended.append(time.perf_counter())

    def admissions(self) -> list[float]:
        """Seconds from the end of each run to the beginning of the one that took its place."""
        return [began - ended for ended, began in zip(self._ended, self._began, strict=False)]


def write(repository: Repository, plan: Plan) -> None:
    for number in range(plan.count):
        repository.put(f"flows/{number // 100:03}/flow-{number}.yaml", manifest(number, plan))
    repository.move(repository.commit())


async def settled(daemon: Daemon, count: int) -> None:
    """Until every workflow has run. One that has is asked again only at the end, so that asking is not measured."""
    apps, waiting = daemon.engine._context.apps, []  # noqa: SLF001  # `applications()` would make copies of all for each look
    while True:
        while waiting and rests(waiting[-1]):
            waiting.pop()
        if not waiting and len(apps) == count:
            waiting = [app for app in reversed(apps.values()) if not rests(app)]
            if not waiting:
                return
        await asyncio.sleep(0.02)


def rests(app: Application) -> bool:
    return app.status is not None and app.status.sync == "Synced" and not app.tasks and not app.unsaved


def settings_for(folder: str, repository: Repository, plan: Plan) -> Settings:
    queues = Queues(strategy=plan.strategy, max_running_count=plan.most)  # type: ignore[arg-type]  # one of the two: the parser's choices
    config = ControllerConfig(queue=queues)
    return Settings(repo=repository.path, state=f"{folder}/state.db", listen="127.0.0.1:0", create_namespaces="all", controller_config=config)


async def measure(plan: Plan) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(folder, gates=False)
        write(repository, plan)
        settings = settings_for(folder, repository, plan)
        start = time.perf_counter()
        async with running(settings) as (daemon, _):
            turns = Turns(daemon)
            await settled(daemon, plan.count)
            done = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        start = time.perf_counter()
        async with running(settings) as (daemon, _):
            await settled(daemon, plan.count)
            restart = time.perf_counter() - start
    waits = turns.admissions() or [0.0]
    return {
        "workflows": plan.count,
        "done": done,
        "steps": plan.count * plan.steps / done,
        "admitted, median": statistics.median(waits) * 1000,
        "worst": max(waits) * 1000,
        "restart": restart,
        "peak memory": peak,
    }


async def count_lines(plan: Plan) -> dict[str, dict[str, int]]:
    """What it costs in lines of Python and hundreds of SQLite's instructions, as `growth.py` counts them."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder, counting() as counts:
        repository = Repository(folder, gates=False)
        write(repository, plan)
        counts.take()
        for what in ("done", "restart"):
            async with running(settings_for(folder, repository, plan)) as (daemon, _):
                await settled(daemon, plan.count)
                figures[what] = counts.take()
            counts.take()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--most", type=int, default=100, help="how many run at once")
    parser.add_argument("--strategy", choices=["FIFO", "FAIR"], default="FIFO")
    parser.add_argument("--lines", action="store_true", help="count lines of Python and instructions of SQLite instead of seconds")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        configure_logs("json", "error")
        plan = Plan(given.counts[0], given.steps, given.most, given.strategy)
        print(json.dumps(asyncio.run(count_lines(plan) if given.lines else measure(plan))))
        return
    options = ["--steps", str(given.steps), "--most", str(given.most), "--strategy", given.strategy, *(["--lines"] if given.lines else [])]
    if given.lines:
        for count in given.counts:
            print(json.dumps({"workflows": count, **_inside(count, options)}), flush=True)
        return
    print(f"Python {platform.python_version()}, {platform.machine()}, {given.strategy}, {given.most} at once, {given.steps} steps each")
    print(" | ".join(COLUMNS))
    found = []
    for count in given.counts:
        found.append(_inside(count, options))
        print(" | ".join(shape.format(found[-1][name]) for name, shape in COLUMNS.items()), flush=True)
    few, many = min(found, key=lambda each: each["workflows"]), max(found, key=lambda each: each["workflows"])
    if many["workflows"] > few["workflows"]:
        print(f"{many['workflows'] / few['workflows']:g} times the workflows: {many['done'] / few['done']:.2f} times the time")


def _inside(count: int, options: list[str]) -> dict[str, Any]:
    """Measured in a process of its own."""
    words = [sys.executable, str(Path(__file__)), str(count), "--inside", *options]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))


if __name__ == "__main__":
    main()
