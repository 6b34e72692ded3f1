"""Watching the refs of a repository. A hint says "look", never what happened: what a ref holds is asked of git."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from pathlib import Path

import structlog
from watchfiles import awatch

from reconciler.source import inotify
from reconciler.source.refs import common_folder, open_in_place

# Milliseconds between two questions, and of calm before an answer, where the system is asked instead of telling
# (docs/decisions/0007). HEAD and packed-refs change when a person switches or packs, and refs/ tells of the latter too: no hurry.
STEP = 20
SLOW_STEP = 100
# Seconds until a watch that failed or lost its folder is tried again; the poll is the truth meanwhile.
RETRY = 5.0

_log = structlog.get_logger(__name__)
# One line of information for each batch of changes is what nobody asked for.
logging.getLogger("watchfiles.main").setLevel(logging.WARNING)


async def watch_refs(path: str | Path, stop: asyncio.Event) -> AsyncIterator[None]:
    """
    Yields when a ref of the repository at `path` may have moved, and once when the watch stands, until `stop` is set.

    However much happens while the caller is busy is one hint. Where the system can't watch, nothing is ever yielded.
    """
    common, own = _git_folders(Path(path))
    watch = _Watch(common, own)
    tasks = [
        asyncio.create_task(watch.run({common / "refs"}, recursive=True)),
        asyncio.create_task(watch.run({common, own}, recursive=False)),
    ]
    stopped = asyncio.create_task(stop.wait())
    try:
        while await _first(watch.changed, stopped):
            watch.changed.clear()
            yield
    finally:
        stopped.cancel()
        watch.halt.set()
        await asyncio.gather(*tasks)


def _git_folders(path: Path) -> tuple[Path, Path]:
    """The folder that holds the refs, and the work tree's own, which holds its HEAD; mostly they are one."""
    repository = open_in_place(path.absolute())
    return common_folder(repository), Path(repository.path).resolve()


async def _first(changed: asyncio.Event, stopped: asyncio.Task[bool]) -> bool:
    """Waits for either; whether to go on."""
    waiting = asyncio.create_task(changed.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return not stopped.done()


class _Watch:
    """`changed`: something was seen. `halt`: end. A separate one from the caller's, to end also when the caller only leaves."""

    def __init__(self, common: Path, own: Path) -> None:
        self.changed = asyncio.Event()
        self.halt = asyncio.Event()
        self._folders = {str(common), str(common / "refs"), str(own)}
        self._files = {str(folder / name) for folder in (common, own) for name in ("HEAD", "packed-refs")}
        self._refs = f"{common / 'refs'}/"

    async def run(self, folders: set[Path], *, recursive: bool) -> None:
        """Watches until `halt`, again and again where a folder goes or the system refuses."""
        warned = False
        while not self.halt.is_set():
            try:
                await self._once(folders, recursive=recursive)
            except (OSError, RuntimeError) as error:
                if not warned:
                    _log.warning("refs can't be watched, only polled", folders=sorted(map(str, folders)), error=str(error))
                warned = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.halt.wait(), RETRY)

    async def _once(self, folders: set[Path], *, recursive: bool) -> None:
        """Returns when one of the watched folders is not the one that it was: its watch is gone with it."""
        were = _identities(folders)
        tell = inotify.changes if inotify.SERVED else ask
        async with contextlib.aclosing(tell(folders, recursive=recursive, halt=self.halt)) as looks:
            async for paths in looks:
                if not paths or any(self._matters(path) for path in paths):  # none: it stands, and what moved before is behind this hint
                    self.changed.set()
                if paths & self._folders and _identities(folders) != were:
                    return

    def _matters(self, path: str) -> bool:
        return not path.endswith(".lock") and (path.startswith(self._refs) or path in self._files or path in self._folders)


async def ask(folders: Collection[Path], *, recursive: bool, halt: asyncio.Event) -> AsyncGenerator[set[str], None]:
    """The same as `inotify.changes`, where there is no inotify: asks every few milliseconds."""
    step = STEP if recursive else SLOW_STEP
    looks = awatch(*folders, watch_filter=None, step=step, debounce=step, stop_event=halt, recursive=recursive, ignore_permission_denied=True)
    async with contextlib.aclosing(looks):
        first = asyncio.ensure_future(anext(looks, None))
        await asyncio.sleep(0)  # the watch stands after the first step
        yield set()
        changes = await first
        while changes is not None:
            yield {path for _, path in changes}
            changes = await anext(looks, None)


def _identities(folders: set[Path]) -> set[tuple[int, int] | None]:
    found: set[tuple[int, int] | None] = set()
    for folder in folders:
        try:
            stat = folder.stat()
            found.add((stat.st_dev, stat.st_ino))
        except OSError:
            found.add(None)
    return found
