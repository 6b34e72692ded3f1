"""Runs as people look at them: all of them in lines, and one with the graph of its steps."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.model.application import Workflow
from reconciler.model.identity import AppKey
from reconciler.model.run import Command, Phase, Run, StepState
from reconciler.model.status import CommandView, DecisionView, WriteBackView
from reconciler.model.workflow import NodeView, RunLine, WorkflowView
from reconciler.revisions.masking import mask_manifests
from reconciler.workflow.ordering import Ordering


def list_runs(context: Context) -> list[RunLine]:
    """Of all applications, by namespace and name, each with its newest run first. Masked."""
    return [_line(context.apps[key], run) for key in sorted(context.apps) for run in reversed(context.apps[key].runs)]


def _line(app: Application, run: Run) -> RunLine:
    return RunLine(
        application=app.key.name,
        namespace=app.key.namespace,
        family=app.mirror.family,
        run=run.name,
        revision=run.revision,
        kind=run.kind,
        queue=run.queue,
        phase=run.phase.value,
        reason=run.reason,
        newest=run is app.newest,
        since=run.started_at or run.created_at,
        finished_at=run.finished_at,
    )


async def show_run(context: Context, key: AppKey, name: str) -> WorkflowView | None:
    """The run of that name, or the newest; None where there is none. Masked."""
    app = context.apps.get(key)
    run = (app.find_run(name) if name else app.newest) if app is not None else None
    if app is None or run is None:
        return None
    workflow = await context.contents.workflow_if_kept(key, run.revision)  # else what the run itself knows is shown
    return WorkflowView(
        application=key.name,
        namespace=key.namespace,
        family=app.mirror.family,
        run=run.name,
        revision=run.revision,
        kind=run.kind,
        phase=run.phase.value,
        reason=run.reason,
        message=_show(run.message),
        queue=run.queue,
        mode=workflow.mode,
        round=run.round,
        suspended=app.suspended(context.index.entries.get(key)) if not run.phase.final else "",
        steps=_nodes(run, workflow),
        decisions=[DecisionView(item.gate, item.verb, item.commit, item.author, _show(item.message), item.at, item.by) for item in run.decisions],
        commands=view_commands(run.commands),
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def view_commands(commands: list[Command]) -> list[CommandView]:
    """As people see them; without the patch that a refused commit holds, which belongs to the condition."""
    return [
        CommandView(
            verb=command.verb,
            at=command.at,
            author=command.author,
            reason=_show(command.reason),
            run=command.run,
            step=command.step,
            write_back=WriteBackView(command.owed.state, command.owed.commit, command.owed.reason) if command.owed is not None else None,
        )
        for command in commands
    ]


def commands_of(app: Application) -> list[CommandView]:
    """All that are kept, oldest first."""
    return view_commands(sorted([*app.mirror.commands, *(command for run in app.runs for command in run.commands)], key=lambda command: command.at))


def _nodes(run: Run, workflow: Workflow) -> list[NodeView]:
    ordering = Ordering(run, workflow)
    after: dict[str, list[str]] = {step.key: [] for step in run.steps}
    for step in run.steps:
        for other in ordering.dependents(step):
            after[other.key].append(step.key)
    members = {step.key for step in run.steps if step.group}
    for step in run.steps:
        if step.group in after and not members.intersection(after[step.key]):  # the first of a group begin when that does
            after[step.key].append(step.group)
    return [_node(step, _nearest(step.key, after)) for step in run.steps]


def _nearest(key: str, after: Mapping[str, list[str]]) -> list[str]:
    """Those of the steps before it that no other one of them waits for."""
    mine = after[key]
    further = {old for one in mine for old in after[one]}
    return [one for one in mine if one not in further]


def _node(step: StepState, after: list[str]) -> NodeView:
    waits = step.phase in (Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK)
    return NodeView(
        key=step.key,
        name=step.name,
        type=step.type,
        phase=step.phase.value,
        after=after,
        group=step.group,
        reason=step.reason,
        message=_show(step.message),
        attempt=step.attempt,
        undo_attempt=step.undo_attempt,
        round=step.round,
        started_at=step.started_at,
        finished_at=step.finished_at,
        until=min((when for when in (step.until, step.deadline) if when is not None), default=None) if waits else None,
        retry_at=step.retry_at if not step.phase.final else None,
        suspended_at=step.suspended_at if not step.phase.final else None,
    )


def _show(text: str) -> str:
    """Without the user parts of URLs (rule 12)."""
    return str(mask_manifests(text))
