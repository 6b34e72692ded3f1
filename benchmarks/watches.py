"""What watching the refs costs at rest, and how fast it tells of a push: each way of watching side by side.

    python benchmarks/watches.py [--rest 20] [--moves 40]

Rest: CPU time of the process while nothing happens, in per cent of a core. Hint: from the moment that the ref has moved until the watch
tells of it; a move every 0.1 to 0.4 s. First: the same after the rest. `told` is inotify, `asked` is watchfiles with that many
milliseconds between two questions, `5/20` being 5 with 20 of calm before an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time

from applications import Repository
from watchfiles import awatch

from reconciler.source import inotify, watch


async def measure(rest: float, moves: int) -> tuple[float, float, float, float]:
    """Per cent at rest; milliseconds of the median, the worst and the first hint."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Repository(folder, gates=False)
        commits = []
        for number in range(moves + 1):
            repository.change_foreign(str(number))
            commits.append(repository.commit())
            if not number:
                repository.move(commits[0])
        stop, seen = asyncio.Event(), asyncio.Event()

        async def collect() -> None:
            async for _ in watch.watch_refs(repository.path, stop):
                seen.set()

        collecting = asyncio.create_task(collect())
        await asyncio.sleep(1)
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.sleep(rest)
        idle = (time.process_time() - cpu) / (time.perf_counter() - began) * 100
        times = []
        chance = random.Random(1)
        for commit in commits[1:]:
            seen.clear()
            repository.move(commit)
            start = time.perf_counter()
            await asyncio.wait_for(seen.wait(), 10)
            times.append((time.perf_counter() - start) * 1000)
            await asyncio.sleep(chance.uniform(0.1, 0.4))
        stop.set()
        await collecting
        return idle, statistics.median(times), max(times), times[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rest", type=float, default=20, help="seconds")
    parser.add_argument("--moves", type=int, default=40)
    given = parser.parse_args()
    print("| way | rest | hint, median | worst | first |\n|---|---|---|---|---|")
    ways = {"told": (0, 0), **{f"asked {step}/{calm}": (step, calm) for step, calm in ((5, 20), (10, 20), (20, 20), (50, 50))}}
    for name, (step, calm) in ways.items():
        inotify.SERVED = not step
        if step:
            watch.STEP = step
            watch.awatch = lambda *folders, calm=calm, **options: awatch(*folders, **{**options, "debounce": max(calm, options["step"])})  # type: ignore[attr-defined]
        idle, median, worst, first = asyncio.run(measure(given.rest, given.moves))
        print(f"| {name} | {idle:.2f} % | {median:.1f} ms | {worst:.1f} ms | {first:.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
