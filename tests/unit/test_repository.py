"""What the repository promises about itself. Each test names the file and line to look at."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from reconciler.dialects import sreworks_states, words
from reconciler.model.run import Phase

TOP = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 60

# Path, or `path::function`, to the reason why it is longer. An entry that is no longer needed fails too.
LONGER: dict[str, str] = {}

# In pieces, so that this file does not find itself.
PACKAGE_INDEXES = ("pypi" + r"\.org", "python" + "hosted", r"registry\.npm" + "js", r"proxy\.go" + "lang", r"(?:static|index)\.crates" + r"\.io")
MACHINE_PATHS = (
    "/wo" + r"rk/(?:main|shared)\b",
    "/ro" + r"ot/\.",
    "/ho" + r"me/[a-z]",
    "/Us" + r"ers/[A-Za-z]",
    r"\.lib" + r"rary/",
    "/tmp/bash" + "_jobs",
)
MAKING_OF = (
    r"\bclau" + r"de\b",
    "anth" + "ropic",
    r"\bsub" + r"agents?\b",
    r"\bas an a" + r"i\b",
    r"\bthis sess" + r"ion\b",
    r"\bchat" + r"gpt\b",
    "co-auth" + "ored-by",
)

LOCKS = ("requirements.txt", "requirements-build.txt", "requirements-test.txt", "requirements-go.txt")
DECISION_HEADINGS = ["Context", "Decision", "Consequences"]


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    # A file that is deleted but not yet committed is listed, too.
    return tuple(sorted(name for name in listed.split("\0") if (TOP / name).is_file()))


def text_lines(name: str) -> list[str]:
    """Lines of a text file; none of a binary one."""
    content = (TOP / name).read_bytes()
    return [] if b"\0" in content else content.decode("utf-8", "replace").split("\n")


def occurrences(patterns: tuple[str, ...]) -> list[str]:
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    return [f"{name}:{number}: {line.strip()[:120]}" for name in tracked() for number, line in enumerate(text_lines(name), 1) if pattern.search(line)]


def long_parts() -> dict[str, int]:
    """Path of each module, and `path::function` of each function, that is longer than it may be, to its lines."""
    found = {}
    for name in (name for name in tracked() if name.endswith(".py")):
        source = (TOP / name).read_text(encoding="utf-8")
        if source.count("\n") > MODULE_LINES:
            found[name] = source.count("\n")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found[f"{name}::{node.name}"] = lines
    return found


def rooms() -> list[str]:
    return sorted(path.parent.name for path in (TOP / "reconciler").glob("*/__init__.py"))


def test_modules_fit_in_a_head_and_functions_on_a_screen():
    too_long = {name: lines for name, lines in long_parts().items() if name not in LONGER}
    assert not too_long, f"over {MODULE_LINES} lines a module or {FUNCTION_LINES} a function: {too_long}"


def test_each_exception_to_the_lengths_has_a_reason_and_is_needed():
    needless = sorted(set(LONGER) - set(long_parts()))
    assert not needless
    assert all(len(reason.split()) >= 3 for reason in LONGER.values())


@pytest.mark.parametrize(
    "patterns",
    [
        pytest.param(PACKAGE_INDEXES, id="host of a package index"),
        pytest.param(MACHINE_PATHS, id="path of a machine"),
        pytest.param(MAKING_OF, id="making of"),
    ],
)
def test_no_line_names_what_belongs_to_no_reader_of_the_repository(patterns):
    found = occurrences(patterns)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_address(lock):
    lines = text_lines(lock)
    addresses = [line for line in lines if re.search(r"://|^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b", line)]
    assert not addresses
    pinned = [number for number, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
    assert pinned
    bare = [lines[number] for number in pinned if "==" not in lines[number] or "--hash=sha256:" not in lines[number + 1]]
    assert not bare


def test_locks_agree_on_each_version():
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for line in text_lines(lock):
            if found := re.match(r"([a-z0-9][a-z0-9._-]*)==(\S+)", line):
                versions.setdefault(found[1], set()).add(found[2])
    assert len(versions) > 50
    assert {name: sorted(found) for name, found in versions.items() if len(found) > 1} == {}


def test_every_dependency_of_the_package_is_locked():
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert listed
    wanted = re.findall(r'^\s*"([A-Za-z0-9._-]+)', listed[1], re.MULTILINE)
    locked = {line.partition("==")[0] for line in text_lines("requirements.txt")}
    assert wanted
    assert set(wanted) <= locked


def test_the_architecture_page_names_each_room():
    page = (TOP / "docs/architecture.md").read_text(encoding="utf-8")
    unnamed = [room for room in rooms() if f"`{room}/`" not in page]
    assert rooms()
    assert not unnamed


def test_the_changelog_has_a_section_for_what_comes_next():
    changelog = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (?:Unreleased|\d+\.\d+\.\d+)", changelog, re.MULTILINE)


def test_every_decision_says_context_decision_and_consequences():
    records = sorted((TOP / "docs/decisions").glob("*.md"))
    assert records
    numbers = [record.name[:4] for record in records]
    assert numbers == [f"{number:04}" for number in range(1, len(records) + 1)]
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == DECISION_HEADINGS, record.name


@pytest.mark.parametrize(
    ("heading", "families", "absent"),
    [
        ("## Runs", (words.KUBEVELA_RUN, sreworks_states.RUN, words.STEPFLOW_RUN), Phase.SKIPPED),
        ("## Steps", (words.KUBEVELA_STEP, sreworks_states.STEP, words.STEPFLOW_STEP), Phase.SUPERSEDED),
    ],
)
def test_the_page_of_words_says_what_the_dialects_say(heading, families, absent):
    section = (TOP / "docs/words.md").read_text(encoding="utf-8").split(heading + "\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \| ([\w ]+) \|$", section, re.MULTILINE)
    assert rows[1:] == [(phase.value, *(family[phase] for family in families)) for phase in Phase if phase is not absent]


def test_every_link_between_pages_leads_to_a_file():
    broken = []
    for name in (name for name in tracked() if name.endswith(".md")):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (TOP / name).read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", target) and not ((TOP / name).parent / target).exists():
                broken.append(f"{name}: {target}")
    assert not broken


def test_every_ignored_lint_rule_has_a_reason():
    project = (TOP / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^ignore = \[\n(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert listed
    without = [line.strip() for line in listed[1].splitlines() if line.strip() and not re.search(r"#\s*\w+.{6,}", line)]
    assert not without
