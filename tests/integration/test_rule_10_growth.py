"""Rule 10 in numbers: what four times the applications cost, in lines that Python ran and in instructions of SQLite.

Counts, because they do not depend on how busy the machine is; `benchmarks/growth.py` takes them in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "growth.py"
WORKFLOWS = SCRIPT.with_name("workflows.py")
FEW, MANY = 20, 80
_NOISE = 200  # lines: heartbeats, and looks that the poll asks for


@pytest.fixture(scope="module", params=[False, True], ids=["applied", "at gates"])
def costs(request: pytest.FixtureRequest) -> dict[int, dict[str, dict[str, int]]]:
    words = [sys.executable, str(SCRIPT), str(FEW), str(MANY), *(["--gates"] if request.param else [])]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return {found["applications"]: found for found in map(json.loads, lines[:2])}


@pytest.mark.parametrize("unit", ["lines", "rows"])
@pytest.mark.parametrize("what", ["cold", "restart"])
def test_rule_10_four_times_the_applications_start_at_no_more_than_five_times_the_cost(costs, what: str, unit: str) -> None:
    assert costs[FEW][what][unit] > 0
    assert costs[MANY][what][unit] <= 5 * costs[FEW][what][unit]


def test_rule_10_a_restart_without_news_costs_a_fraction_of_a_cold_start(costs) -> None:
    """Nothing is parsed, rendered or stored: what is left is loading, and a turn for each that shows where it stands; a gate is judged."""
    cold, restart, at_gates = costs[MANY]["cold"], costs[MANY]["restart"], not costs[MANY]["push"]["lines"]
    assert restart["lines"] <= cold["lines"] / (3 if at_gates else 5)
    assert restart["rows"] <= cold["rows"] / (2 if at_gates else 3)


def test_rule_10_what_one_push_costs_does_not_grow_with_the_number_of_applications(costs) -> None:
    few, many = costs[FEW], costs[MANY]
    assert many["push"]["lines"] <= 1.5 * few["push"]["lines"], "but for the folder that the manifest stands in"
    assert many["foreign"]["lines"] <= few["foreign"]["lines"] + 30, "less than a line for two applications"
    assert many["push"]["rows"] + many["foreign"]["rows"] <= few["push"]["rows"] + few["foreign"]["rows"] + 3


def test_rule_10_applications_without_news_cost_nothing_also_at_their_gates(costs) -> None:
    assert costs[MANY]["idle"]["lines"] <= costs[FEW]["idle"]["lines"] + _NOISE
    assert costs[MANY]["idle"]["rows"] <= costs[FEW]["idle"]["rows"] + 1


@pytest.fixture(scope="module")
def flows() -> dict[int, dict[str, dict[str, int]]]:
    """Workflows of four steps in queues, three of which run at a time."""
    words = [sys.executable, str(WORKFLOWS), "5", "20", "--lines", "--steps", "4", "--most", "3", "--strategy", "FAIR"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return {found["workflows"]: found for found in map(json.loads, lines)}


@pytest.mark.parametrize("unit", ["lines", "rows"])
@pytest.mark.parametrize("what", ["done", "restart"])
def test_rule_10_four_times_the_workflows_in_queues_cost_no_more_than_five_times_as_much(flows, what: str, unit: str) -> None:
    assert flows[5][what][unit] > 0
    assert flows[20][what][unit] <= 5 * flows[5][what][unit]
