"""Alerts and dashboards are about metrics that there are, and docs/monitoring.md is about the alerts that there are."""

import re
from pathlib import Path

import click
import pytest
import yaml

from reconciler.cli.main import group
from tests.unit.test_documented import code, rows

TOP = Path(__file__).parents[2]
METRICS = {code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows("metrics.md")}
RULES = [rule for part in yaml.safe_load((TOP / "manifests/prometheus/alerts.yaml").read_text())["groups"] for rule in part["rules"]]


def named(expression):
    """The metrics of ours in an expression."""
    return {re.sub(r"_bucket$", "", name) for name in re.findall(r"\breconciler_\w+", expression)}


def test_every_alert_is_in_the_table_with_its_severity_and_every_row_is_an_alert():
    assert [(code(row[0]), row[1]) for row in rows("monitoring.md")] == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]


def test_every_row_says_what_it_means_and_what_to_do():
    assert [row for row in rows("monitoring.md") if not (len(row) == 4 and row[2].endswith(".") and row[3])] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are_and_says_what_to_run(rule):
    assert named(rule["expr"]) <= METRICS.keys()
    assert rule["annotations"].keys() == {"summary", "description"}
    description = rule["annotations"]["description"]
    commands = re.findall(r"`(?:reconciler (\w+)|curl \$RECONCILER_SERVER/healthz|git -C REPO)[^`]*`", description)
    assert commands, "what to run"
    assert [name for name in commands if name and group.get_command(click.Context(group), name) is None] == []
    known = {"namespace", "name"}.union(*(METRICS[name] for name in named(rule["expr"])))
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= known
