"""Where the CPU time of a cold start, a restart or an idle daemon goes, function by function.

    python benchmarks/profiles.py cold|restart|idle 1000 [--lines 25] [--by own|total] [--seconds 60]

The event loop's thread and the source's are profiled apart. `CPU` is that of the process without a profiler, from the same script with
`--bare`: a profile tells where, the bare figure how much. With `idle` the daemon rests for `--seconds`, scraped every 15 s.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from applications import Plan, Repository, running, scrape, settings_in, settled

from reconciler.engine import context
from reconciler.observe.logs import configure_logs


class Profiles:
    """One for each thread that matters. `on`: whether what happens now is of interest."""

    def __init__(self, *, bare: bool) -> None:
        self.bare = bare
        self.loop, self.source = cProfile.Profile(), cProfile.Profile()
        self.on = False
        self.cpu = 0.0

    @contextmanager
    def taking(self) -> Iterator[None]:
        self.on = not self.bare
        began = time.process_time()
        if self.on:
            self.loop.enable()
        try:
            yield
        finally:
            self.loop.disable()
            self.cpu, self.on = time.process_time() - began, False

    def watch_source(self) -> None:
        """Work on the source's thread runs under the second profile."""
        call = context.SourceThread.call

        async def profiled(thread: Any, work: Any) -> Any:
            return await call(thread, (lambda source: self.source.runcall(work, source)) if self.on else work)

        context.SourceThread.call = profiled  # type: ignore[method-assign]


async def measure(what: str, plan: Plan, profiles: Profiles, folder: str) -> None:
    if what != "idle":
        with profiles.taking():
            await start(plan, folder)
        return
    async with running(settings_in(folder)) as (daemon, url):
        await settled(daemon, plan)
        scraping = asyncio.create_task(scrape(url, plan.scrape))
        await asyncio.sleep(1)
        with profiles.taking():
            await asyncio.sleep(plan.idle)
        scraping.cancel()
        await asyncio.gather(scraping, return_exceptions=True)


async def start(plan: Plan, folder: str) -> None:
    async with running(settings_in(folder)) as (daemon, _):
        await settled(daemon, plan)


def declare(plan: Plan, folder: str) -> None:
    repository = Repository(folder, gates=plan.gates)
    repository.declare(dict.fromkeys(range(plan.count), 0))
    repository.move(repository.commit())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cold", "restart", "idle"])
    parser.add_argument("count", type=int)
    parser.add_argument("--lines", type=int, default=25)
    parser.add_argument("--by", choices=["own", "total"], default="own")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--gates", action="store_true", help="every application waits at a gate")
    parser.add_argument("--bare", action="store_true", help="no profile, only the CPU time")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    given = parser.parse_args()
    configure_logs("json", "error")
    profiles = Profiles(bare=given.bare)
    profiles.watch_source()
    plan = Plan(given.count, 0, given.seconds, 15, given.gates, 0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.inside or scratch
        if not given.inside:
            declare(plan, folder)
            if given.what != "cold":  # what was there before must have been another process
                words = [sys.executable, __file__, "cold", str(given.count), "--bare", "--inside", folder, *(["--gates"] if given.gates else [])]
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        asyncio.run(measure(given.what, plan, profiles, folder))
    print(f"{given.what} with {given.count} applications: {profiles.cpu:.2f} s of CPU")
    for name, profile in (("the event loop", profiles.loop), ("the source", profiles.source)):
        if profile.getstats():
            print(f"\n{name}:")
            pstats.Stats(profile).sort_stats("tottime" if given.by == "own" else "cumulative").print_stats(given.lines)


if __name__ == "__main__":
    main()
