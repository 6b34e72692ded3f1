"""A run that a test drives by hand: time, facts and results come from the test."""

from datetime import UTC, datetime, timedelta

import msgspec

from reconciler.model.application import Input, Output, Step, Workflow
from reconciler.model.outcome import Result
from reconciler.model.run import Decision, Phase, Run
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.facts import Facts
from reconciler.workflow.machine import Machine, open_steps

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def step(name, kind="suspend", *, after=(), inputs=(), outputs=(), components=(), **properties):
    inputs, outputs = [Input(*item) for item in inputs], [Output(*item) for item in outputs]
    return Step(name, kind, name, True, properties, list(components), list(after), inputs, outputs)


def apply(name, component="", **more):
    """An `apply-object` step: one effect, and over as soon as that has its result."""
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    return step(name, "apply-object", components=[component or name], value=value, **more)


def decision(verb, gate="verify", value=""):
    return Decision(gate=gate, verb=verb, value=value or f"{gate}={verb}", at=START, head="c0ffee", commit="c0ffee", author="Ada")


class Driver:
    """`run` is always what came back from the last look, passed through JSON as the store does: the same answer has to follow."""

    def __init__(self, *steps, mode="StepByStep", implicit=(), types=None, **run):
        self.workflow = Workflow(mode, list(steps))
        self.machine = Machine(types or STEP_TYPES)
        self.run = Run("web-v2-1", "shop/web", "web-v2", "digest", owner="uid", implicit=list(implicit), **run)
        self.run.steps = open_steps(self.workflow, self.run.implicit)
        self.now, self.facts, self.results = START, {}, {}
        self.orders, self.queries, self.wake = [], frozenset(), None
        self.ordered = []

    def look(self, seconds=0.0, **facts):
        """One look, `seconds` after the last one. Facts last until they are given anew; decisions and results are given each time."""
        self.now += timedelta(seconds=seconds)
        self.facts |= facts
        answer = self.machine.advance(self.run, self.workflow, Facts(results=self.results, **self.facts), self.now)
        self.run = msgspec.json.decode(msgspec.json.encode(answer.run), type=Run)
        self.orders, self.queries, self.wake = answer.orders, answer.queries, answer.wake
        self.ordered += [order.step for order in answer.orders if order.step not in self.ordered]
        self.facts.pop("decisions", None)
        return self

    def finish(self, *names, **result):
        """Results for what is ordered (of those steps, where named), and the look that they bring about."""
        for order in self.orders:
            if not names or order.step in names:
                self.results[order.key] = Result(at=self.now, **result)
        return self.look()

    def fail(self, *names, retry="backoff"):
        return self.finish(*names, error="no", reason="Conflict", retry=retry)

    def decide(self, *decisions, seconds=0.0):
        return self.look(seconds, decisions=decisions)

    @property
    def phases(self):
        return [state.phase.value for state in self.run.steps]

    @property
    def keys(self):
        return [order.key for order in self.orders]

    def state(self, name):
        return self.run.step(name)

    @property
    def ended(self):
        return (self.run.phase, self.run.reason)


SUCCEEDED = (Phase.SUCCEEDED, "Succeeded")
