"""N applications of one ConfigMap each on the embedded cluster: what they cost, and what a change costs.

    python benchmarks/applications.py 100 1000 [--pushes 50] [--idle 60] [--scrape 15] [--gates] [--files 0]

Cold: from the start until every application is applied (object readable, run succeeded, status stored), or waits at its gate with
`--gates`. Push: from the moment that the ref has moved to the object's own watch event. Foreign push: CPU time of a push that
touches nothing of ours. Idle: CPU time while nothing happens but a scrape every 15 s. Restart: from the start on the same state until
every application's status is there again; `writes` counts what it stored meanwhile. Peak memory is that of all before the restart.

Each N runs in a process of its own, and its restart in another one; the whole daemon runs in it, with its API and its watch on the
refs. `--files` puts that many other files into the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pygit2

from reconciler.daemon import Daemon, Resident
from reconciler.engine.applications import Application
from reconciler.model.identity import GVK, AppKey
from reconciler.model.status import ApplicationStatus
from reconciler.observe.logs import configure_logs
from reconciler.settings import Settings

BRANCH = "refs/heads/main"
MANIFEST = """apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: app-{number}
spec:
  components:
    - name: settings
      type: k8s-objects
      properties:
        objects:
          - apiVersion: v1
            kind: ConfigMap
            metadata: {{name: app-{number}}}
            data: {{value: "{value}"}}
"""
GATE = """  workflow:
    steps:
      - {name: approve, type: suspend}
      - {name: apply, type: apply-component, properties: {component: settings}}
"""
COLUMNS = {
    "applications": "{:.0f}",
    "files": "{:.0f}",
    "cold": "{:.1f} s",
    "push, median": "{:.1f} ms",
    "worst": "{:.1f} ms",
    "foreign push": "{:.1f} ms CPU",
    "idle": "{:.2f} %",
    "restart": "{:.1f} s",
    "writes": "{:.0f}",
    "peak memory": "{:.0f} MiB",
}


class Plan(NamedTuple):
    count: int
    pushes: int
    idle: float
    scrape: float
    gates: bool
    files: int


class Repository:
    """A bare repository whose branch moves when it is told."""

    def __init__(self, folder: str, *, gates: bool) -> None:
        self.path = f"{folder}/origin.git"
        self._git = pygit2.init_repository(self.path, bare=True, initial_head="main")
        self._gate = GATE if gates else ""
        self._index = pygit2.Index()

    def declare(self, values: dict[int, int]) -> None:
        for number, value in values.items():
            self.put(f"apps/{number // 100:03}/app-{number}.yaml", MANIFEST.format(number=number, value=value) + self._gate)

    def fill(self, count: int) -> None:
        """Other files, a hundred to a folder."""
        for number in range(count):
            self.put(f"src/{number // 10000:03}/{number // 100 % 100:02}/file-{number}.txt", f"{number}\n")

    def change_foreign(self, text: str) -> None:
        self.put("NOTES.txt", text)

    def put(self, path: str, text: str) -> None:
        self._index.add(pygit2.IndexEntry(path, self._git.create_blob(text.encode()), pygit2.enums.FileMode.BLOB))

    def commit(self) -> pygit2.Oid:
        """Of all that was put so far; the branch does not move."""
        who = pygit2.Signature("Benchmark", "benchmark@example.org")
        parents = [self._git.references[BRANCH].target] if BRANCH in self._git.references else []
        return self._git.create_commit(None, who, who, "change", self._index.write_tree(self._git), parents)

    def move(self, to: pygit2.Oid) -> None:
        self._git.references.create(BRANCH, to, force=True)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Daemon, str]]:
    daemon = Daemon(settings, Resident())
    url = await daemon.start()
    try:
        async with asyncio.TaskGroup() as group:  # a daemon that dies ends the measurement
            work = group.create_task(daemon.work())
            yield daemon, url
            work.cancel()
    finally:
        await daemon.stop()


async def settled(daemon: Daemon, plan: Plan) -> None:
    """Until every application stands where it will stay. What stood is asked again only at the end, so that asking is not measured."""
    apps = daemon.engine._context.apps  # noqa: SLF001  # `applications()` would make 10,000 copies for each look
    waiting: list[AppKey] = []
    while True:
        while waiting and rests(apps.get(waiting[-1]), plan):
            waiting.pop()
        if not waiting and len(apps) == plan.count:
            waiting = [key for key, app in apps.items() if not rests(app, plan)]
            if not waiting:
                return
        await asyncio.sleep(0.02 if plan.count <= 1000 else 0.1)


def rests(app: Application | None, plan: Plan) -> bool:
    return app is not None and stands(app.status, plan) and not app.tasks and not app.unsaved


def stands(status: ApplicationStatus | None, plan: Plan) -> bool:
    if status is None:
        return False
    return status.gate is not None if plan.gates else status.sync == "Synced"


async def scrape(url: str, seconds: float) -> None:
    while True:
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/metrics").read())
        await asyncio.sleep(seconds)


async def push_once(daemon: Daemon, repository: Repository, number: int, value: int) -> float:
    """Seconds from the moved ref to the object's watch event."""
    repository.declare({number: value})
    new = repository.commit()
    watch = daemon.cluster.watch(GVK("", "v1", "ConfigMap"))
    repository.move(new)
    start = time.perf_counter()
    async for event in watch:
        if event.object["metadata"].get("name") == f"app-{number}" and event.object["data"]["value"] == str(value):
            return time.perf_counter() - start
    raise AssertionError("the watch ended")


async def push_foreign(daemon: Daemon, repository: Repository, turn: int) -> float:
    """CPU seconds of the look that a push asks for which touches nothing of ours."""
    repository.change_foreign(f"{turn}")
    new = repository.commit()
    index = daemon.engine._context.index  # noqa: SLF001
    await asyncio.sleep(0.05)
    before = time.process_time()
    repository.move(new)
    while index.accepted != str(new):  # noqa: ASYNC110  # no event tells of a look at which nothing changed
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    return time.process_time() - before


def settings_in(folder: str) -> Settings:
    """What a daemon on the repository in that folder is started with."""
    return Settings(repo=f"{folder}/origin.git", state=f"{folder}/state.db", listen="127.0.0.1:0", create_namespaces="all")


async def measure(plan: Plan, folder: str) -> dict[str, float]:
    """All but the restart; leaves repository and state in the folder."""
    figures: dict[str, float] = {"applications": plan.count, "files": plan.files + plan.count}
    repository = Repository(folder, gates=plan.gates)
    repository.declare(dict.fromkeys(range(plan.count), 0))
    repository.fill(plan.files)
    repository.move(repository.commit())
    start = time.perf_counter()
    async with running(settings_in(folder)) as (daemon, url):
        await settled(daemon, plan)
        figures["cold"] = time.perf_counter() - start
        figures |= await change(plan, daemon, url, repository)
        figures["peak memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures["stored"] = daemon.cluster._objects.history.version  # noqa: SLF001
    return figures


async def measure_restart(plan: Plan, folder: str) -> dict[str, float]:
    start = time.perf_counter()
    async with running(settings_in(folder)) as (daemon, _):
        await settled(daemon, plan)
        return {"restart": time.perf_counter() - start, "stored": daemon.cluster._objects.history.version}  # noqa: SLF001


async def change(plan: Plan, daemon: Daemon, url: str, repository: Repository) -> dict[str, float]:
    figures = {}
    scraping = asyncio.create_task(scrape(url, plan.scrape))
    chance = random.Random(plan.count)
    if plan.pushes:
        times, foreign = [], []
        for turn in range(1, plan.pushes + 1):
            if not plan.gates:
                times.append(await push_once(daemon, repository, chance.randrange(plan.count), turn))
                await settled(daemon, plan)
            foreign.append(await push_foreign(daemon, repository, turn))
        figures["foreign push"] = statistics.median(foreign) * 1000
        if times:
            figures |= {"push, median": statistics.median(times) * 1000, "worst": max(times) * 1000}
    if plan.idle:
        before, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(plan.idle)
        figures["idle"] = (time.process_time() - before) / (time.perf_counter() - began) * 100
    scraping.cancel()
    await asyncio.gather(scraping, return_exceptions=True)
    return figures


def ask(words: list[str]) -> dict[str, float]:
    """What a process of its own prints."""
    found: dict[str, float] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--pushes", type=int, default=50)
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--scrape", type=float, default=15, help="seconds between two scrapes")
    parser.add_argument("--gates", action="store_true", help="every application waits at a gate")
    parser.add_argument("--files", type=int, default=0, help="other files in the repository")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        configure_logs("json", "error")
        plan = Plan(given.counts[0], given.pushes, given.idle, given.scrape, given.gates, given.files)
        print(json.dumps(asyncio.run((measure_restart if given.again else measure)(plan, given.inside))))
        return
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for count in given.counts:
        words = [sys.executable, str(Path(__file__)), str(count), "--pushes", str(given.pushes), "--idle", str(given.idle)]
        words += ["--scrape", str(given.scrape), "--files", str(given.files), *(["--gates"] if given.gates else [])]
        with tempfile.TemporaryDirectory() as folder:
            figures, again = (ask([*words, "--inside", folder, *more]) for more in ([], ["--again"]))
        figures |= {"restart": again["restart"], "writes": again["stored"] - figures["stored"]}
        print(f"| {' | '.join(form.format(figures[name]) if name in figures else '–' for name, form in COLUMNS.items())} |", flush=True)


if __name__ == "__main__":
    main()
