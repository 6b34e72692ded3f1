"""A stream of pushes, while daemons die."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from itertools import count

from tests.e2e.place import Place, config_map_app, in_shard
from tests.faults.effects import Receiver, flow

APPLICATIONS = ("shop", "news", "mail")


class Pushes:
    """
    In turn a new value for one of the applications, now and then a workflow of its own. `shards`: each push gives what it touches to the next
    of them, and moves the workflow of the time before. `values` and `flows`: what was pushed at last; `shard`: whose each of all those is then.
    """

    def __init__(self, place: Place, receiver: Receiver, shards: Sequence[str] = ("",)) -> None:
        self._place, self._receiver, self._shards, self._end = place, receiver, shards, threading.Event()
        self._thread = threading.Thread(target=self._push)
        self.values: dict[str, str] = {}
        self.flows: list[str] = []
        self.shard: dict[str, str] = {}
        self.failure: BaseException | None = None

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        self._end.set()
        self._thread.join()
        assert self.failure is None, self.failure

    def _push(self) -> None:
        try:
            for number in count(1):
                if self._end.wait(0.3):
                    return
                self._place.clone.push(self._next(number))
        except BaseException as error:  # noqa: BLE001  # told by the test itself
            self.failure = error

    def _next(self, number: int) -> dict[str, str | None]:
        namespace, shard = self._place.namespace, self._shards[number // 2 % len(self._shards)]
        name = APPLICATIONS[number % len(APPLICATIONS)]
        self.values[name] = f"value-{number}"
        texts = {name: config_map_app(namespace, name, self.values[name])}
        if number % 4 == 0:
            self.flows.append(f"flow-{number}")
        if number % 4 == 0 or (number % 4 == 1 and self.flows and len(self._shards) > 1):  # while it runs, or has ended just now
            texts[self.flows[-1]] = flow(namespace, self._receiver.address, self.flows[-1])
        self.shard |= dict.fromkeys(texts, shard)
        return {f"{what}.yaml": in_shard(text, shard) for what, text in texts.items()}
