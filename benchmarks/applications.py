"""N applications of one ConfigMap each on the embedded cluster: cold start, push to applied, peak memory, idle CPU.

    python benchmarks/applications.py 100 1000 [--pushes 50] [--idle 60] [--scrape 15]

Applied: the object is readable, the run succeeded, the status is stored. A push is timed from the moment that the ref has moved to
the object's own watch event. Each N runs in a process of its own; the whole daemon runs in it, with its API and its watch on the refs.
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
from pathlib import Path

import pygit2

from reconciler.daemon import Daemon
from reconciler.model.identity import GVK
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


def commit(repository: pygit2.Repository, values: dict[int, int]) -> pygit2.Oid:
    """A commit with those applications' manifests changed; the branch does not move."""
    index = pygit2.Index()
    parents = []
    if BRANCH in repository.references:
        parents = [repository.references[BRANCH].target]
        index.read_tree(repository[parents[0]].tree)
    for number, value in values.items():
        blob = repository.create_blob(MANIFEST.format(number=number, value=value).encode())
        index.add(pygit2.IndexEntry(f"apps/{number // 100:03}/app-{number}.yaml", blob, pygit2.enums.FileMode.BLOB))
    who = pygit2.Signature("Benchmark", "benchmark@example.org")
    return repository.create_commit(None, who, who, "change", index.write_tree(repository), parents)


def move(repository: pygit2.Repository, to: pygit2.Oid) -> None:
    repository.references.create(BRANCH, to, force=True)


async def settled(daemon: Daemon, count: int) -> None:
    while True:
        statuses = daemon.engine.reader.applications()
        if sum(status.sync == "Synced" for status in statuses) == count and not busy(daemon):
            return
        await asyncio.sleep(0.01)


def busy(daemon: Daemon) -> bool:
    return any(app.tasks or app.unsaved for app in daemon.engine._context.apps.values())  # noqa: SLF001


async def scrape(url: str, seconds: float) -> None:
    while True:
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/metrics").read())
        await asyncio.sleep(seconds)


async def push_once(daemon: Daemon, repository: pygit2.Repository, number: int, value: int) -> float:
    """Seconds from the moved ref to the object's watch event."""
    new = commit(repository, {number: value})
    watch = daemon.cluster.watch(GVK("", "v1", "ConfigMap"))
    move(repository, new)
    start = time.perf_counter()
    async for event in watch:
        if event.object["metadata"].get("name") == f"app-{number}" and event.object["data"]["value"] == str(value):
            return time.perf_counter() - start
    raise AssertionError("the watch ended")


async def measure(count: int, pushes: int, idle: float, scrape_seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        repository = pygit2.init_repository(f"{folder}/origin.git", bare=True, initial_head="main")
        move(repository, commit(repository, dict.fromkeys(range(count), 0)))
        settings = Settings(repo=f"{folder}/origin.git", state=f"{folder}/state.db", listen="127.0.0.1:0", create_namespaces="all")
        start = time.perf_counter()
        daemon = Daemon(settings)
        url = await daemon.start()
        work = asyncio.create_task(daemon.work())
        await settled(daemon, count)
        cold = time.perf_counter() - start
        scraping = asyncio.create_task(scrape(url, scrape_seconds))
        chance = random.Random(count)
        times = []
        for turn in range(1, pushes + 1):
            times.append(await push_once(daemon, repository, chance.randrange(count), turn))
            await settled(daemon, count)
            await asyncio.sleep(0.05)
        before, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(idle)
        cpu = (time.process_time() - before) / (time.perf_counter() - began) if idle else 0.0
        scraping.cancel()
        work.cancel()
        await asyncio.gather(work, scraping, return_exceptions=True)
        await daemon.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    median, worst = statistics.median(times) * 1000, max(times) * 1000
    return {"applications": count, "cold_s": cold, "push_median_ms": median, "push_worst_ms": worst, "peak_mib": peak, "idle_cpu_percent": cpu * 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", nargs="+", type=int)
    parser.add_argument("--pushes", type=int, default=50)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--scrape", type=float, default=15)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        configure_logs("json", "error")
        print(json.dumps(asyncio.run(measure(given.counts[0], given.pushes, given.idle, given.scrape))))
        return
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}")
    print("| applications | cold start | push to applied, median | worst | peak memory | idle CPU |\n|---|---|---|---|---|---|")
    for count in given.counts:
        words = [sys.executable, str(Path(__file__)), str(count), "--inside"]
        words += ["--pushes", str(given.pushes), "--idle", str(given.idle), "--scrape", str(given.scrape)]
        figures = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        print(
            f"| {count} | {figures['cold_s']:.2f} s | {figures['push_median_ms']:.1f} ms | {figures['push_worst_ms']:.1f} ms "
            f"| {figures['peak_mib']:.0f} MiB | {figures['idle_cpu_percent']:.2f} % |",
            flush=True,
        )


if __name__ == "__main__":
    main()
