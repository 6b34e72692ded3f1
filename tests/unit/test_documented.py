"""What there is, is documented, and what is documented, is there."""

import re
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.api.problems import Code
from reconciler.api.routes import Routes
from reconciler.cli.errors import Exit
from reconciler.cli.main import COMMANDS, group
from reconciler.model.access import Access
from reconciler.model.command import CommandResult
from reconciler.model.run import Phase
from reconciler.model.status import CommandView, DecisionView, Result, WriteBackView
from reconciler.model.workflow import NodeView, RunLine, WorkflowView
from reconciler.observe.metrics import Metrics
from reconciler.observe.series import FAMILIES
from reconciler.observe.words import KNOWN, OTHER
from reconciler.settings import describe_settings, show_default
from reconciler.settings_parts import SopsKeys
from reconciler.steps.catalog import STEP_TYPES
from tests.unit.api.fakes import NOW, FakeReader, history, waiting

DOCUMENTED = {"application", "namespace", "environment", "desired", "running", "sync", "health", "run", "gates", "gate", "conditions", "messages"}
DOCS = Path(__file__).parents[2] / "docs"


def rows(name, heading=""):
    """The cells of every table row of a page (below a heading), without the header and without code marks."""
    text = (DOCS / name).read_text(encoding="utf-8")
    if heading:
        text = re.split(r"^## ", text.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [
        row
        for index, row in enumerate(cells)
        if not set("".join(row)) <= {"-"} and not (index + 1 < len(cells) and set("".join(cells[index + 1])) == {"-"})
    ]


def code(cell):
    return cell.strip("`")


def test_every_setting_is_in_the_table_with_its_names_default_and_meaning():
    table = rows("settings.md")
    expected = []
    for setting in describe_settings():
        assert setting.description.endswith("."), setting.field
        default = show_default(setting)
        expected.append([setting.key, setting.flag, setting.variable, default, setting.description])
    assert [[code(cell) for cell in row] for row in table[: len(expected)]] == expected
    for parts, heading in ((Access, "Access"), (SopsKeys, "Keys")):
        rules = [[setting.key, setting.description] for setting in describe_settings(parts)]
        assert [[code(row[0]), row[1]] for row in rows("settings.md", heading)] == rules


def parts_of(setting, place):
    for part in describe_settings(setting.parts):
        name = f"{place}.{part.key}"
        if part.parts:
            yield from parts_of(part, f"{name}[]" if part.many else name)
        else:
            yield [name, "" if part.default in (msgspec.NODEFAULT, None) else str(part.default), part.description]


@pytest.mark.parametrize(("key", "heading"), [("controllerConfig", "Queues and limits"), ("retry", "Trying again")])
def test_every_part_of_a_setting_is_in_its_table(key, heading):
    [setting] = [setting for setting in describe_settings() if setting.key == key]
    assert [[code(row[0]), code(row[1]), row[2]] for row in rows("settings.md", heading)] == list(parts_of(setting, key))


def test_the_example_of_the_settings_is_one(tmp_path):
    from reconciler.settings import load_settings

    example = (DOCS / "settings.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "c.yaml").write_text(example, encoding="utf-8")
    assert load_settings({}, {}, tmp_path / "c.yaml").access[0].deny_kinds == ["Secret"]


def test_every_metric_is_in_the_tables_and_every_row_is_a_metric():
    metrics = Metrics(lambda: NOW)
    exposed = {family.name for family in text_string_to_metric_families(metrics.render().decode()) if family.name.startswith("reconciler_")}
    counters = {name for name in exposed if f"{name}_total" in metrics.render().decode()}
    documented = [code(row[0]) for row in rows("metrics.md")]
    assert sorted(documented) == sorted(f"{name}_total" if name in counters else name for name in exposed)


def test_the_labels_of_every_metric_are_documented():
    documented = {code(row[0]): re.findall(r"`(\w+)`", row[1]) for row in rows("metrics.md")}
    for family in FAMILIES:
        assert tuple(documented[family.name]) == family.labels
    for collector in Metrics(lambda: NOW).registry._collector_to_names:
        name = getattr(collector, "_name", "")
        if name.startswith("reconciler_"):
            full = f"{name}_total" if f"{name}_total" in documented else name
            assert tuple(documented[full]) == collector._labelnames, full


def test_the_words_that_counters_start_with_are_documented():
    for name, known in KNOWN.items():
        if name == "reconciler_steps":
            continue  # types and phases have pages of their own
        [row] = [row for row in rows("metrics.md") if code(row[0]) == f"{name}_total"]
        words = {word for words in known for word in words} - {"deploy", "restore", *STEP_TYPES, OTHER, *Phase}
        assert words <= set(re.findall(r"`([\w-]+)`", row[2])), name


def test_every_metric_has_a_query_that_asks_for_it_and_for_metrics_alone():
    documented = {code(row[0]) for row in rows("metrics.md")}
    for row in rows("metrics.md"):
        named = re.findall(r"reconciler_\w+", row[3])
        assert code(row[0]) in {re.sub(r"_bucket$", "", name) for name in named}
        assert {re.sub(r"_bucket$", "", name) for name in named} <= documented


def test_every_route_is_in_the_table_and_every_row_is_a_route():
    table = Routes(FakeReader(), bytes, lambda: NOW).table()
    assert [code(row[0]) for row in rows("api.md") if row[0].startswith("`/")] == list(table)
    routes = Routes(FakeReader(), bytes, lambda: NOW)
    posted = [f"POST {path}" for path in (*routes.hints(), *routes.orders())]
    assert [code(row[0]) for row in rows("api.md") if row[0].startswith("`POST")] == posted


def test_the_results_of_a_command_are_those_that_are_answered_and_no_errors():
    documented = rows("api.md", "Commands")
    answered = [result for result in get_args(CommandResult) if result not in Code.__members__]
    assert [code(row[0]) for row in documented if not row[0].startswith("`POST")] == answered


def test_the_shape_of_a_run_and_its_steps_is_the_one_that_is_answered():
    page = (DOCS / "api.md").read_text(encoding="utf-8").partition("## A run and its steps")[2].partition("\n## ")[0]
    shape = name_fields(page.split("```")[1])
    names = {"": WorkflowView, "steps": NodeView, "decisions": DecisionView, "commands": CommandView, "writeBack": WriteBackView}
    for name, struct in names.items():
        assert sorted(shape[name]) == sorted(field.encode_name for field in msgspec.structs.fields(struct)), name
    line = re.search(r"newest of each first: `\{([^}]*)\}`", (DOCS / "api.md").read_text(encoding="utf-8"))[1]
    assert line.split(", ") == [field.encode_name for field in msgspec.structs.fields(RunLine)]


def test_the_results_of_a_hint_are_those_that_there_are():
    documented = rows("api.md", "A hint: look again now")
    assert [code(row[0]) for row in documented if not row[0].startswith("`POST")] == list(get_args(Result))


def test_every_error_code_is_in_the_table_with_its_status():
    assert [(code(row[0]), int(row[1])) for row in rows("api.md", "Errors")] == [(each.name, each.status) for each in Code]


def test_the_shape_of_an_application_is_the_one_that_is_answered():
    import msgspec

    shape = (DOCS / "api.md").read_text(encoding="utf-8").partition("## An application")[2].partition("```\n")[2].partition("```")[0]
    status = msgspec.to_builtins(waiting())
    top = re.findall(r"^[{ ](\w+)(?=[:,])|^\{(\w+), (\w+), (\w+),$", shape, flags=re.MULTILINE)
    assert {name for names in top for name in names if name} | {"namespace", "environment"} == DOCUMENTED
    assert set(status) >= DOCUMENTED
    assert set(status["desired"]) == set(status["running"]) == set(re.findall(r"desired: \{([^}]*)\}", shape)[0].split(", "))
    for name in re.findall(r"gates: \[\{([^}]*)\}\]", shape)[0].split(", "):
        assert name in status["gate"]
    for name in re.findall(r"steps: \[\{([^}]*)\}\]", shape)[0].split(", "):
        assert name in status["run"]["steps"][0]


def name_fields(shape):
    """The names in `{a, b: {c}, d: [{e}]}`, by the field in whose braces they stand."""
    found, path, last = {}, [], ""
    for sign, name in re.findall(r"([{},])\s*(\w*)", shape):
        if sign == "}":
            path.pop()
            continue
        if sign == "{":
            path.append(last)
        last = name
        found.setdefault(path[-1], []).append(name)
    return found


def test_the_shape_of_a_history_is_the_one_that_is_answered():
    import msgspec

    page = (DOCS / "api.md").read_text(encoding="utf-8").partition("## A history")[2].partition("\n## ")[0]
    whole, run = (name_fields(block) for block in page.split("```")[1::2])
    answer = msgspec.to_builtins(history())
    revision = answer["revisions"][0]
    told = revision["runs"][0]
    assert [sorted(whole[name]) for name in ("", "desired", "running", "revisions")] == [
        sorted(fields) for fields in (answer, answer["desired"], answer["running"], revision)
    ]
    assert [sorted(run[name]) for name in ("", "decisions", "writeBack")] == [
        sorted(fields) for fields in (told, told["decisions"][0], told["writeBack"])
    ]
    assert f"`{{{', '.join(told['commit'])}}}`" in page


def commands():
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from (f"{name} {sub}" for sub in command.commands)
        else:
            yield name


def test_every_command_is_in_the_table_and_every_row_is_a_command():
    documented = [
        re.match(r"`reconciler ((?:cluster |workflow |definition )?[a-z]+)", row[0])[1] for row in rows("cli.md") if row[0].startswith("`reconciler")
    ]
    assert documented == list(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is(name):
    command = group.get_command(click.Context(group), name)
    found = [command, *(command.commands.values() if isinstance(command, click.Group) else [])]
    for each in found:
        assert each.help
        assert [option.name for option in each.params if isinstance(option, click.Option) and not option.help] == []


def test_every_exit_code_is_in_the_table():
    assert [(int(row[0]), row[1]) for row in rows("cli.md", "Exit codes")] == [(int(each), each.name) for each in Exit]
