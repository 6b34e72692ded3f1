"""A whole engine in this process: a real bare repository, a clone that pushes, the embedded cluster, everything wired as in daemon.py."""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.daemon import SystemClock
from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.registry import dialects
from reconciler.engine.access import Access
from reconciler.engine.applications import Heal
from reconciler.engine.engine import Engine
from reconciler.engine.options import Options
from reconciler.model.event import Event
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import DEFINED
from reconciler.model.status import ApplicationStatus
from reconciler.observe.metrics import Fanout
from reconciler.render.definitions import shared
from reconciler.render.engine import ComponentRenderer
from reconciler.simulation.clock import VirtualClock, VirtualLoop
from reconciler.source.git import GitSource
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.defined import DefinedStep
from reconciler.wiring import build_executors

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "Author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
}
PATIENCE = 60.0


class Clone:
    """A user's clone of a bare origin: writes files, commits, pushes."""

    def __init__(self, folder: Path) -> None:
        self.origin, self.path = folder / "origin.git", folder / "clone"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], check=True, env=ENVIRONMENT)
        subprocess.run(["git", "clone", "-q", str(self.origin), str(self.path)], check=True, env=ENVIRONMENT, capture_output=True)
        self.git("checkout", "-q", "-B", "main")

    def git(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(["git", "-C", str(self.path), *args], check=False, env=ENVIRONMENT, capture_output=True, text=True)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(textwrap.dedent(content))
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, files: dict[str, str | None] | None = None, message: str = "change", *, force: bool = False) -> str:
        """Commits on top of what origin has, and pushes."""
        self.git("fetch", "-q", "origin")
        if not force and self.git("rev-parse", "--verify", "-q", "origin/main", check=False):
            self.git("rebase", "-q", "origin/main")
        if files is not None:
            self.commit(files, message)
        self.git("push", "-q", *(["--force"] if force else []), "origin", "main")
        return self.git("rev-parse", "HEAD")

    def pull(self) -> None:
        self.git("fetch", "-q", "origin")
        self.git("reset", "-q", "--hard", "origin/main")

    def read(self, name: str) -> str:
        return (self.path / name).read_text()


class Recorder:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


def virtual(test: Callable[..., Any]) -> Callable[..., None]:
    """Runs an async test on virtual time: minutes of waiting cost nothing, and nothing depends on how fast the machine is."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
        finally:
            loop.close()

    return run


class Daemon:
    """A running engine. `status` answers what scripts see; `until` waits for a predicate of it."""

    def __init__(self, engine: Engine, cluster: EmbeddedCluster, sink: Recorder, task: asyncio.Task[None]) -> None:
        self.engine, self.cluster, self.sink, self.task = engine, cluster, sink, task

    def status(self, name: str, namespace: str = "default") -> ApplicationStatus | None:
        return self.engine.reader.application(AppKey(namespace, name))

    async def until(self, predicate: Callable[[], Any], what: str = "") -> Any:
        """Looks at git and asks again until the predicate is true; fails with the state of things."""
        loop = asyncio.get_running_loop()
        patience, pause = (PATIENCE * 1000, 1.0) if isinstance(loop, VirtualLoop) else (PATIENCE, 0.02)
        end = loop.time() + patience
        while True:
            value = predicate()
            if value:
                return value
            if loop.time() > end:
                shown = "\n".join(str(status) for status in self.engine.reader.applications())
                raise AssertionError(f"never came true: {what or predicate}\n{shown}\n{self.engine.reader.problems()}")
            self.engine.look()
            await asyncio.sleep(pause)

    async def synced(self, name: str, commit: str = "", namespace: str = "default") -> ApplicationStatus:
        """Waits until the application runs what the head declares (that of `commit`, where given)."""

        def done() -> ApplicationStatus | None:
            status = self.status(name, namespace)
            if status is None or status.sync != "Synced" or status.running is None:
                return None
            return status if not commit or (status.desired is not None and status.desired.commit == commit) else None

        found: ApplicationStatus = await self.until(done, f"{name} synced")
        return found

    async def waiting(self, name: str, namespace: str = "default", revision: str = "") -> ApplicationStatus:
        """Waits until a gate of the application waits."""

        def done() -> ApplicationStatus | None:
            status = self.status(name, namespace)
            return status if status is not None and status.gate is not None and revision in ("", status.gate.revision) else None

        found: ApplicationStatus = await self.until(done, f"{name} waits at a gate")
        return found

    async def looked(self) -> None:
        """Waits until git was read anew and every turn that this brought is done."""
        before = self.engine._context.index.looked_at
        self.engine.look()
        await self.until(lambda: self.engine._context.index.looked_at != before and self.idle(), "looked")

    def idle(self) -> bool:
        queue = self.engine._queue
        return not (queue._ready or queue._urgent or queue._busy or queue._again) and all(not app.tasks for app in self.engine._context.apps.values())

    def hold_healing(self, name: str) -> None:
        """As if all that it has was put back a moment ago, by somebody who takes long breaks."""
        app = self.engine._context.apps[AppKey("default", name)]
        app.heals = dict.fromkeys(app.items, Heal(until=asyncio.get_running_loop().time() + 1e6))

    def conditions(self, name: str, namespace: str = "default") -> dict[str, str]:
        status = self.status(name, namespace)
        return {item.type: f"{item.reason}: {item.message}" for item in status.conditions if item.status == "True"} if status else {}

    async def get(self, kind: str, name: str, namespace: str = "default", api_version: str = "v1") -> JsonObject:
        return await self.cluster.get(ObjectRef(api_version, kind, namespace, name))


@asynccontextmanager
async def running(
    clone: Clone, state: str = ":memory:", *, cluster: EmbeddedCluster | None = None, ref: str = "", paths: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[Daemon]:
    """
    Starts an engine on the clone's origin. A cluster that is handed in is neither started nor closed here. `sinks`: further ones. `families`,
    `types`, `executors`: instead of what is built in, and beside it. `sender`, `post`: who leaves
    the machine. `namespace`: of the state. Other options are the engine's. With a state file and what is built in, it recalls what the one before it read.
    """
    loop = asyncio.get_running_loop()
    clock = options.pop("clock", None) or (VirtualClock(loop) if isinstance(loop, VirtualLoop) else SystemClock())
    own = cluster or EmbeddedCluster(state, clock, speed=1000.0)
    namespace = options.pop("namespace", "reconciler-system")
    if cluster is None:
        await own.start()
    sink = Recorder()
    source = GitSource.open(str(clone.origin), ref, paths)
    access = Access(options.pop("rules", ()), options.pop("cluster_scoped", ()), namespace)
    if state != ":memory:" and not options.keys() & {"types", "families"}:
        options.setdefault("recall", Path(f"{state}.looks"))
    sender, lead = options.pop("sender", None), options.pop("lead", None)
    types, executors, sinks = (
        {**STEP_TYPES, DEFINED: DefinedStep(), **options.pop("types", {})},
        {**build_executors(clock, sender, options.get("rpc_seconds", 5.0), options.pop("post", None)), **options.pop("executors", {})},
        options.pop("sinks", ()),
    )
    families = options.pop("families", None) or dialects(types, checker=shared(), cluster=InCluster(options.get("cluster_definitions", "")))
    options.setdefault("evaluate", shared().evaluate)
    options.setdefault("judge", shared().judge)
    chosen = Options(namespace, access, options.pop("create_namespaces", "all"), **options)
    engine = Engine(own, source, families, types, ComponentRenderer(), clock, Fanout(sink, *sinks), chosen, executors, sender, lead)
    task = asyncio.create_task(engine.run())
    try:
        yield Daemon(engine, own, sink, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if cluster is None:
            await own.close()


def config_map_app(
    name: str, value: str, *, gate: bool = False, annotations: dict[str, str] | None = None, namespace: str = "", shard: str = ""
) -> str:
    """A KubeVela Application of one ConfigMap `<name>` whose data.value is `value`, behind a gate `approve` where asked."""
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata:", f"  name: {name}"]
    lines += [f"  namespace: {namespace}"] if namespace else []
    lines += ["  labels:", f"    reconciler.dev/shard: {shard}"] if shard else []
    lines += ["  annotations:", *(f'    {key}: "{text}"' for key, text in annotations.items())] if annotations else []
    lines += [
        "spec:",
        "  components:",
        "    - name: settings",
        "      type: k8s-objects",
        "      properties:",
        "        objects:",
        "          - apiVersion: v1",
        "            kind: ConfigMap",
        f"            metadata: {{name: {name}}}",
        f'            data: {{value: "{value}"}}',
    ]
    if gate:
        lines += ["  workflow:", "    steps:", "      - {type: suspend, name: approve}"]
        lines += ["      - {type: apply-component, name: apply, properties: {component: settings}}"]
    return "\n".join(lines) + "\n"
