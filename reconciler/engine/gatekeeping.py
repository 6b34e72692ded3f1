"""Gates at run time: which wait, what the head says to them, who said it (rules 4a-4f)."""

from __future__ import annotations

from datetime import datetime

from reconciler.dialects.documents import parse
from reconciler.engine.applications import Application
from reconciler.engine.context import Context
from reconciler.engine.declared import Declared
from reconciler.engine.files import FILE_LIMIT
from reconciler.gates.annotations import Item, Reading, Remark, read_items
from reconciler.gates.decisions import Head, Verdict, WaitingGate, gate_code, judge, judge_late, judge_run
from reconciler.model.application import Workflow
from reconciler.model.names import GATE_PREFIX, RESERVED_STEPS, RUN_GATE
from reconciler.model.run import Commit, Decision, Phase, Run, StepState
from reconciler.model.status import GateView, StopView
from reconciler.source.protocol import Source, SourceError
from reconciler.workflow.pairs import pairs

_HISTORY = 50


def read_declared(declared: Declared, run: Run | None) -> Reading:
    """The decisions of a manifest. The engine's own gates are always known: their used decisions may stay in git."""
    return read_items(declared.annotations, {*declared.gates, *RESERVED_STEPS, *(run.implicit if run else ())})


def waiting_gates(cluster_id: str, app: Application, run: Run, workflow: Workflow) -> list[WaitingGate]:
    """All gates of the run that wait, in workflow order, each with what opens it (4a, 4e)."""

    def code(key: str) -> str:
        return gate_code(cluster_id, app.key, run.digest, run.uid, key, run.step(key).round)

    partners = pairs(workflow)
    first = {promotion: suspend for suspend, promotion in partners.items()}
    found = []
    opened = {(decision.gate, decision.round) for decision in run.decisions if decision.verb == "continue"}  # and it waits to be admitted again
    rounds = {step.key: step.round for step in run.steps}
    for step in run.steps:
        promotion = partners.get(step.key)
        if step.phase is not Phase.WAITING or step.since is None or any((key, rounds.get(key)) in opened for key in (step.key, promotion or "")):
            continue
        if promotion is not None:
            found.append(WaitingGate(step.name, promotion, code(promotion), step.since, step.key, code(step.key)))
        else:
            began = run.step(first[step.key]).since if step.key in first else None
            found.append(WaitingGate(step.name, step.key, code(step.key), began or step.since))
    return found


def gate_views(gates: list[WaitingGate], run: Run) -> list[GateView]:
    """What to put into the manifest's annotations, for people and scripts."""
    return [
        GateView(
            step=gate.step,
            revision=run.revision,
            since=gate.since,
            key=f"{GATE_PREFIX}{gate.key}",
            continue_=f"continue@{gate.code}",
            rollback=f"rollback@{gate.code}",
            end=f"end@{gate.code}",
            message="; ".join(text for text in (_waits(run, gate).message, _alone(gate)) if text),
            until=_waits(run, gate).until,
            deadline=_deadline(run, _waits(run, gate)),
        )
        for gate in gates
    ]


def _waits(run: Run, gate: WaitingGate) -> StepState:
    return next(step for step in run.steps if step.name == gate.step)


def _deadline(run: Run, step: StepState) -> datetime | None:
    """The earlier one of its own and its group's."""
    found = [one.deadline for one in run.steps if one.key in (step.key, step.group) and one.deadline is not None]
    return min(found, default=None)


def _alone(gate: WaitingGate) -> str:
    """The suspend of a pair has a code of its own (4e)."""
    return f'to open {gate.step} alone: "{GATE_PREFIX}{gate.own_key}: continue@{gate.own_code}"' if gate.own_key else ""


def stop_view(cluster_id: str, app: Application, run: Run) -> StopView | None:
    """What stops the whole run at any time (4f); None where it has ended, or is a rollback or part of one: that is finished first (6a).
    Undoing its steps may take for ever, and so can be ended, as long as there is a manifest to say so in."""
    undone = run.phase is Phase.ROLLING_BACK and run.undo_cause not in ("", "removed")
    if run.phase.final or (run.phase is Phase.ROLLING_BACK and not undone) or run.restores:
        return None
    code = gate_code(cluster_id, app.key, run.digest, run.uid, RUN_GATE, run.round)
    return StopView(f"{GATE_PREFIX}{RUN_GATE}", "" if undone else f"rollback@{code}", f"end@{code}")


async def gather_decisions(context: Context, app: Application, run: Run, workflow: Workflow, now: datetime) -> list[Decision]:
    """Decisions that count for this run now. Notes on the application what does not count and why, and whether to look again."""
    entry = context.index.entries.get(app.key)
    app.look_again = False
    if entry is None or not entry.valid or context.index.head is None or context.index.looked_at is None or not run.uid:
        return []
    declared = entry.declared
    items, _ = read_declared(declared, run)
    head = Head(declared.digest, context.index.looked_at)
    verdicts: list[Verdict] = []
    app.judged = []
    elsewhere = app.used() - {decision.value for decision in run.decisions}
    # What decided an earlier run may stay where it is: it is history, and nothing to remark on.
    before = _used_before(run)
    past = elsewhere.intersection(run.standing) | before
    current = [item for item in items if item.text not in past]
    for gate in waiting_gates(context.cluster_id, app, run, workflow):
        judgement = judge(gate, current, head, run.digest, run.standing)
        verdicts += [judgement.verdict] if judgement.verdict else []
        app.judged += judgement.remarks
        app.look_again |= judgement.look_again
    own = gate_code(context.cluster_id, app.key, run.digest, run.uid, RUN_GATE, run.round)
    judgement = judge_run(own, [item for item in items if item.text not in elsewhere | before], head, run.digest, run.standing)
    verdicts += [judgement.verdict] if judgement.verdict else []
    app.judged += judgement.remarks
    used = {(decision.gate, decision.value) for decision in run.decisions}
    fresh = [verdict for verdict in verdicts if (verdict.gate, verdict.item.text) not in used]
    return [await _decision(context, declared, verdict, now) for verdict in fresh]


def _used_before(run: Run) -> set[str]:
    """What decided an earlier round of the run, or of one of its gates: history too."""
    rounds = {step.key: step.round for step in run.steps}
    old = [item for item in run.decisions[run.answered :] if item.round < rounds.get(item.gate, item.round)]
    return {item.value for item in (*run.decisions[: run.answered], *old)}


def find_late(cluster_id: str, app: Application, items: list[Item]) -> list[Remark]:
    """Decisions for gates of the newest run that wait no more, and for a run that has ended (4f). A rollback is finished first."""
    run = app.newest
    stop = stop_view(cluster_id, app, run) if run is not None else None
    if run is None or not items or (stop is None and not run.phase.final):
        return []

    def code(key: str, turn: int) -> str:
        return gate_code(cluster_id, app.key, run.digest, run.uid, key, turn)

    over = {step.key: code(step.key, step.round) for step in run.steps if step.phase.final}
    if run.phase.final:
        over |= {RUN_GATE: code(RUN_GATE, run.round), "": ""}
    line = f'{stop.key}: "{stop.rollback or stop.end}"' if stop else f"reconciler rollback {app.key} --push"
    also = f' or "{stop.end}"' if stop and stop.rollback else ""
    instead = f"to stop {run.name}, commit {line}{also}" if stop else f"{run.name} has ended: to go back, `{line}`"
    return judge_late(items, over, {*app.used(), *run.standing}, instead, line)


async def _decision(context: Context, declared: Declared, verdict: Verdict, now: datetime) -> Decision:
    head = context.index.head
    assert head is not None
    commit = await context.thread.call(lambda source: find_setter(source, head.commit, declared, verdict.item))
    return Decision(
        gate=verdict.gate,
        verb=verdict.verb,
        value=verdict.item.text,
        at=now,
        head=head.id,
        commit=commit.id,
        author=commit.author,
        message=commit.message,
    )


def find_setter(source: Source, head: Commit, declared: Declared, item: Item) -> Commit:
    """The oldest of the newest commits of that file in which the item stands without a break; the head where history is not readable."""
    setter = head
    try:
        for commit in source.log(declared.path, "", head.id, _HISTORY):
            blob = source.blob(commit.id, declared.path)
            if blob is None or not _stands(source.read(blob.oid, FILE_LIMIT), declared, item):
                break
            setter = commit
    except SourceError:
        return setter
    return setter


def _stands(data: bytes, declared: Declared, item: Item) -> bool:
    documents, _ = parse(declared.path, data)
    for document in documents:
        metadata = document.content.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("name", declared.key.name) != declared.key.name:
            continue
        annotations = metadata.get("annotations") if metadata.get("namespace", declared.key.namespace) == declared.key.namespace else None
        if isinstance(annotations, dict) and any(found.text == item.text for found in read_items(annotations, {item.gate, *declared.gates}).items):
            return True
    return False
