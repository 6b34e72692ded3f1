"""`reconciler simulate`: what a commit would do. It makes no connection, writes nothing and runs nothing of what it reads (rule 13f)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from reconciler.cli.errors import Exit, NotFoundError, RefusedError, UsageError
from reconciler.cli.output import print_json
from reconciler.model.duration import parse_duration

if TYPE_CHECKING:
    from reconciler.simulation.report import Report
    from reconciler.simulation.simulate import Request


@click.command()
@click.argument("repo", metavar="REPO")
@click.option("--commit", default="HEAD", show_default=True, metavar="COMMIT", help="Branch, tag, commit id, or as `main~1`.")
@click.option("--from", "start", default="", metavar="COMMIT", help="What runs before, all its gates passed. Default: nothing.")
@click.option(
    "--decide",
    "decisions",
    multiple=True,
    metavar="STEP=continue|rollback|end",
    help="Answers a gate; STEP, APP/STEP or NAMESPACE/APP/STEP. A gate without an answer waits.",
)
@click.option("--until", default="168h", show_default=True, metavar="DURATION", help="How much simulated time may pass.")
@click.option("--path", "paths", multiple=True, metavar="FOLDER", help="Folders to read, relative to the top; none: all of it.")
@click.option("--allow-cluster-scoped", "cluster_scoped", multiple=True, metavar="KIND", help="Cluster-scoped kinds that manifests may apply.")
@click.option("--step-plugin", "plugins", multiple=True, metavar="NAME", help="A step type that is a plug-in: it is not run, but taken as done.")
@click.option("--output", "-o", type=click.Choice(["human", "json", "markdown"]), default="human", show_default=True, help="What to print.")
def command(
    repo: str,
    commit: str,
    start: str,
    decisions: tuple[str, ...],
    until: str,
    paths: tuple[str, ...],
    cluster_scoped: tuple[str, ...],
    plugins: tuple[str, ...],
    output: str,
) -> int:
    """
    Show what a commit of REPO, the top of a git repository, would do: which applications and objects change, at which gates
    it would stop, what a rollback would do there, and how each run ends.

    The workflows run on a simulated cluster with the clock running ahead; no container runs, and REPO stays as it is. Exit
    code 1 where a document has errors or a run fails.
    """
    from reconciler.simulation.answers import parse_answer
    from reconciler.simulation.simulate import Request
    from reconciler.source.trees import normalise

    try:
        answers = tuple(parse_answer(text) for text in decisions)
        seconds = parse_duration(until).total_seconds()
        paths = normalise(paths)
    except ValueError as error:
        raise UsageError(str(error)) from None
    report = _simulate(Request(repo, commit, start, answers, seconds, paths, cluster_scoped, plugins))
    if output == "json":
        print_json(report)
    elif output == "markdown":
        from reconciler.cli.simulation_markdown import write_markdown

        click.echo("\n".join(write_markdown(report)))
    else:
        from reconciler.cli.simulation_text import print_report

        print_report(report)
    return Exit.REFUSED if report.failed else Exit.OK


def _simulate(request: Request) -> Report:
    """What a user can mend ends with a sentence."""
    from reconciler.simulation.simulate import SimulationError, simulate
    from reconciler.source.protocol import EmptyRepositoryError, NotARepositoryError, RefMissingError, SourceError

    try:
        with _silent():
            return simulate(request)
    except NotARepositoryError as error:
        raise UsageError(str(error)) from None
    except (RefMissingError, EmptyRepositoryError) as error:
        raise NotFoundError(str(error)) from None
    except (SourceError, SimulationError) as error:
        raise RefusedError(str(error)) from None


@contextmanager
def _silent() -> Iterator[None]:
    """What the parts of a daemon would log, the report says."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
