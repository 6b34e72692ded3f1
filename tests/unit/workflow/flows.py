"""Runs of workflows that undo what they did when a step fails, driven by hand."""

import msgspec

from reconciler.model.application import Need, Retry, Workflow
from reconciler.model.outcome import Done, Failed
from reconciler.model.run import Phase
from reconciler.workflow.machine import open_steps
from tests.unit.workflow.machines import Driver, step

UNDONE = (Phase.ROLLED_BACK, "StepFailed")


def work(name, *, after=(), needs=(), sync=0.0, retry=None, undo_retry=None, kind="random", **properties):
    """A step with one effect to run it, one to undo it, and one to look at it; results come from the test."""
    made = step(name, kind, after=[*after, *(need[0] for need in needs)], **properties)
    numbers = {"retry": retry or Retry(), "undo_retry": undo_retry or Retry()}
    return msgspec.structs.replace(made, needs=[Need(*need) for need in needs], sync=sync, **numbers)


def flow(*steps, types=None, **run):
    driver = Driver(types=types, **run)
    driver.workflow = Workflow("DAG", list(steps), "undo", Retry(limit=3, period=60.0), Retry(limit=3, period=60.0))
    driver.run.steps = open_steps(driver.workflow, driver.run.implicit)
    return driver.look()


def chain(**more):
    """a, then b behind it, and c, which waits for nothing."""
    return flow(work("a", **more), work("b", after=["a"]), work("c"))


def failed(driver, name):
    return driver.fail(name, retry="terminal")


def asked(driver):
    """What is to be undone now."""
    return sorted(order.step for order in driver.orders if order.path.startswith("undo/"))


def drain(driver):
    """All goes well from here on."""
    while driver.orders or driver.wake:
        driver.finish() if driver.orders else driver.look((driver.wake - driver.now).total_seconds())
    return driver


class Unready:
    """Answers what a test wants to hear, once for each call."""

    name, params, required = "unready", {}, ()

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def check(self, properties):
        return []

    def _answer(self, which, call):
        self.calls.append((which, call))
        found = self.answers.get(which, Done())
        return found.pop(0) if isinstance(found, list) else found

    def next(self, call, results, seen, now):
        return self._answer("next", call)

    def undo(self, call, results, seen, now):
        return self._answer("undo", call)

    def sync(self, call, results, seen, now):
        return self._answer("sync", call)


def types(unready):
    return {"unready": unready, **Driver().machine._types}


NOT_YET = Failed("NotReady", "not yet", ignorable=True, after=7.0)
