"""What the commands that commit share: the gate, the edit, the commit in a clone. The daemon is only asked, never told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from reconciler.cli.client import Client
from reconciler.cli.errors import ConflictError, NotFoundError, RefusedError, UsageError
from reconciler.cli.manifest import Manifest, find_manifest
from reconciler.cli.output import output_option, print_json, print_line, server_option
from reconciler.model.names import RUN_GATE
from reconciler.model.run import Verb
from reconciler.model.status import ApplicationStatus, GateView
from reconciler.model.text import MASK, nearest, one_line
from reconciler.source import worktree
from reconciler.workflow.explain import explain

WORDS: dict[Verb, str] = {"continue": "Approve", "rollback": "Roll back", "end": "Reject"}


class Request(msgspec.Struct, frozen=True):
    """What the options said. `message` empty: one is made. `step` empty: none was named."""

    repo: Path
    push: bool
    message: str
    output: str
    server: str
    step: str = ""

    def find(self, application: str) -> tuple[Client, ApplicationStatus]:
        client = Client(self.server)
        return client, client.find(application)


class Outcome(msgspec.Struct):
    """What a command did, for scripts. `key` and `value` are empty where a spec was restored, `value` where an annotation was removed."""

    application: str
    namespace: str
    path: str
    commit: str
    message: str
    pushed: bool
    key: str = ""
    value: str = ""


def commit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The argument and the options that all of them share; the command is handed APP and a `Request`."""

    def hand(application: str, repo: Path, push: bool, message: str, output: str, server: str, step: str = "", **more: Any) -> Any:
        return command(application, Request(repo, push, message, output, server, step), **more)

    hand.__doc__, hand.__name__ = command.__doc__, command.__name__
    wrapped: Callable[..., Any] = hand
    for option in (
        server_option,
        output_option,
        click.option("--message", "-m", default="", metavar="TEXT", help="The commit's message; one is made otherwise."),
        click.option("--push", is_flag=True, help="Push the commit, too."),
        click.option("--repo", type=click.Path(path_type=Path), default=Path(), metavar="FOLDER", help="The clone. Default: the working folder."),
        click.argument("application", metavar="APP"),
    ):
        wrapped = option(wrapped)
    return wrapped


def decision_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and the gate that is decided."""
    step = click.option("--step", default="", metavar="STEP", help="The gate, where several wait. Default: the first.")
    wrapped: Callable[..., Any] = step(commit_options(command))
    return wrapped


def decide(request: Request, status: ApplicationStatus, verb: Verb) -> None:
    """Commits the decision for the gate that waits. Raises `CommandError`s."""
    gate = choose_gate(status, request.step, verb)
    value = {"continue": gate.continue_, "rollback": gate.rollback, "end": gate.end}[verb]
    manifest = find_manifest(request.repo, status)
    if manifest.app.annotations.get(gate.key) == value:
        raise ConflictError(f"{status.path} holds {gate.key}: {value} already: push the commit that wrote it")
    if status.desired is not None and gate.revision == status.desired.revision and manifest.digest != status.desired.digest:
        warn(f"{status.path} in this clone is not what {gate.revision} was made of: the decision counts only on top of exactly that")
    message = f"{WORDS[verb]} {gate.revision} of {status.key} at gate {gate.step}"
    commit(request, status, manifest.annotate(gate.key, value), message, gate.key, value)


def choose_gate(status: ApplicationStatus, step: str, verb: Verb) -> GateView:
    """The gate of that name among those that wait, or the first of them; the whole run (`run`, rule 4f) can be stopped where none does."""
    gates = [*status.gates, *_stop(status, verb)]
    if not gates:
        raise RefusedError(f"no gate waits for a decision: {explain(status, datetime.now(UTC)).sentence}")
    if not step:
        return gates[0]
    for gate in gates:
        if step in (gate.step, gate.key, gate.key.partition("/")[2]):
            return gate
    names = [gate.step for gate in gates]
    close = nearest(step, names)
    raise NotFoundError(f"no gate {step!r} waits, but {', '.join(names)}" + (f"; did you mean {close}?" if close else ""))


def _stop(status: ApplicationStatus, verb: Verb) -> list[GateView]:
    run = status.run
    if run is None or run.stop is None or verb == "continue" or (verb == "rollback" and not run.stop.rollback):
        return []
    since = run.started_at or datetime.now(UTC)
    return [GateView(RUN_GATE, run.revision, since, run.stop.key, "", run.stop.rollback, run.stop.end)]


def commit(request: Request, status: ApplicationStatus, manifest: Manifest, message: str, key: str = "", value: str = "") -> None:
    """Makes the commit, shows it, and pushes it where that was asked."""
    text = request.message or one_line(message, 200)
    try:
        made = worktree.commit_files(manifest.files.top, {manifest.app.path: manifest.text.encode()}, text)
        shown = worktree.show(manifest.files.top, made)
    except worktree.WorktreeError as error:
        raise RefusedError(str(error)) from None
    pushed = ""
    if request.push:
        try:
            pushed = worktree.push(manifest.files.top)
        except worktree.WorktreeError as error:
            raise ConflictError(f"commit {made[:12]}: {error}") from None
    if request.output == "json":
        print_json(Outcome(status.application, status.namespace, manifest.app.path, made, text.partition("\n")[0], request.push, key, value))
        return
    for line in shown.splitlines():
        print_line(line.expandtabs())
    print_line(f"Pushed {pushed}." if pushed else "Not pushed yet: `git push`, or merge it as you do.")


def warn(message: str) -> None:
    click.echo(f"Warning: {one_line(message, 4096)}", err=True)


def restore(request: Request, client: Client, status: ApplicationStatus, to: str) -> None:
    """Commits the spec of an earlier promoted revision: `to`, or the newest that is neither desired nor rejected (rule 7a)."""
    if request.step:
        raise UsageError("--step names a gate, and none is decided here")
    kept = client.revisions(status.key)
    names = [record.revision for record in kept]
    desired = status.desired.digest if status.desired is not None else ""
    if to:
        chosen = next((record for record in kept if record.revision == to), None)
        if chosen is None:
            raise NotFoundError(f"revision {to!r} of {status.key} is not kept; kept are {', '.join(names) or 'none'}")
        if not chosen.promoted or chosen.rejected:
            warn(f"{to} {'is rejected' if chosen.rejected else 'was never promoted'}: going back to it is a new revision, with its gates")
    else:
        chosen = next((record for record in kept if record.promoted and not record.rejected and record.digest != desired), None)
        if chosen is None:
            raise RefusedError(f"{status.key} has no earlier promoted revision to go back to; kept are {', '.join(names) or 'none'}")
    if MASK in msgspec.json.encode(chosen.spec).decode():
        hint = f"`git checkout {chosen.commit[:12]} -- {status.path}`, and commit"
        raise RefusedError(f"the spec of {chosen.revision} holds secrets, which the daemon does not tell: take the file from git with {hint}")
    manifest = find_manifest(request.repo, status)
    if manifest.digest == chosen.digest:
        raise ConflictError(f"{status.path} in this clone is what {chosen.revision} was made of already")
    restored = manifest.restore(chosen.spec)
    if restored.digest != chosen.digest:
        warn(
            f"with that spec {status.key} is still not what {chosen.revision} was made of (labels, environment or other files differ): a new revision"
        )
    commit(request, status, restored, f"Roll {status.key} back to {chosen.revision}")
