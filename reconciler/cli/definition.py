"""`reconciler definition`: what types a repository on disk defines. It makes no connection and runs nothing of what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from reconciler.cli.definition_trial import Trial
from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import Exit, NotFoundError, RefusedError, UsageError
from reconciler.cli.output import output_option, print_json, print_line, print_table
from reconciler.dialects.definitions import read_definitions
from reconciler.dialects.documents import parse
from reconciler.dialects.scope import COMPONENT_DEFINITION, STEP_DEFINITION, TRAIT_DEFINITION, in_scope
from reconciler.model.definition import Parameter
from reconciler.model.text import nearest
from reconciler.render.definitions import shared

_repo = click.option(
    "--repo", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", metavar="FOLDER", help="The repository's top."
)
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


KINDS: Final = {STEP_DEFINITION: "step", COMPONENT_DEFINITION: "component", TRAIT_DEFINITION: "trait"}


class Defined(msgspec.Struct):
    """A definition as scripts read it. `fault`: why it can't be used, empty where it can."""

    name: str
    kind: str
    path: str
    line: int
    functions: list[str]
    fault: str
    parameters: list[Parameter]
    template: str


@click.group()
def command() -> None:
    """Step, component and trait types that the repository defines."""


@command.command("list")
@_repo
@output_option
def list_all(repo: Path, output: str) -> None:
    """List the definitions of the repository, what each calls, and what is wrong with it."""
    found = list(_find(repo))
    if output == "json":
        print_json(found)
        return
    rows = [(each.name, each.kind, f"{each.path}:{each.line}", ", ".join(each.functions) or "-", each.fault or "-") for each in found]
    print_table(("NAME", "KIND", "PLACE", "FUNCTIONS", "FAULT"), rows, "No definitions.")


@command.command()
@click.argument("name", metavar="NAME")
@_repo
@output_option
def show(name: str, repo: Path, output: str) -> None:
    """Show the parameters of the definition NAME as a table."""
    found = list(_find(repo))
    named = _named(name, found)
    if output == "json":
        print_json(named[0] if len(named) == 1 else named)
        return
    for one in named:  # a component and a trait may have one name
        print_line(f"{one.kind} {one.name}, {one.path}:{one.line}" + (f": {one.fault}" if one.fault else ""))
        print_table(("PARAMETER", "TYPE", "DEFAULT", "MEANING"), [_describe(row) for row in one.parameters], "It has no parameters.")


@command.command("test")
@click.argument("name", metavar="NAME")
@_repo
@click.option("--properties", type=_FILE, metavar="FILE", help="Properties of the step, in YAML. Default: none.")
@click.option("--context", type=_FILE, metavar="FILE", help="What `context` has: name, namespace, stepName and what else a run has, in YAML.")
@click.option("--objects", multiple=True, type=_FILE, metavar="FILE", help="Manifests of what there is: reads find these. May be given again.")
@output_option
def test(name: str, repo: Path, properties: Path | None, context: Path | None, objects: tuple[Path, ...], output: str) -> int:
    """Play a step of the definition NAME: what it would do, in order, until it ends or waits for what is not there.

    Nothing is done and nobody is asked. What it applies is there from then on, requests are answered with 200 and {}, metrics are as they should
    be. Exit code 1 where the step fails.
    """
    one = next((each for each in _named(name, list(_find(repo))) if each.kind == "step"), None)
    if one is None:
        raise RefusedError(f"{name} defines no step: `reconciler simulate` shows what a component or a trait makes")
    if one.fault:
        raise RefusedError(f"{one.path}: {one.fault}")
    given = _read_mapping(properties)
    wrong = [f"{field}: {message}" for field, message in shared().check(one.template, given).findings]
    wrong += [f"{row.name}: is required" for row in one.parameters if row.required and row.name not in given]
    if wrong:
        raise RefusedError(f"properties of {name}: {'; '.join(wrong)}")
    there = [document for path in objects for document in _read_documents(path)]
    moments = Trial(one.template, given, _read_mapping(context), there).play()
    if output == "json":
        print_json(moments)
    else:
        print_table(("WHAT", "OF", "FUNCTION"), [(each.what, each.of or "-", each.path or "-") for each in moments], "It does nothing.")
    return Exit.REFUSED if moments and moments[-1].what == "fails" else Exit.OK


def _named(name: str, found: list[Defined]) -> list[Defined]:
    named = [each for each in found if each.name == name]
    if not named:
        guess = nearest(name, [each.name for each in found])
        raise NotFoundError(f"there is no definition {name}" + (f"; did you mean {guess}?" if guess else ""))
    return named


def _read_mapping(path: Path | None) -> dict[str, Any]:
    """The one mapping that a file holds; nothing where there is no file."""
    documents = _read_documents(path) if path is not None else []
    if len(documents) > 1:
        raise UsageError(f"{path}: has more than one document")
    return documents[0] if documents else {}


def _read_documents(path: Path) -> list[dict[str, Any]]:
    try:
        documents, problems = parse(str(path), path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    for problem in problems:
        if problem.severity == "error":
            raise UsageError(str(problem))
    return [document.content for document in documents]


def _describe(row: Parameter) -> tuple[str, str, str, str]:
    standard = "required" if row.required else "-" if row.default is None else msgspec.json.encode(row.default).decode()
    return row.name, row.type, standard, row.description or "-"


def _find(repo: Path) -> Iterator[Defined]:
    files = DiskFiles(repo.resolve())
    for path in files.paths:
        if not in_scope(path):
            continue
        try:
            documents, _ = read_definitions(path, files.read(path), checker=shared())
        except (OSError, ValueError):
            continue  # `lint` says so
        for document in documents:
            kind = KINDS.get(document.kind)
            if kind is not None:
                template = _template(document.content)
                checked = shared().check(template)
                fault = f"line {checked.faults[0].line} of the template: {checked.faults[0].message}" if checked.faults else ""
                yield Defined(document.name, kind, path, document.line, sorted(checked.uses), fault, list(checked.parameters), template)


def _template(content: Any) -> str:
    """Empty where there is none: `lint` says so."""
    for name in ("spec", "schematic", "cue", "template"):
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""
