"""Linux's inotify(7) for folders, on the event loop: nothing wakes until something changes.

Three calls of the C library by ctypes. The libraries for it that exist are as thin as this, and look the C library up by running
`ldconfig` or a compiler; watchfiles wakes up to ask, as often as it is to be quick.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import AsyncGenerator, Collection, Iterator
from pathlib import Path

SERVED = sys.platform == "linux"
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x8, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED, _ONLY_FOLDERS, _IS_FOLDER = 0x4000, 0x8000, 0x1000000, 0x40000000
_WANTED = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
_EVENT = struct.Struct("iIII")
_BUFFER = 64 * 1024


async def changes(folders: Collection[Path], *, recursive: bool, halt: asyncio.Event) -> AsyncGenerator[set[str], None]:
    """
    Paths at which something changed: an entry of a watched folder, or the folder itself. The first answer is empty and says that
    the watch stands. Ends with `halt`. Raises OSError where the system refuses.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    notify = _Inotify(recursive=recursive)
    stopping = asyncio.create_task(halt.wait())
    try:
        await asyncio.to_thread(notify.add_all, folders)
        loop.add_reader(notify.descriptor, ready.set)
        yield set()
        while True:
            waiting = asyncio.create_task(ready.wait())
            try:
                await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
            if stopping.done():
                return
            ready.clear()
            found = notify.read()
            if found is None:  # the queue overflowed: folders may be new, and anything may have changed
                await asyncio.to_thread(notify.add_all, folders)
                found = {str(folder) for folder in folders}
            if found:
                yield found
    finally:
        stopping.cancel()
        loop.remove_reader(notify.descriptor)
        os.close(notify.descriptor)


class _Inotify:
    """One inotify instance. `recursive`: folders below those that are added are watched too, also those that come later."""

    def __init__(self, *, recursive: bool) -> None:
        self._recursive = recursive
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folders: dict[int, str] = {}
        self.descriptor = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def add_all(self, folders: Collection[Path]) -> None:
        for folder in folders:
            self._add(str(folder))
            self._add_below(str(folder))

    def _add_below(self, folder: str) -> None:
        """One that is gone meanwhile, or may not be read, is passed by: its parent tells of it."""
        if not self._recursive:
            return
        pending = [folder]
        while pending:
            try:
                with os.scandir(pending.pop()) as entries:
                    below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
            for path in below:
                try:
                    self._add(path)
                except (FileNotFoundError, NotADirectoryError, PermissionError):
                    continue
                pending.append(path)

    def _add(self, path: str) -> None:
        self._folders[self._call("inotify_add_watch", self.descriptor, os.fsencode(path), ctypes.c_uint32(_WANTED))] = path

    def read(self) -> set[str] | None:
        """What is told now; None where more happened than the system kept."""
        found: set[str] | None = set()
        for watch, mask, name in self._events():
            folder = self._folders.get(watch)
            if mask & _OVERFLOW:
                found = None
            if folder is None:
                continue
            path = f"{folder}/{name}" if name else folder
            if mask & _IGNORED:
                del self._folders[watch]
            elif mask & _IS_FOLDER and mask & (_CREATE | _MOVED_TO) and self._recursive:
                try:
                    self._add(path)
                except (FileNotFoundError, NotADirectoryError, PermissionError):
                    pass
                else:
                    self._add_below(path)
            if found is not None:
                found.add(path)
        return found

    def _events(self) -> Iterator[tuple[int, int, str]]:
        while True:
            try:
                data = os.read(self.descriptor, _BUFFER)
            except BlockingIOError:
                return
            position = 0
            while position < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, position)
                position += _EVENT.size + length
                yield watch, mask, os.fsdecode(data[position - length : position].rstrip(b"\0"))

    def _call(self, name: str, *arguments: object) -> int:
        answer: int = getattr(self._libc, name)(*arguments)
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")
        return answer
