"""A real Prometheus as a process: it scrapes one target often, evaluates rules often, and is asked by its HTTP API."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.integration.prometheus.binaries import Binaries

INTERVAL = "400ms"
PATIENCE = 30.0
_ADDRESS = re.compile(r'msg="Listening on" address=(127\.0\.0\.1:\d+)')


class Prometheus:
    """On loopback, on a free port, with its storage in `folder`; leaving the block ends it, whatever happened in it."""

    def __init__(self, binaries: Binaries, folder: Path, target: str, rules: dict[str, Any]) -> None:
        self._folder, self._log = folder, folder / "prometheus.log"
        folder.mkdir()
        scrape = {"job_name": "reconciler", "honor_labels": True, "static_configs": [{"targets": [target.removeprefix("http://")]}]}
        timing = {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL}
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({"global": timing, "rule_files": ["rules.yaml"], "scrape_configs": [scrape]}))
        command = [binaries.prometheus, "--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        self._url, self._began = "", time.time()

    def __enter__(self) -> Self:
        try:
            end = time.monotonic() + PATIENCE
            while not (found := _ADDRESS.search(self._log.read_text())):
                assert self._process.poll() is None, f"Prometheus ended by itself:\n{self._log.read_text()}"
                assert time.monotonic() < end, f"Prometheus does not listen:\n{self._log.read_text()}"
                time.sleep(0.02)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._url = f"http://{found[1]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        return self._url

    async def ask(self, path: str, **words: str | float) -> Any:
        """`data` of the answer. The loop goes on meanwhile: it is what answers the scrapes."""
        return await asyncio.to_thread(self._ask, f"{self._url}/api/v1/{path}?{urlencode(words)}")

    def _ask(self, url: str) -> Any:
        with urlopen(url, timeout=PATIENCE) as answer:  # its own loopback address
            return json.load(answer)["data"]

    async def series(self, expression: str, since: float) -> list[dict[str, Any]]:
        """The series of an expression at any time since then that have a number in it: `{metric, values}`."""
        found = (await self.ask("query_range", query=expression, start=since, end=time.time(), step=0.4))["result"]
        return [each for each in found if any(value != "NaN" for _, value in each["values"])]

    async def fires(self, alert: str, **labels: str) -> None:
        """Waits until the alert has fired with those labels. It may have cleared since."""
        await self._until(lambda: self.series(_firing(alert, **labels), self._began), f"{alert} {labels} never fired")

    async def clears(self, alert: str) -> None:
        """Waits until the alert fires for nothing."""

        async def quiet() -> bool:
            return not (await self.ask("query", query=_firing(alert)))["result"]

        await self._until(quiet, f"{alert} never cleared")

    async def _until(self, ask: Callable[[], Awaitable[Any]], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not await ask():
            assert time.monotonic() < end, what
            await asyncio.sleep(0.1)


def _firing(alert: str, **labels: str) -> str:
    matchers = [f'{name}="{word}"' for name, word in {"alertname": alert, "alertstate": "firing", **labels}.items()]
    return f"ALERTS{{{', '.join(matchers)}}}"
