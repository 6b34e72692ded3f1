"""Runs in which failures are visited, as KubeVela's are."""

import msgspec

from reconciler.model.application import Retry
from reconciler.workflow.machine import open_steps
from tests.unit.workflow.machines import Driver, apply, step


def visit(*steps, mode="StepByStep", **more):
    driver = Driver(*steps, mode=mode, **more)
    driver.workflow = msgspec.structs.replace(driver.workflow, on_failure="visit", retry=Retry(limit=9))
    driver.run.steps = open_steps(driver.workflow, driver.run.implicit)
    return driver


def given(spec, condition="", **fields):
    return msgspec.structs.replace(spec, condition=condition, **fields)


def group(name, *members, mode="DAG", **fields):
    """The group's step and those that belong to it."""
    inside = [msgspec.structs.replace(member, group=name, key=f"{name}.{member.name}") for member in members]
    return [given(step(name, "step-group"), mode=mode, **fields), *inside]


def say(name, condition="", **more):
    """A step that is over at once, and says that it ran."""
    return given(step(name, "print-message-in-status", message="ran", **more), condition)


__all__ = ["apply", "given", "group", "say", "step", "visit"]
