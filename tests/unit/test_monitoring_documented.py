"""Alerts and dashboards are about metrics that there are, and docs/monitoring.md is about the alerts that there are."""

import json
import re
from pathlib import Path

import click
import pytest
import yaml

from manifests.grafana.dashboards import DASHBOARDS, write
from reconciler.cli.main import group
from tests.unit.test_documented import DOCS, code, rows

TOP = Path(__file__).parents[2]
METRICS = {code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows("metrics.md")}
RULES = [rule for part in yaml.safe_load((TOP / "manifests/prometheus/alerts.yaml").read_text())["groups"] for rule in part["rules"]]


def named(expression):
    """The metrics of ours in an expression."""
    return {re.sub(r"_bucket$", "", name) for name in re.findall(r"\breconciler_\w+", expression)}


def test_every_alert_is_in_the_table_with_its_severity_and_every_row_is_an_alert():
    assert [(code(row[0]), row[1]) for row in rows("monitoring.md", "Alerts")] == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]


def test_every_row_says_what_it_means_and_what_to_do():
    assert [row for row in rows("monitoring.md", "Alerts") if not (len(row) == 4 and row[2].endswith(".") and row[3])] == []


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


# Dashboards

FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted((TOP / "manifests/grafana").glob("*.json"))}
PANELS = [(name, panel) for name, text in FILES.items() for panel in json.loads(text)["panels"] if panel["type"] != "row"]
UNITS = {"short", "none", "s", "bytes", "percentunit"}


def test_the_files_are_what_their_declaration_makes():
    assert {name: write(dashboard) for name, dashboard in sorted(DASHBOARDS.items())} == FILES, "python3 manifests/grafana/dashboards.py"


def test_every_dashboard_is_in_the_table_and_has_a_name_of_its_own():
    documented = re.findall(r"^\| \[`(\w+\.json)`\]", (DOCS / "monitoring.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(FILES)
    built = [json.loads(text) for text in FILES.values()]
    assert len({each["uid"] for each in built}) == len({each["title"] for each in built}) == len(FILES)
    assert [each["uid"] for each in built if len(each["uid"]) > 40] == [], "Grafana takes no longer one"


@pytest.mark.parametrize("name", FILES)
def test_panels_have_numbers_of_their_own_and_none_lies_upon_another(name):
    panels = json.loads(FILES[name])["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("name", FILES)
def test_every_variable_is_used_and_what_is_used_is_a_variable(name):
    variables = {variable["name"] for variable in json.loads(FILES[name])["templating"]["list"]}
    used = {word for word in re.findall(r"\$\{?(\w+)", FILES[name]) if not word.startswith("__")}
    assert used == variables >= {"datasource"}


@pytest.mark.parametrize(("name", "panel"), [pytest.param(name, panel, id=f"{name}: {panel['title']}") for name, panel in PANELS])
def test_a_panel_asks_a_question_of_metrics_that_there_are(name, panel):
    assert "?" in panel["description"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    for target in panel["targets"]:
        assert named(target["expr"]) <= METRICS.keys()
        assert target["datasource"] == panel["datasource"]
        ours = [METRICS[metric] for metric in named(target["expr"])]
        known = {"namespace", "name"}.union(*ours)
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known


def test_every_metric_is_on_a_dashboard():
    assert METRICS.keys() - {name for _, panel in PANELS for target in panel["targets"] for name in named(target["expr"])} == set()
