"""Effects that can be counted: an HTTP server that notes each request and its key, and workflows that call it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Receiver:
    """In a thread of its own. `keys`: path to the distinct keys that came with it. `requests`: how many came in all."""

    def __init__(self) -> None:
        self.requests = 0
        self.keys: dict[str, set[str]] = defaultdict(set)
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        noted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                key = self.headers.get("Idempotency-Key", "")
                noted.requests += 1
                noted.keys[self.path].add(key)
                noted.bodies[key].add(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def counts(self) -> dict[str, int]:
        """Path to how many distinct keys came; each must have come with one body alone."""
        assert all(len(bodies) == 1 for bodies in self.bodies.values())
        return {path: len(keys) for path, keys in self.keys.items()}


def flow(namespace: str, address: str, name: str = "flow") -> str:
    """A step flow workflow that calls `/NAME/a`, applies a ConfigMap, calls `/NAME/b`, applies another, calls `/NAME/c`, one after the other."""
    retry = {"runRetryLimit": 9, "runRetryPeriodSeconds": 0}

    def step(kind: str, what: str, after: str, **parameters: str) -> str:
        needs = [{"name": after, "phase": "Success"}] if after else []
        return json.dumps({"name": what, "dependOns": needs, "stepTemplate": {"type": kind, "parameters": parameters, "retryPolicy": retry}})

    def http(what: str, after: str) -> str:
        return step("http", what, after, url=f"http://{address}/{name}/{what}", method="POST", body=what)

    def apply(what: str, after: str) -> str:
        return step("apply", what, after, manifest=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-{what}"}}))

    steps = [http("a", ""), apply("first", "a"), http("b", "first"), apply("second", "b"), http("c", "second")]
    lines = [
        "apiVersion: workflow.example.com/v1alpha1",
        "kind: Workflow",
        "metadata:",
        f"  name: {name}",
        f"  namespace: {namespace}",
        "spec:",
        "  steps:",
    ]
    return "\n".join([*lines, *(f"  - {item}" for item in steps)]) + "\n"
