"""
What reads as a defect in the step flow's engine, in the order of the research's part C, and how ours behaves.

c_01 FAIR can't be chosen: the second branch asks for FIFO as well.
c_02 `maxRunningCount` counts workflows of every phase.
c_03 a workflow in the queue may get lost, and what is picked need not wait.
c_04 the hash of what was told is never stored: the callback comes at each look.
c_05 a run's error is never cleared.
c_06 steps of one name are not noticed.
c_07 the key of the namespace is misspelt in the configuration.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.dialects.registry import compile_file, dialects
from reconciler.dialects.words import stepflow
from reconciler.model.application import Callback
from reconciler.model.run import Phase, Run
from reconciler.settings import SettingsError, load_settings
from reconciler.steps.catalog import STEP_TYPES
from reconciler.workflow.admission import Line, Ticket, line_up
from tests.unit.dialects.conftest import MemoryFiles
from tests.unit.workflow.flows import flow, work
from tests.unit.workflow.machines import START, SUCCEEDED


def ticket(number: int, queue: str = "default") -> Ticket:
    return Ticket(START + timedelta(seconds=number), f"shop/app-{number}", f"app-{number}-v1-1", queue)


def run(number: int, phase: Phase) -> Run:
    made = ticket(number)
    return Run(made.run, made.app, "v1", "digest", queue=made.queue, phase=phase, created_at=made.created)


def order(strategy: str) -> list[str]:
    """Queues in the order in which they are served: five of `many` were made before the one of `one`."""
    line = Line(strategy, 1)
    for made in [*(ticket(number, "many") for number in range(5)), ticket(5, "one")]:
        line.join(made)
    served = []
    while len(line):
        [found] = line.admit()
        served.append(found.queue)
        line.leave(found)
    return served


def test_defect_c_01_fair_serves_each_queue_in_turn_and_fifo_by_age():
    assert order("FAIR") == ["many", "one", "many", "many", "many", "many"]
    assert order("FIFO") == ["many"] * 5 + ["one"]


def test_defect_c_02_only_runs_that_go_on_take_a_place():
    ended = [run(number, phase) for number, phase in enumerate(phase for phase in Phase if phase.final)]
    line = line_up("FIFO", 2, [*ended, run(20, Phase.RUNNING), run(21, Phase.PENDING), run(22, Phase.PENDING)])
    assert line.admit() == [ticket(21)]


def test_defect_c_03_who_waits_is_admitted_once_and_nobody_else_is():
    line = Line("FIFO", 100)
    for number in (3, 1, 2, 1):
        line.join(ticket(number))
    line.leave(ticket(2))
    assert line.admit() == [ticket(1), ticket(3)]
    assert line.admit() == []


def test_defect_c_04_a_change_is_told_once_however_often_the_run_is_looked_at():
    driver = flow(work("a"))
    driver.workflow = type(driver.workflow)(driver.workflow.mode, driver.workflow.steps, "undo", callback=Callback("http://example.com/"))
    for _ in range(5):
        driver.look(1.0)
    assert driver.run.notices == []
    driver.finish()
    for _ in range(5):
        driver.look(1.0)
    assert [(notice.step, notice.phase) for notice in driver.run.notices] == [("a", Phase.SUCCEEDED), ("", Phase.SUCCEEDED)]


def test_defect_c_05_an_error_that_passed_is_not_told_any_more():
    driver = flow(work("a")).fail()
    assert "a: no" in driver.run.message
    driver.look((driver.wake - driver.now).total_seconds()).finish()
    assert (driver.ended, driver.run.message, stepflow(driver.run)["runError"]) == (SUCCEEDED, "", "")


def test_defect_c_06_two_steps_of_one_name_are_an_error_that_names_both():
    one = "  - name: one\n    stepTemplate: {type: random}\n"
    text = f"apiVersion: workflow.example.com/v1alpha1\nkind: Workflow\nmetadata: {{name: flow}}\nspec:\n  steps:\n{one}{one}"
    found = compile_file("flow.yaml", text, MemoryFiles({}), dialects(STEP_TYPES))
    assert found.applications == []
    assert [(problem.line, problem.message) for problem in found.problems] == [(8, "duplicate step name one (steps[0] has it)")]


def test_defect_c_07_the_namespace_is_read_and_a_misspelt_one_is_refused(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("namespace: flows\n")
    assert load_settings({}, {}, file).namespace == "flows"
    file.write_text("mamespace: flows\n")
    with pytest.raises(SettingsError, match="mamespace; did you mean namespace"):
        load_settings({}, {}, file)
