"""Commands of persons, taken in by the turn of the application that they are about: stored first, then answered (rules 3d, 7f, 13d)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from reconciler.engine.applications import Application, applied_something, debt_name
from reconciler.engine.context import Context
from reconciler.engine.index import Entry
from reconciler.engine.writeback import settle_debt
from reconciler.gates.decisions import gate_code
from reconciler.model.command import Commanded, CommandResult, Wish
from reconciler.model.event import Event
from reconciler.model.identity import AppKey
from reconciler.model.names import GATE_PREFIX, RUN_GATE, SHARD, SUSPEND
from reconciler.model.run import Command, Run, WriteBack
from reconciler.model.text import one_line
from reconciler.workflow.commands import Needless, NoStep, Refused, find_step, obey
from reconciler.workflow.explain import explain

_KEPT = 20
_WAITING = 100
_SOON = 0.2


class LaterError(Exception):
    """It can't be said yet: something has to end first, which brings another turn."""


class Asked(NamedTuple):
    wish: Wish
    answer: asyncio.Future[Commanded]


class Said(NamedTuple):
    """What was done: a clause, the run that it was about, the key of the step, and the commit that is owed for it."""

    text: str
    run: str = ""
    step: str = ""
    owed: WriteBack | None = None


class Commander:
    """`turn`: gives a key its turn at once, whatever it is held back for."""

    def __init__(self, context: Context, turn: Callable[[AppKey], None]) -> None:
        self._context, self._turn = context, turn
        self._asked: dict[AppKey, list[Asked]] = {}
        self._taken: dict[AppKey, list[tuple[Asked, CommandResult, Said]]] = {}

    async def command(self, key: AppKey, wish: Wish, seconds: float) -> Commanded | None:
        """As `model.command.Commands` promises. Commands for one application are taken in the order in which they came."""
        if key not in self._context.apps:
            return None
        waiting = self._asked.setdefault(key, [])
        if len(waiting) >= _WAITING:
            return Commanded(key.name, key.namespace, wish.verb, "Refused", f"{_WAITING} commands for {key} wait already.")
        asked = Asked(wish, asyncio.get_running_loop().create_future())
        waiting.append(asked)
        self._turn(key)
        await asyncio.wait({asked.answer}, timeout=seconds)
        if asked.answer.done():
            return asked.answer.result()
        missed = f"{wish.verb} of {key} was not taken in within {seconds:g} s; it will be, unless the daemon ends."
        return Commanded(key.name, key.namespace, wish.verb, "TimedOut", missed)

    # In the key's own turn ------------------------------------------------------------------------------------------------

    async def take(self, app: Application, entry: Entry | None) -> None:
        """Stores what was ordered. What fails on the way stays asked for: the turn is repeated with state read anew."""
        await self._let_go(app, entry)
        waiting = self._asked.get(app.key, [])
        while waiting:
            asked = waiting[0]
            try:
                said = await self._obey(app, entry, asked.wish)
                result: CommandResult = "Done"
            except LaterError:
                return
            except Needless as error:
                said, result = Said(str(error)), "Unchanged"
            except NoStep as error:
                said, result = Said(str(error)), "NotFound"
            except Refused as error:
                said, result = Said(str(error)), "Refused"
            waiting.pop(0)
            self._taken.setdefault(app.key, []).append((asked, result, said))
            fields = {"verb": asked.wish.verb, "result": result, "run": said.run, "step": said.step, "author": one_line(asked.wish.author)}
            self._context.sink.emit(Event("command", app.key, fields))
        self._asked.pop(app.key, None)

    def tell(self, key: AppKey) -> None:
        """Answers, at the end of the turn, with where the application stands then."""
        app = self._context.apps.get(key)
        for asked, result, said in self._taken.pop(key, ()):
            text = said.text
            if result == "Done" and app is not None and app.status is not None:
                text = f"{text}; {explain(app.status, self._context.clock.now()).sentence.rstrip('.')}"
            owed = said.owed
            line = f'{owed.annotation}: "{owed.value}"' if owed is not None and owed.annotation else ""
            answer = Commanded(key.name, key.namespace, asked.wish.verb, result, f"{one_line(text, 4096)}.", said.run, said.step, line)
            if not asked.answer.done():
                asked.answer.set_result(answer)

    def drop(self, key: AppKey) -> None:
        """There is no such application any more."""
        for asked in self._asked.pop(key, []):
            if not asked.answer.done():
                asked.answer.set_result(Commanded(key.name, key.namespace, asked.wish.verb, "NotFound", f"{key} is removed."))

    def turn_away(self, key: AppKey) -> None:
        """Another daemon acts for it now."""
        for asked in self._asked.pop(key, []):
            if not asked.answer.done():
                said = f"{key} went to another daemon, by its label {SHARD}; ask there."
                asked.answer.set_result(Commanded(key.name, key.namespace, asked.wish.verb, "Refused", said))

    async def _let_go(self, app: Application, entry: Entry | None) -> None:
        """Once git says that it is suspended, or said so since the owed commit landed, git alone says it (7f)."""
        held, head = app.mirror.held_by, self._context.index.head
        if held is None or head is None or entry is None or not entry.valid:
            return
        landed = held.owed is not None and held.owed.state == "Landed" and head.id != held.owed.expected
        if SUSPEND in entry.declared.annotations or landed:
            app.mirror.hold = False
            await app.store_mirror(self._context.store)

    async def _obey(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        if app.mirror.removal is not None and wish.verb != "terminate":
            raise Refused(f"{app.key} is not declared any more")
        match wish.verb:
            case "suspend" if not wish.step:
                return await self._suspend(app, entry, wish)
            case "resume" if not wish.step:
                return await self._resume(app, entry, wish)
            case "restart" if not wish.step:
                return await self._restart(app, entry, wish)
            case "restart" | "retry":
                return await self._begin_again(app, entry, wish)
            case "terminate":
                return await self._terminate(app, entry, wish)
            case "rollback":
                return await self._roll_back(app, entry, wish)
            case _:
                run = app.open_run()
                if run is None:
                    raise Refused(f"{app.key} has no run that goes on")
                stored = await self._order(app, run, wish)
                step = find_step(run, wish.step)
                return Said(f"step {step.name} of {stored.name} {'stands still' if wish.verb == 'suspend' else 'goes on'}", stored.name, step.key)

    # The application ------------------------------------------------------------------------------------------------------

    async def _suspend(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        if app.suspended(entry):
            raise Needless(f"{app.key} is suspended already ({app.suspended(entry)})")
        title = f"Suspend {app.key}: {one_line(wish.reason)}"
        digest = entry.declared.digest if entry is not None else ""
        command = self._command(app, wish, owed=self._owe(digest, SUSPEND, one_line(wish.reason, 1024), title, wish))
        app.mirror.hold = True
        await self._note(app, command)
        return Said(f"{app.key} is suspended, and the commit that says so in git is owed", "", "", command.owed)

    async def _resume(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        held = app.mirror.held_by
        if held is not None:
            held = await self._land(app, held)
        if held is not None and (held.owed is None or held.owed.state != "Landed"):
            app.mirror.hold = False
            free = msgspec.structs.replace(held, owed=None)
            app.mirror.commands = [free if command is held else command for command in app.mirror.commands]
            await self._note(app, self._command(app, wish))
            return Said(f"{app.key} goes on, and no commit is owed for its suspension any more")
        if app.suspended(entry):
            raise Refused(f"git says that {app.key} is suspended ({app.suspended(entry)}): `reconciler resume {app.key} --push` makes the commit")
        run = app.open_run()
        if run is None or not any(step.suspended_at for step in run.steps):
            raise Needless(f"nothing of {app.key} is suspended")
        stored = await self._order(app, run, wish)
        return Said(f"the suspended steps of {stored.name} go on", stored.name)

    async def _land(self, app: Application, held: Command) -> Command | None:
        """A commit that is being pushed is waited for: either it is in git then, or it never will be. One that is only being made is not."""
        name = debt_name("", held)
        task = app.tasks.get(name)
        if task is not None and held.owed is not None and held.owed.state == "Built":
            self._context.hint_after(app.key, _SOON)
            raise LaterError
        if task is not None:
            task.cancel()
        if name in app.write_backs:
            await settle_debt(self._context, app, name, app.write_backs.pop(name))
        return app.mirror.held_by

    async def _restart(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        run = self._again(app, entry)
        if app.mirror.restart == run.name:
            raise Needless(f"{run.name} is being restarted already")
        if app.suspended(entry):
            raise Refused(f"{app.key} is suspended ({app.suspended(entry)}): nothing new runs")
        if run.phase.final:
            await self._forgive(app, run)
        elif (opened := app.open_run()) is not None:
            with suppress(Needless):  # it may be ending already
                await self._order(app, opened, msgspec.structs.replace(wish, verb="terminate"), self._item(app, opened, "end")[0])
        mirror = app.mirror
        mirror.restart, mirror.rejected, mirror.held = run.name, "", ""
        await self._note(app, self._command(app, wish, run))
        return Said(f"{run.revision} is run once more, from the beginning", run.name)

    # Its run --------------------------------------------------------------------------------------------------------------

    async def _begin_again(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        """The mirror first: a run that is in it as settled would never be settled again after it was opened."""
        run = self._again(app, entry)
        workflow = await self._context.contents.workflow(app.key, run.revision)
        command = self._command(app, wish, run)
        obey(run, workflow, command, "", self._now())  # refused before anything is written
        await self._reopen(app, run)
        if run.phase.final:
            await self._forgive(app, run)
            run = next(other for other in app.runs if other.name == run.name)
        stored = await self._context.store.save(app.mirror, obey(run, workflow, command, "", self._now()))
        app.put_run(stored)
        again = f"step {command.step} of {run.name} and what comes behind it begin again" if command.step else f"all steps of {run.name} begin again"
        return Said(again, run.name, command.step)

    async def _terminate(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        run = app.open_run()
        if run is None:
            newest = app.newest
            raise Needless(f"{newest.name} has ended already ({newest.phase.value})" if newest is not None else f"{app.key} has no run")
        value, code = self._item(app, run, "end")
        owed = None
        if not run.restores and run.kind != "undo" and entry is not None and not entry.missing:
            title = f"End {run.name} of {app.key}: {one_line(wish.reason)}"
            owed = self._owe(run.digest, f"{GATE_PREFIX}{RUN_GATE}", f"end@{code}", title, wish)
        stored = await self._order(app, run, wish, value, owed)
        return Said(f"{stored.name} is being ended", stored.name, "", owed)

    async def _roll_back(self, app: Application, entry: Entry | None, wish: Wish) -> Said:
        run = app.newest_own
        if run is None or entry is None or entry.missing:
            raise Refused(f"{app.key} has no run that could be rolled back")
        value, _ = self._item(app, run, "rollback")
        workflow = await self._context.contents.workflow_if_kept(app.key, run.revision)
        obey(run, workflow, self._command(app, wish, run), value, self._now())  # refused before anything is written
        if workflow.on_failure != "undo" and not app.rollback_target(run):
            raise Refused(f"there is no promoted revision of {app.key} to go back to; terminate ends {run.name}, and what is applied stays")
        await self._reopen(app, run)
        stored = await self._order(app, run, wish, value)
        return Said(f"{stored.name} is being rolled back", stored.name)

    async def _order(self, app: Application, run: Run, wish: Wish, value: str = "", owed: WriteBack | None = None) -> Run:
        """Writes the command into the run, by compare-and-swap. Nothing that is lost keeps it from being obeyed."""
        workflow = await self._context.contents.workflow_if_kept(app.key, run.revision)
        new = obey(run, workflow, self._command(app, wish, run, owed), value, self._now())
        stored = await self._context.store.save(app.mirror, new)
        app.put_run(stored)
        return stored

    def _again(self, app: Application, entry: Entry | None) -> Run:
        """The run that may be done again: the newest, of what git declares (6c). Raises Refused."""
        run = app.newest_own
        if run is None:
            raise Refused(f"{app.key} has no run yet")
        if entry is None or not entry.valid:
            raise Refused("what git declares is not known, or has errors")
        if entry.declared.digest != run.digest:
            raise Refused(f"git does not declare {run.revision} any more: what it declares now is taken by itself, or held for its own run")
        return run

    async def _reopen(self, app: Application, run: Run) -> None:
        """Takes the outcome of a run that had ended out of the mirror; it holds nothing back any more (6c)."""
        if not run.phase.final:
            return
        mirror = app.mirror
        mirror.settled = [name for name in mirror.settled if name != run.name]
        mirror.dirty |= applied_something(run)
        mirror.held = mirror.rejected = mirror.restart = ""
        await app.store_mirror(self._context.store)

    async def _forgive(self, app: Application, run: Run) -> None:
        """What the run still owed to git for how it ended is owed no more: it begins again."""
        for name, owed in app.debts().items():
            if name.partition("/")[0] == run.name and owed.state in ("Owed", "Built", "Differs"):
                await settle_debt(self._context, app, name, msgspec.structs.replace(owed, state="Dropped", reason="", message=""))

    # Words ----------------------------------------------------------------------------------------------------------------

    def _command(self, app: Application, wish: Wish, run: Run | None = None, owed: WriteBack | None = None) -> Command:
        """No two of one application bear the same moment, so that it tells them apart."""
        at, known = self._now(), {command.at for other in app.runs for command in other.commands} | {command.at for command in app.mirror.commands}
        while at in known:
            at += timedelta(microseconds=1)
        step = find_step(run, wish.step).key if run is not None and wish.step else ""
        return Command(wish.verb, at, one_line(wish.author), one_line(wish.reason, 1024), run.name if run is not None else "", step, owed)

    def _owe(self, digest: str, annotation: str, value: str, title: str, wish: Wish) -> WriteBack:
        return WriteBack(rejected=digest, annotation=annotation, value=value, title=title, author=one_line(wish.author), at=self._now())

    def _item(self, app: Application, run: Run, verb: str) -> tuple[str, str]:
        """The decision as git would say it, and its code: what stands there later has been used (4c)."""
        code = gate_code(self._context.cluster_id, app.key, run.digest, run.uid, RUN_GATE, run.round)
        return f"{RUN_GATE}={verb}@{code}", code

    async def _note(self, app: Application, command: Command) -> None:
        """Keeps it in the mirror. Of those before, the ones that owe something stay whatever their number."""
        commands = app.mirror.commands
        owing = [other for other in commands[:-_KEPT] if other.owed is not None and other.owed.state in ("Owed", "Built", "Differs")]
        app.mirror.commands = [*owing, *commands[-_KEPT:], command]
        await app.store_mirror(self._context.store)

    def _now(self) -> datetime:
        return self._context.clock.now()
