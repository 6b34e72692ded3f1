"""`reconciler definition`: what types a repository on disk defines. It makes no connection and runs nothing of what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import NotFoundError
from reconciler.cli.output import output_option, print_json, print_line, print_table
from reconciler.dialects.definitions import read_definitions
from reconciler.dialects.scope import COMPONENT_DEFINITION, STEP_DEFINITION, TRAIT_DEFINITION, in_scope
from reconciler.model.definition import Parameter
from reconciler.model.text import nearest
from reconciler.render.definitions import shared

_repo = click.option(
    "--repo", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", metavar="FOLDER", help="The repository's top."
)


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
    named = [each for each in found if each.name == name]
    if not named:
        guess = nearest(name, [each.name for each in found])
        raise NotFoundError(f"there is no definition {name}" + (f"; did you mean {guess}?" if guess else ""))
    if output == "json":
        print_json(named[0] if len(named) == 1 else named)
        return
    for one in named:  # a component and a trait may have one name
        print_line(f"{one.kind} {one.name}, {one.path}:{one.line}" + (f": {one.fault}" if one.fault else ""))
        print_table(("PARAMETER", "TYPE", "DEFAULT", "MEANING"), [_describe(row) for row in one.parameters], "It has no parameters.")


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
                checked = shared().check(_template(document.content))
                fault = f"line {checked.faults[0].line} of the template: {checked.faults[0].message}" if checked.faults else ""
                yield Defined(document.name, kind, path, document.line, sorted(checked.uses), fault, list(checked.parameters))


def _template(content: Any) -> str:
    """Empty where there is none: `lint` says so."""
    for name in ("spec", "schematic", "cue", "template"):
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, str) else ""
