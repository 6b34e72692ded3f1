"""`reconciler lint`: what is wrong with manifests on disk. It makes no connection and runs nothing of what it reads (rule 13f)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import Exit, NotFoundError, UsageError
from reconciler.cli.output import output_option, print_json, print_line
from reconciler.dialects.clear_secrets import check_file
from reconciler.dialects.documents import line_of, parse
from reconciler.dialects.health_rules import find_doubles, is_health_rule, read_health_rules
from reconciler.dialects.in_cluster import NOWHERE, SETTING, InCluster
from reconciler.dialects.registry import compile_file, dialects
from reconciler.dialects.scope import in_scope
from reconciler.engine.access import Access
from reconciler.engine.judging import judge
from reconciler.gates.annotations import read_items
from reconciler.gates.weakening import is_gate
from reconciler.model.application import Application
from reconciler.model.dependencies import describe_cycle, find_cycles
from reconciler.model.health_rule import HealthRule
from reconciler.model.identity import AppKey
from reconciler.model.names import ENVIRONMENT_FILE, GATE_PREFIX, GROUP, IGNORE_FILE, RESERVED_STEPS, is_ours
from reconciler.model.problem import Problem
from reconciler.model.text import one_line
from reconciler.render.definitions import shared
from reconciler.settings import Settings, SettingsError, load_settings
from reconciler.source.ignore import Ignore
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import UncheckedStep

# Where people write a commit or a tag: YAML makes numbers of `1234567`, `12e4567` and `0755`, and the text is lost.
_TEXT_FIELDS: Final = re.compile(r"(?:^|_)(?:tag|sha|commit|revision|version|digest)$|(?:Tag|Sha|SHA|Commit|Revision|Version|Digest)$")


class Finding(msgspec.Struct):
    """A problem as scripts read it: all fields, always."""

    path: str
    line: int
    object: str
    field: str
    severity: str
    message: str


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--top", type=click.Path(path_type=Path), metavar="FOLDER", help="The repository's top, where PATH is a part of it. Default: PATH.")
@click.option("--step-plugin", "plugins", multiple=True, metavar="NAME", help="A step type that is a plug-in: known, but not loaded and not checked.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The daemon's settings: to say what `access` there does not allow, and to heed `clusterDefinitions`.",
)
@click.option(
    SETTING,
    "cluster_definitions",
    metavar="NAMESPACE",
    help="As the daemon has it: a type that nothing here defines is believed to be defined there.",
)
@output_option
def command(path: Path, top: Path | None, plugins: tuple[str, ...], config: Path | None, cluster_definitions: str | None, output: str) -> int:
    """Check every manifest below PATH. Exit code 1 where there is an error; a warning is none."""
    folder, part = _place(path, top)
    settings = _read_settings(config, cluster_definitions)
    access = Access(settings.access, settings.allow_cluster_scoped, settings.namespace) if config is not None else None
    found = lint(DiskFiles(folder), part, plugins, access, settings.cluster_definitions)
    problems = sorted(found, key=lambda problem: (problem.path, problem.line, problem.field))
    if output == "json":
        print_json([Finding(found.path, found.line, found.object, found.field, found.severity, found.message) for found in problems])
    else:
        for problem in problems:
            print_line(f"{problem.severity}: {problem}")
        errors = sum(problem.severity == "error" for problem in problems)
        print_line(f"{errors} errors, {len(problems) - errors} warnings" if problems else "Nothing is wrong.")
    return Exit.REFUSED if any(problem.severity == "error" for problem in problems) else Exit.OK


def lint(files: DiskFiles, part: str = "", plugins: Iterable[str] = (), access: Access | None = None, namespace: str = "") -> list[Problem]:
    """
    All problems of the manifests at or below `part`. Applications that stand elsewhere count for double identities only. `plugins`: names of
    step types that are plug-ins; no code of theirs is loaded (rule 13f). `access`: what the operator allows, where that is known.
    `namespace`: of the cluster, whose definitions the daemon uses; it is not asked here.
    """
    ignore, problems = _read_ignore(files)
    cluster = InCluster(namespace, UncheckedStep) if namespace else NOWHERE
    known = dialects(STEP_TYPES, {name: UncheckedStep(name) for name in plugins}, shared(), cluster)
    found: dict[str, list[Problem]] = {}
    applications: list[Application] = []
    for path in files.odd:
        if in_scope(path) and not ignore.matches(path):
            found[path] = [Problem(path, 0, "a link or no ordinary file: it is not read")]
    for path in files.paths:
        if not (in_scope(path) or path.rpartition("/")[2] == ENVIRONMENT_FILE) or ignore.matches(path):
            continue
        try:
            data = files.read(path)
        except (OSError, ValueError) as error:
            found[path] = [Problem(path, 0, f"cannot be read: {getattr(error, 'strerror', None) or error}")]
            continue
        result = compile_file(path, data, files, known)
        found[path] = [
            *result.problems,
            *(problem for app in result.applications for problem in (*_find_numbers(app, data), *_find_remarks(app, data))),
            *(problem for app in result.applications if access is not None for problem in judge(access, app, data)),
        ]
        applications += result.applications
    problems += _lint_health_rules(files)
    # Files of a folder that a component refers to are that component's, not manifests of ours (rule 1a).
    folders = {watched for app in applications for watched in app.watched if watched.endswith("/")}
    applications = [app for app in applications if in_scope(app.path, folders)]
    for path in dict.fromkeys(path for app in applications for path in (app.path, *(reference.path for reference in app.references))):
        problems += check_file(path, files, warn=True)
    for path, listed in found.items():
        if in_scope(path, folders) or path.rpartition("/")[2] == ENVIRONMENT_FILE:
            problems += listed
    problems += _find_doubles(applications) + _find_dependencies(applications)
    # What is wrong with a file that several refer to is found by each of them.
    return [problem for problem in dict.fromkeys(problems) if not part or problem.path == part or problem.path.startswith(f"{part}/")]


def _read_settings(config: Path | None, cluster_definitions: str | None) -> Settings:
    try:
        return load_settings({"cluster_definitions": cluster_definitions}, {}, config)
    except SettingsError as error:
        raise UsageError(str(error)) from None


def _place(path: Path, top: Path | None) -> tuple[Path, str]:
    """The folder to read and the part of it to report on."""
    if not path.exists():
        raise NotFoundError(f"{path} does not exist")
    whole, folder = path.resolve(), (top or (path if path.is_dir() else path.parent)).resolve()
    if not whole.is_relative_to(folder):
        raise UsageError(f"{path} is not below {top}")
    part = whole.relative_to(folder).as_posix()
    return folder, "" if part == "." else part


def _read_ignore(files: DiskFiles) -> tuple[Ignore, list[Problem]]:
    try:
        return Ignore.parse(files.read(IGNORE_FILE).decode("utf-8", "replace")), []
    except FileNotFoundError:
        return Ignore(), []
    except (OSError, ValueError) as error:
        return Ignore(), [Problem(IGNORE_FILE, 0, str(error))]


def _lint_health_rules(files: DiskFiles) -> list[Problem]:
    rules: list[HealthRule] = []
    problems = [
        Problem(path, 0, "a link or no ordinary file: no health rule is read anew while it is there") for path in files.odd if is_health_rule(path)
    ]
    for path in filter(is_health_rule, files.paths):
        try:
            found, wrong = read_health_rules(path, files.read(path))
        except (OSError, ValueError) as error:
            found, wrong = [], [Problem(path, 0, f"cannot be read: {getattr(error, 'strerror', None) or error}")]
        rules += found
        problems += wrong
    return problems + find_doubles(rules)


def _find_doubles(applications: list[Application]) -> list[Problem]:
    """Two documents with one identity are an error that names both."""
    places: dict[AppKey, list[Application]] = {}
    for app in applications:
        places.setdefault(app.key, []).append(app)
    return [
        Problem(app.path, app.line, f"the identity {key} is also that of {', '.join(_others(app, same))}", f"{app.kind} {app.name}", "metadata.name")
        for key, same in places.items()
        if len(same) > 1
        for app in same
    ]


def _find_dependencies(applications: list[Application]) -> list[Problem]:
    """Applications that wait for one that is declared nowhere, or, however far around, for themselves."""
    waits = {app.key: [*app.needs, *app.awaited] for app in applications}
    cycles = find_cycles(waits)
    problems = []
    for app in applications:
        field = "metadata.annotations" if app.needs else "spec.workflow.steps"
        messages = [f"it waits for {key}, which no manifest here declares" for key in dict.fromkeys(waits[app.key]) if key not in waits]
        if app.key in cycles:
            messages.append(f"these applications wait for each other: {describe_cycle(cycles[app.key])}")
        problems += [Problem(app.path, app.line, message, f"{app.kind} {app.name}", field) for message in messages]
    return problems


def _others(app: Application, same: list[Application]) -> list[str]:
    others = [f"{other.path}:{other.line}" for other in same if other is not app]
    return [*others[:5], f"{len(others) - 5} more"] if len(others) > 5 else others


def _find_remarks(app: Application, data: bytes) -> list[Problem]:
    """Decisions and annotations with a typo in them, which the daemon would pass by. Which codes fit, only the daemon knows."""
    gates = {step.key for step in app.workflow.steps if is_gate(step)} | RESERVED_STEPS
    messages = [remark.message for remark in read_items(app.annotations, gates).remarks]
    for name in sorted(app.annotations)[:200]:
        domain = name.partition("/")[0]
        if name != domain and not is_ours(name) and get_close_matches(domain, (GROUP, GATE_PREFIX.rstrip("/")), cutoff=0.85):
            messages.append(f"nothing reads {one_line(name)}: its domain is not {GROUP}")
    if not messages:
        return []
    at = ("metadata", "annotations")
    line = line_of(data.decode("utf-8", "replace"), app.index, at)
    return [Problem(app.path, line, message, f"{app.kind} {app.name}", ".".join(at), "warning") for message in dict.fromkeys(messages)][:20]


def _find_numbers(app: Application, data: bytes) -> list[Problem]:
    suspects = [(path, value) for path, value in _walk(app.spec, ()) if _TEXT_FIELDS.search(str(path[-1])) and type(value) in (int, float)]
    if not suspects:
        return []
    documents, _ = parse(app.path, data)
    own = next((document for document in documents if document.position == app.index), None)
    # The bare body of an ApplicationConfiguration has no `spec`: it is one.
    prefix: tuple[str | int, ...] = ("spec",) if own is not None and "spec" in own.content else ()
    text = data.decode("utf-8", "replace")
    return [
        Problem(
            app.path,
            line_of(text, app.index, (*prefix, *path)),
            f"is read as the number {value!r}: quote it, or a commit of digits loses its text",
            f"{app.kind} {app.name}",
            _dotted((*prefix, *path)),
            "warning",
        )
        for path, value in suspects[:20]
    ]


def _walk(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every scalar with its path. Recursion is safe: the parser has bounded the depth."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        if path:
            yield path, value
        return
    for key, child in children:
        yield from _walk(child, (*path, key))


def _dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
