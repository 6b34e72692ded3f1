"""Workflows in queues, whose steps are held until a test lets them go."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec

from reconciler.dialects.kubevela import KubeVela
from reconciler.engine.executors import Plain
from reconciler.model.application import Step, Workflow
from reconciler.model.outcome import Do, Done, Effect, Failed, Result
from reconciler.steps.catalog import STEP_TYPES
from tests.integration.harness import config_map_app, running


class Hold:
    """One effect, and done with it. A failure of it may pass."""

    name, params, required = "hold", {}, ()

    def check(self, properties):
        return []

    def next(self, call, results, seen, now):
        result = results.get("hold")
        if result is None:
            return Do({"hold": Effect("hold", {"app": call.app.name, "step": call.step})})
        return Done() if result.ok else Failed(result.reason, result.error, retryable=True)

    def undo(self, call, results, seen, now):
        return Done()


class Holder:
    """Carries out `hold` once the test has let that application go. `began`: application names in the order in which effects were started."""

    def __init__(self, *free):
        self.began, self.keys, self.most, self._under_way, self._free = [], [], 0, 0, {name: asyncio.Event() for name in free}
        self.all_free = False
        for event in self._free.values():
            event.set()

    def let_go(self, *names):
        for name in names:
            self._free.setdefault(name, asyncio.Event()).set()

    async def prepare(self, app, run, order):
        return Plain(run, order)

    async def execute(self, app, planned):
        name = app.key.name
        self.began.append(name)
        self.keys.append(planned.order.key)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            if not self.all_free:
                await self._free.setdefault(name, asyncio.Event()).wait()
        finally:
            self._under_way -= 1
        return Result()


class Queueing:
    """KubeVela's family, whose applications get a workflow by their labels: `queue`, and `steps`, their number, or `gate` and one more."""

    family, definition = "kubevela", KubeVela.definition

    def __init__(self):
        self._own = KubeVela(STEP_TYPES)

    def recognises(self, document):
        return self._own.recognises(document)

    def words(self, run):
        return self._own.words(run)

    def compile(self, document, files):
        compiled = self._own.compile(document, files)
        app = compiled.application
        if app is None:
            return compiled
        steps = [Step(f"s{number}", "hold", f"s{number}") for number in range(int(app.labels.get("steps", 1)))]
        if "gate" in app.labels:
            steps.insert(1, Step("verify", "suspend", "verify"))
        workflow = Workflow("StepByStep", steps, queue=app.labels.get("queue", ""))
        return compiled._replace(application=msgspec.structs.replace(app, workflow=workflow))


def queued_app(name, queue="default", value="1", annotations=None, **labels):
    text = config_map_app(name, value, annotations=annotations)
    lines = "".join(f'    {key}: "{item}"\n' for key, item in {"queue": queue, **labels}.items())
    return text.replace(f"  name: {name}\n", f"  name: {name}\n  labels:\n{lines}", 1)


@asynccontextmanager
async def queueing(clone, holder, *args, **options):
    async with running(clone, *args, families=[Queueing()], types={"hold": Hold()}, executors={"hold": holder}, **options) as daemon:
        yield daemon
