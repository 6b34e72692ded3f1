"""`reconciler definition`: what types a repository on disk defines. It makes no connection and runs nothing of what it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from reconciler.cli.definition_example import render_example
from reconciler.cli.definition_source import KINDS, Defined, find, look_up
from reconciler.cli.definition_trial import Moment, Trial
from reconciler.cli.errors import Exit, RefusedError, UsageError
from reconciler.cli.output import output_option, print_json, print_line, print_table
from reconciler.cluster.crds.structural import to_yaml
from reconciler.dialects.documents import parse
from reconciler.model.definition import Parameter
from reconciler.render.definitions import shared

_repo = click.option(
    "--repo", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", metavar="FOLDER", help="The repository's top."
)
_what = click.argument("what", metavar="NAME|PATH")
_FIRST: Final = ("apiVersion", "kind", "metadata")
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def command() -> None:
    """Step, component, trait and policy types that the repository defines."""


@command.command("list")
@_repo
@output_option
def list_all(repo: Path, output: str) -> None:
    """List the definitions of the repository, what each calls, and what is wrong with it."""
    found = list(find(repo))
    if output == "json":
        print_json(found)
        return
    rows = [(each.name, each.kind, f"{each.path}:{each.line}", ", ".join(each.functions) or "-", each.fault or "-") for each in found]
    print_table(("NAME", "KIND", "PLACE", "FUNCTIONS", "FAULT"), rows, "No definitions.")


@command.command()
@_what
@_repo
@output_option
def show(what: str, repo: Path, output: str) -> None:
    """Show the parameters of a definition, by its NAME in the repository or the PATH of its file, as a table."""
    found = look_up(what, repo)
    if output == "json":
        print_json(found[0] if len(found) == 1 else found)
        return
    for one in found:  # definitions of several kinds may have one name
        print_line(f"{one.kind} {one.name}, {one.path}:{one.line}" + (f": {one.fault}" if one.fault else ""))
        print_table(("PARAMETER", "TYPE", "DEFAULT", "MEANING"), [_describe(row) for row in one.parameters], "It has no parameters.")


@command.command("test")
@_what
@_repo
@click.option("--properties", type=_FILE, metavar="FILE", help="Properties of the step, component, trait or policy, in YAML. Default: none.")
@click.option("--context", type=_FILE, metavar="FILE", help="What `context` has: name, namespace and what else, in YAML.")
@click.option("--objects", multiple=True, type=_FILE, metavar="FILE", help="Of a step: manifests that its reads find. May be given again.")
@click.option("--workload", type=_FILE, metavar="FILE", help="Of a trait: the manifests that it is laid on. Default: a small Deployment.")
@click.option("--kind", type=click.Choice(list(KINDS.values())), help="Which is meant, where one name is that of several.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["human", "json", "yaml"]),
    default="human",
    show_default=True,
    help="What to print; yaml: the manifests alone that it makes or applies.",
)
def test(
    what: str,
    repo: Path,
    properties: Path | None,
    context: Path | None,
    objects: tuple[Path, ...],
    workload: Path | None,
    kind: str | None,
    output: str,
) -> int:
    """Try a definition, by its NAME in the repository or the PATH of its file: what a component, trait or policy makes, or what a step would do.

    Nothing is done and nobody is asked. A step is played in order, until it ends or waits for what is not there: what it applies is there from then
    on, requests are answered with 200 and {}, metrics are as they should be. Exit code 1 where the step fails or nothing can be rendered.
    """
    one = _choose(what, look_up(what, repo), kind)
    if objects and one.kind != "step":
        raise UsageError(f"--objects is for steps, and {one.name} is a {one.kind}")
    if workload and one.kind != "trait":
        raise UsageError(f"--workload is for traits, and {one.name} is a {one.kind}")
    given = _check(one, _read_mapping(properties))
    if one.kind == "step":
        there = [document for path in objects for document in _read_documents(path)]
        moments = Trial(one.template, given, _read_mapping(context), there).play()
    else:
        moments = render_example(one, given, _read_mapping(context), _read_documents(workload) if workload else [])
    _print_moments(moments, output)
    return Exit.REFUSED if moments and moments[-1].what == "fails" else Exit.OK


def _choose(what: str, found: list[Defined], kind: str | None) -> Defined:
    """The one that is meant, if it can be used."""
    meant = [each for each in found if each.kind == (kind or each.kind)]
    if len(meant) > 1:
        listed = ", ".join(f"{each.kind} {each.name} ({each.path}:{each.line})" for each in meant[:20])
        raise UsageError(f"{what}: which one? {listed}; a name, the path of a file or --kind says it")
    if not meant:
        raise RefusedError(f"{what} defines no {kind}")
    if meant[0].fault:
        raise RefusedError(f"{meant[0].path}: {meant[0].fault}")
    return meant[0]


def _check(one: Defined, given: dict[str, Any]) -> dict[str, Any]:
    """Properties held against the parameters as `lint` does."""
    wrong = [f"{field}: {message}" for field, message in shared().check(one.template, given, whole=one.kind != "step").findings]
    wrong += [f"{row.name}: is required" for row in one.parameters if row.required and row.name not in given]
    if wrong:
        raise RefusedError(f"properties of {one.name}: {'; '.join(wrong)}")
    return given


def _print_moments(moments: list[Moment], output: str) -> None:
    if output == "json":
        print_json(moments)
    elif output == "yaml":
        made = [obj for moment in moments for obj in moment.objects]
        click.echo(to_yaml([{**{name: obj[name] for name in _FIRST if name in obj}, **obj} for obj in made]), nl=False)
    else:
        print_table(("WHAT", "OF", "FUNCTION"), [(each.what, each.of or "-", each.path or "-") for each in moments], "It does nothing.")


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
