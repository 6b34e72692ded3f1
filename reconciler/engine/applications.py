"""What the daemon holds in memory of one application: its state as stored, and what is under way."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, NamedTuple

from reconciler.engine.index import Entry
from reconciler.engine.observations import Identity
from reconciler.engine.store import Store
from reconciler.gates.annotations import Remark
from reconciler.model.dependencies import Unmet
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.outcome import Result
from reconciler.model.problem import Problem
from reconciler.model.records import InventoryItem, Mirror, Past, RevisionRecord, Shown
from reconciler.model.run import FINAL, UNDO, Command, Notice, Phase, Run, WriteBack, is_aside
from reconciler.model.status import ApplicationStatus, GateView
from reconciler.revisions.record import Record
from reconciler.revisions.target import choose_target

LISTED = 20
_TOLD = 5  # runs


class Heal(NamedTuple):
    """How often an object was put back of late, until when (monotonic) it is left alone, who changed which field, once it is a fight, and why
    the last try failed."""

    times: int = 0
    until: float = 0.0
    who: str = ""
    failed: str = ""


FOUGHT = 3
"""Put back more often than that in a row, an object is fought over."""


class Application:
    """`records` and `runs` from oldest to newest. `items`: the inventory with what open runs applied or intend folded in.

    `results`: effects that ended and are not stored yet, by effect key; `tasks`: what is under way, by key. `calls`: runs whose callback is
    being told, `called`: what it was told and is not stored yet, by run and number. `judged`: what of the
    written decisions does not count for the open run, `remarks`: that, and all else that is to be said of them.
    `polls`: looks in a row at what nobody tells of, with nothing new. `healed`: objects put back in this turn; `heal_at`: when those that still
    differ are healed, None where none does. `doubted`: components of which an object was
    refused when they were applied last. `tolerated`: drift that rules let be, by what was seen of our fields. `leaving`: the shard that it is
    about to go to; `unled`: the Lease of the one that git gives it to, where nobody holds it. `foreign`: whose the kind of its manifest is in
    this cluster, where it is another controller's. `unwatched`: kinds of its objects that the daemon may not watch.
    """

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.key: AppKey = mirror.key
        self.records: list[RevisionRecord] = []
        self.runs: list[Run] = []
        self.items: dict[Identity, InventoryItem] = {item.object.identity: item for item in mirror.inventory}
        self.results: dict[str, Result] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.calls: dict[str, asyncio.Task[None]] = {}
        self.called: dict[str, dict[int, Notice]] = {}
        self.write_backs: dict[str, WriteBack] = {}
        self.judged: list[Remark] = []
        self.remarks: list[Remark] = []
        self.gates: list[GateView] = []
        self.look_again = False
        self.polls = 0
        self.next_up = ("", "")
        self.prune_note: tuple[str, str, str] = ("", "", "")
        self.render_problem: tuple[str, Problem | None] = ("", None)
        self.render_again = False
        self.stalled = ""
        self.unmet: list[Unmet] = []
        self.doubted: set[str] = set()
        self.heals: dict[Identity, Heal] = {}
        self.tolerated: dict[Identity, str] = {}
        self.heal_at: datetime | None = None
        self.healed: list[str] = []
        self.status: ApplicationStatus | None = None
        self.saved = b""
        self.unsaved = False
        self.lost = False
        self.traces: list[str] = []
        self.leaving = ""
        self.unled = self.foreign = self.unwatched = ""

    def suspended(self, entry: Entry | None) -> str:
        """Why it is suspended: by git, by a person's order that git does not say yet (7f), or while it goes to another daemon; empty where it is
        not."""
        if self.leaving:
            return f"it goes to shard {self.leaving}"
        if entry is not None and entry.declared.suspended:
            return entry.declared.suspended
        command = self.mirror.held_by
        return f"{command.reason}, ordered by {command.author}" if command is not None else ""

    def debts(self) -> dict[str, WriteBack]:
        """The commits that are owed to git, or were, by a name that none of them shares with another."""
        found = {run.name: run.write_back for run in self.runs if run.write_back is not None}
        found |= {debt_name(run.name, command): command.owed for run in self.runs for command in run.commands if command.owed is not None}
        return found | {debt_name("", command): command.owed for command in self.mirror.commands if command.owed is not None}

    async def store_mirror(self, store: Store) -> None:
        """What the mirror holds now, with the inventory. Raises ConflictError."""
        self.mirror.inventory = list(self.items.values())
        await store.save_mirror(self.mirror, self.shown())
        self.unsaved = False

    def shown(self) -> Shown:
        """What the mirror tells beside what is stored in it."""
        own, run, running = self.newest_own, self.open_run(), self.mirror.running
        at = next((step.name for step in run.steps if step.phase not in (Phase.PENDING, *FINAL)), "") if run is not None else ""
        return Shown(
            last_attempted_revision=own.revision if own is not None else "",
            last_applied_revision=running.revision if running is not None else "",
            step=self.gates[0].step if self.gates and run is not None else at,
            history=[_past(past) for past in self.runs[: -_TOLD - 1 : -1]],
        )

    def expect(self, digest: str, commit: str) -> None:
        """The head that is to follow the open run. One that another head took the place of is listed as skipped (6b)."""
        before = self.next_up
        if before[0] not in ("", digest):
            self.pass_by(f"commit {before[1][:12]}")
        self.next_up = (digest, commit)

    def pass_by(self, what: str) -> None:
        self.mirror.superseded, self.unsaved = [*self.mirror.superseded, what][-LISTED:], True

    def take_turn(self) -> list[str]:
        """What was passed by in a row on the way to a new run."""
        self.next_up = ("", "")
        return list(self.mirror.superseded)

    @property
    def newest(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def newest_own(self) -> Run | None:
        """The newest that is no part of another one's rollback or removal: what a person restarts or retries (6c)."""
        return next((run for run in reversed(self.runs) if not run.restores and run.kind != "undo"), None)

    def open_run(self) -> Run | None:
        """The run to drive: the newest that is not final; a restore run comes before the one that it undoes."""
        return next((run for run in reversed(self.runs) if not run.phase.final), None)

    def abandoned(self, run: Run) -> set[str]:
        """Keys of intents that nobody carries out: a leader whose time was over stored them late, with a run under a name that was still free, after
        the next leader had begun another one (3h)."""
        names = [other.name for other in self.runs]
        later = self.runs[names.index(run.name) + 1 :] if run.name in names and not run.phase.final else []
        begun = min((other.created_at for other in later if other.kind == "deploy" and other.created_at is not None), default=None)
        if begun is None:
            return set()
        return {intent.key for step in run.steps for path, intent in step.intents.items() if path not in step.results and intent.at < begun}

    def unsettled(self) -> list[Run]:
        """Final runs whose outcome is not yet in the mirror."""
        return [run for run in self.runs if run.phase.final and run.name not in self.mirror.settled]

    def used(self) -> set[str]:
        """The decisions that a kept run has used, as they are written."""
        return {decision.value for run in self.runs for decision in run.decisions}

    def record(self, name: str) -> RevisionRecord | None:
        return next((record for record in self.records if record.name == name), None)

    def short_records(self) -> list[Record]:
        """The kept revisions as the pure core wants them; `rejected` by the digest that is rejected now (7b)."""
        promoted = set(self.mirror.promoted)
        return [
            Record(
                number=record.number,
                digest=record.digest,
                promoted=record.number in promoted,
                rejected=bool(self.mirror.rejected) and record.digest == self.mirror.rejected,
                version=record.digest_version,
            )
            for record in self.records
        ]

    def running_record(self) -> RevisionRecord | None:
        return self.record(self.mirror.running.revision) if self.mirror.running else None

    def rollback_target(self, run: Run) -> str:
        """The revision that a rollback of that run goes back to (rule 7a); empty where there is none."""
        records = self.short_records()
        leaving = next((record for record in records if record.digest == run.digest), None)
        target = choose_target(records, leaving) if leaving else None
        return next((record.name for record in self.records if target and record.number == target.number), "")

    def find_run(self, name: str) -> Run | None:
        """The kept run of that name."""
        return next((run for run in self.runs if run.name == name), None)

    def put_run(self, run: Run) -> None:
        """Takes the newer version of a run, or a new run."""
        for position, other in enumerate(self.runs):
            if other.name == run.name:
                self.runs[position] = run
                return
        self.runs.append(run)

    def forget_results(self, run: Run | None) -> None:
        """Keeps the results that the run is still to take in; what is stored is known, and nobody asks for what belongs to no intent any more."""
        open_ = {intent.key for step in run.steps for path, intent in step.intents.items() if path not in step.results} if run is not None else set()
        for key in self.results.keys() - open_:
            del self.results[key]

    def fold_unsettled(self) -> None:
        """What is not in the mirror yet. A run whose rollback is in it was applied before that: it must not come on top again."""
        settled = set(self.mirror.settled)
        undone = {run.restores for run in self.runs if run.name in settled}
        for run in self.runs:
            if run.name not in settled | undone and not self.abandoned(run):
                self.fold_results(run)

    def fold_results(self, run: Run, before: Run | None = None) -> None:
        """Brings what a run applied, or intended to apply, into `items` (rules 1e, 3d); of that, what came since `before`."""
        known = {(step.key, path) for step in before.steps for path in step.results} if before is not None else set()
        for step in run.steps:
            for path, intent in step.intents.items():
                if (step.key, path) in known or (run.kind == "undo" and not is_aside(path)):  # what another run applied is in the inventory
                    continue
                result = step.results.get(path)
                value = result.value if result is not None else {}
                told = {item["ref"]: item for item in value.get("objects") or []}
                for packed in intent.refs:
                    self._fold(run, packed, told.get(packed), value, created=packed in intent.absent)
        for step in run.steps:  # what was undone was applied before that, by whichever step
            for path, result in step.results.items():
                if (step.key, path) not in known and (path.startswith(UNDO) or "uids" in result.value):
                    self._forget(result.value)

    def _forget(self, value: dict[str, Any]) -> None:
        """What an effect deleted; `uids`, where they are told: not what was made since under the same name."""
        deleted = value.get("deleted") or []
        for packed, uid in zip(deleted, value.get("uids") or [""] * len(deleted), strict=True):
            identity = ObjectRef.unpack(packed).identity
            if not uid or (identity in self.items and self.items[identity].uid == uid):
                self.items.pop(identity, None)

    def _fold(self, run: Run, packed: str, told: dict[str, Any] | None, value: dict[str, object], *, created: bool) -> None:
        identity = ObjectRef.unpack(packed).identity
        before = self.items.get(identity)
        if told is None:
            if before is None:
                self.items[identity] = InventoryItem(ref=packed, revision=run.revision)
            return
        self.items[identity] = InventoryItem(
            ref=packed,
            uid=told["uid"],
            digest=told["digest"],
            fields=told["fields"],
            revision=run.revision,
            component=str(value.get("component_id", "")),
            partition=str(value.get("partition", "")),
            content=str(value.get("content", "")),
            run=run.name if created or told.get("created") else before.run if before is not None else "",
            collect=told.get("collect", "onAppUpdate"),
            orphan=told.get("orphan", False),
            shared=told.get("shared", False),
            deletion=told.get("deletion", ""),
            ignored=told.get("ignored", False),
        )

    def living(self) -> list[ObjectRef]:
        """The objects by which its health is judged: less those that are to go, and those that are somebody else's or left alone."""
        doomed = set(self.mirror.doomed)
        return [item.object for item in self.items.values() if item.ref not in doomed and (item.fields or item.shared or not item.uid)]

    def refs(self) -> list[ObjectRef]:
        return [item.object for item in self.items.values()]


def _past(run: Run) -> Past:
    commit = run.commit.id if run.commit is not None else ""
    return Past(run.name, run.revision, run.kind, run.phase.value, run.reason, commit, run.started_at, run.finished_at)


def debt_name(run: str, command: Command) -> str:
    """Of the commit that a command owes; no effect and no run is called so."""
    return f"{run}/{command.verb}/{command.at.isoformat()}"


def applied_something(run: Run) -> bool:
    """Whether a run may have changed the cluster."""
    return any(intent.refs for step in run.steps for intent in step.intents.values())


def ended_badly(run: Run) -> bool:
    """Rule 6c: such a run is not tried again by itself."""
    return run.phase in (Phase.FAILED, Phase.ROLLED_BACK) or (run.phase is Phase.TERMINATED and run.reason != "Removed")
