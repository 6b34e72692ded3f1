"""The Enter key, while something else is watched."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any, Self


class Keyboard:
    """Within the block keys are read as they are typed and not shown; the terminal is as it was after it. Without one nothing is ever pressed."""

    def __init__(self) -> None:
        self._number = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
        self._modes: list[Any] = []

    def __enter__(self) -> Self:
        if self._number >= 0:
            self._modes = termios.tcgetattr(self._number)
            tty.setcbreak(self._number)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._modes:
            termios.tcsetattr(self._number, termios.TCSADRAIN, self._modes)

    @property
    def there(self) -> bool:
        return self._number >= 0

    def wait(self, seconds: float) -> bool:
        """Whether Enter was pressed within that time. Raises KeyboardInterrupt for Ctrl-D and for a terminal that went away."""
        if self._number < 0:
            time.sleep(seconds)
            return False
        if not select.select([self._number], [], [], seconds)[0]:
            return False
        typed = os.read(self._number, 1024)
        if not typed or b"\x04" in typed:
            raise KeyboardInterrupt
        return b"\n" in typed or b"\r" in typed
