"""The README's commands and captures are of this version."""

import re
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import pytest

from reconciler.cli.demonstration.stations import STATIONS
from reconciler.cli.main import COMMANDS, group

TOP = Path(__file__).parents[2]
CAPTURES = sorted(path.name for path in (TOP / "docs/captures").glob("*.svg"))
README = (TOP / "README.md").read_text(encoding="utf-8")


def read(name):
    """The text of a capture, line by line."""
    lines = {}
    for item in ET.parse(TOP / "docs/captures" / name).getroot().iter("{http://www.w3.org/2000/svg}text"):
        lines.setdefault(float(item.get("y", "0")), []).append((float(item.get("x", "0")), (item.text or "").replace("\n", "")))
    return "\n".join("".join(text for _, text in sorted(parts)) for _, parts in sorted(lines.items())).replace("\N{NO-BREAK SPACE}", " ")


def quoted(text):
    """Command and options of each `reconciler …` that stands at the start of a line, after a prompt, or in code marks."""
    for line in re.findall(r"(?:^\s*|\$ |`)reconciler ([a-z][^`\n#]*)", text, re.MULTILINE):
        words = line.split()
        yield words[0], [word for word in words if word.startswith("--")]


def assert_there(text):
    found = [(name, options) for name, options in quoted(text) if name not in ("demo:", "status:")]
    assert found
    for name, options in found:
        assert name in COMMANDS
        command = group.get_command(click.Context(group), name)
        known = {option for param in command.params for option in param.opts}
        assert set(options) <= known, name


def test_every_command_that_the_readme_quotes_exists_with_its_options():
    assert_there(README)


def test_every_command_of_dev_py_that_the_readme_and_contributing_quote_exists():
    parse = runpy.run_path(str(TOP / "dev.py"))["parse"]
    text = README + (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = set(re.findall(r"python3 dev\.py (\w+)", text))
    assert "demo" in found
    for name in found:
        assert parse([name])[0].command == name


def test_the_readme_shows_every_capture():
    assert CAPTURES
    for name in CAPTURES:
        assert f"](docs/captures/{name})" in README


@pytest.mark.parametrize("name", CAPTURES)
def test_a_capture_names_commands_that_exist_and_nothing_of_the_machine_that_drew_it(name):
    text = read(name)
    assert_there(text)
    assert [path for path in re.findall(r"/(?:tmp|home|root|Users|var)/\S*", text) if not path.startswith("/tmp/reconciler-demo")] == []
    assert "http" not in text.replace("http://127.0.0.1:7373", "")


def test_the_capture_of_the_demo_shows_its_stations_as_they_are_called_now():
    shown = re.findall(r"(\d) of (\d) · ([^─]+)─", read("demo.svg"))
    assert shown
    for number, count, title in shown:
        assert STATIONS[int(number) - 1].title == title.strip()
        assert int(count) == len(STATIONS)


def test_a_capture_loads_nothing_from_elsewhere():
    for name in CAPTURES:
        assert re.findall(r"url\((?!#)|href|@import|@font-face", (TOP / "docs/captures" / name).read_text(encoding="utf-8")) == []
