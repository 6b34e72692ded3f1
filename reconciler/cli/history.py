"""`reconciler history`: what happened to an application, and who decided so."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import msgspec

from reconciler.cli.client import Client
from reconciler.cli.output import print_json, print_line, print_table, server_option
from reconciler.model.status import CommandView, CommitView, DecisionView, History, RevisionHistory, RunHistory

COLUMNS = ("STARTED", "REVISION", "RUN", "COMMIT", "AUTHOR", "OUTCOME", "DECISIONS", "NOTES")
_BEGINNING = datetime.fromtimestamp(0, UTC)


@click.command()
@click.argument("application", metavar="APP")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["human", "json", "jsonl"]),
    default="human",
    show_default=True,
    help="What to print; jsonl: a line of JSON for each revision.",
)
@server_option
def command(application: str, output: str, server: str) -> None:
    """Show the runs of APP, newest first: of which revision and commit, who decided what, how they ended, and what was rolled back and why."""
    client = Client(server)
    key = client.find(application).key
    history: History = client.decode(client.locate(key, "history"), History)
    if output == "json":
        print_json(history)
    elif output == "jsonl":
        for revision in history.revisions:
            line = {"application": history.application, "namespace": history.namespace, **msgspec.to_builtins(revision)}
            click.echo(msgspec.json.encode(line).decode("utf-8", "replace"))
    else:
        _print(history)


def _print(history: History) -> None:
    rows: list[tuple[RevisionHistory, RunHistory | None]] = [(revision, run) for revision in history.revisions for run in revision.runs]
    rows += [(revision, None) for revision in history.revisions if not revision.runs]
    rows.sort(key=lambda row: _began(*row) or _BEGINNING, reverse=True)
    print_table(COLUMNS, [_describe(revision, run) for revision, run in rows], "No revision yet.")
    for revision in history.revisions:
        for commit in revision.same_commits:
            print_line(f"Commit {_name(commit)} declares the same as {revision.revision}.")
    if history.superseded:
        print_line(f"Passed by since the last verdict: {', '.join(history.superseded)}.")
    for item in history.commands:
        print_line(f"Ordered {describe_command(item)}")


def _began(revision: RevisionHistory, run: RunHistory | None) -> datetime | None:
    return (run.started_at or run.created_at) if run is not None else revision.created_at


def _describe(revision: RevisionHistory, run: RunHistory | None) -> tuple[str, ...]:
    began = _began(revision, run)
    commit = run.commit if run is not None else revision.commit
    return (
        f"{began.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}" if began else "-",
        revision.revision,
        run.run if run is not None else "-",
        commit.id[:12] if commit else "-",
        (commit.author if commit else "") or "-",
        run.phase if run is not None else "-",
        "; ".join(_decided(decision) for decision in run.decisions) if run is not None and run.decisions else "-",
        "; ".join([*_notes_of_revision(revision, run), *(_notes_of_run(run) if run is not None else [])]) or "-",
    )


def _decided(decision: DecisionView) -> str:
    who = f"{decision.author or 'somebody'} in {decision.commit[:12]} ({decision.message})" if decision.commit else decision.author or decision.by
    return f"{decision.verb} at {decision.step} by {who}, {decision.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _notes_of_revision(revision: RevisionHistory, run: RunHistory | None) -> list[str]:
    """Told once, with the newest run."""
    if revision.runs and run is not revision.runs[-1]:
        return []
    words = {"runs": revision.running, "rejected": revision.rejected, "not kept": not revision.kept}
    return [word for word, applies in words.items() if applies]


def _notes_of_run(run: RunHistory) -> list[str]:
    notes = []
    if run.restored_by:
        notes.append(f"rolled back to {run.restore_target} by {run.restored_by}")
    if run.restores:
        notes.append(f"rollback of {run.restores}")
    elif run.kind == "restore":
        notes.append("git went back" + (f" from {', '.join(run.undoes)}" if run.undoes else ""))
    elif run.kind == "undo":
        notes.append(f"it left git: undoes {', '.join(run.undoes)}")
    if run.superseded_by:
        notes.append(f"superseded by {run.superseded_by}")
    if run.supersedes:
        notes.append(f"passed by on the way: {', '.join(run.supersedes)}")
    if run.phase == "Failed":
        notes.append(f"{run.reason}: {run.message}")
    owed = run.write_back
    if owed is not None:
        notes.append(f"commit to git {owed.state}" + (f" ({owed.reason})" if owed.reason else f" ({owed.commit[:12]})" if owed.commit else ""))
    return notes


def describe_command(item: CommandView) -> str:
    """One line: what, who, when, why, and what became of the commit that is owed for it."""
    what = f"{item.verb} of step {item.step}" if item.step else item.verb
    owed = item.write_back
    git = f" (commit to git {owed.state}{f', {owed.reason}' if owed.reason else ''})" if owed is not None else ""
    return f"{item.at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ} {what} by {item.author}: {item.reason}{git}"


def _name(commit: CommitView) -> str:
    who = ": ".join(part for part in (commit.author, commit.message) if part)
    return commit.id[:12] + (f" ({who})" if who else "")
