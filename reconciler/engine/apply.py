"""The executor of `apply` effects: stored objects of one component, by kind and one after the other (rules 1e, 7g, 10a, 13a)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from reconciler.charts.protocol import ChartError
from reconciler.cluster.protocol import Cluster, ClusterError, Kind, KindUnknownError
from reconciler.engine.access import Claims
from reconciler.engine.applications import Application
from reconciler.engine.charting import CHART, Charting
from reconciler.engine.content import ContentError, pack
from reconciler.engine.contents import Contents
from reconciler.engine.deletion import PRECIOUS
from reconciler.engine.judging import owner_objection
from reconciler.engine.observations import Observations
from reconciler.engine.ownership import ReadOnlyMissingError, origin_of
from reconciler.engine.reach import Reach
from reconciler.engine.refusals import find_refusals, is_refusal, tell_refusals
from reconciler.engine.stages import is_first, kinds_of, until_ready
from reconciler.engine.writing import Look, Manner, Writer, decorate
from reconciler.model.application import Application as Compiled
from reconciler.model.clock import Clock
from reconciler.model.hooks import WavesError, hook_of, plan_waves
from reconciler.model.identity import GVK, AppKey, JsonObject, ObjectRef
from reconciler.model.outcome import Effect, Result
from reconciler.model.rules import Origin, Rules
from reconciler.model.run import Run
from reconciler.model.stages import in_dispatches, rank
from reconciler.model.treatment import Treatment, treatment_of
from reconciler.render.connection import connection
from reconciler.render.protocol import RenderError
from reconciler.workflow.facts import Order

_SECONDS = 60.0


class Prepared(NamedTuple):
    """What an apply effect is about to apply. `source`: where it can be read again, as an inventory item keeps it. `origins`: of each
    object, for `rules`. `connection`: how others reach it. `absent`: the objects that are not there, of a workflow that undoes what it created.
    `waves`: in how many parts the component is applied, of which this is one; `sweep`: packed refs of what goes when it `succeeded` or `failed`."""

    component: str
    source: dict[str, str]
    objects: list[JsonObject]
    refs: list[ObjectRef]
    origins: list[Origin]
    rules: Rules
    connection: dict[str, Any]
    absent: tuple[ObjectRef, ...] = ()
    waves: int = 1
    sweep: Mapping[str, list[str]] = MappingProxyType({})

    @property
    def written(self) -> list[ObjectRef]:
        """Less those that are only read."""
        return [ref for ref, origin in zip(self.refs, self.origins, strict=True) if not self.rules.only_reads(origin)]

    @property
    def shared(self) -> set[ObjectRef]:
        """Those that other applications may have as well."""
        return {ref for ref, origin in zip(self.refs, self.origins, strict=True) if self.rules.shares(origin)}


class Applier:
    """`prepare` reads and checks and changes nothing; `execute` applies. Both answer a failed Result instead of raising."""

    def __init__(
        self,
        cluster: Cluster,
        contents: Contents,
        observations: Observations,
        reach: Reach,
        claims: Claims,
        clock: Clock,
        writer: Writer,
        charting: Charting,
    ) -> None:
        self._cluster, self._contents, self._observations, self._charting = cluster, contents, observations, charting
        self._reach, self._claims, self._clock, self.writer = reach, claims, clock, writer

    async def prepare(self, app: Application, run: Run, order: Order) -> Prepared | Result:
        """Objects with our labels on them, in order. Refused before anything is stored or applied: what may not be there."""
        prepared = await self._prepare(app, run, order.effect)
        if isinstance(prepared, Result):
            self.writer.tell(app, prepared.reason)
        return prepared

    async def _prepare(self, app: Application, run: Run, effect: Effect) -> Prepared | Result:
        try:
            application = (await self._contents.get(app.key, run.revision)).application
            read = await self._read(app, run, effect)
            if isinstance(read, Result):
                return read
            prepared = await self._arrange(app, run, effect, application, *read)
        except (RenderError, WavesError) as error:
            return self._failed("RenderFailed", str(error))
        except ContentError as error:
            return self._failed("ContentLost", str(error))
        except ChartError as error:
            return self._failed("ChartUnavailable", str(error), "backoff" if error.retry else "terminal")
        except KindUnknownError as error:
            return self._failed(error.reason, str(error), retry="wait")
        refused = self._objection(app, prepared) or self._collision(app.key, prepared)
        if refused is not None:
            return refused
        if application.workflow.on_failure == "undo":
            try:
                prepared = prepared._replace(absent=tuple([ref for ref in prepared.written if await self._is_absent(app, ref)]))
            except ClusterError as error:
                return self._failed(error.reason, str(error), error.retry)
        for ref in prepared.written:
            owner = self._claims.owner(ref)
            if owner is None or not self._contents.shares_now(owner, ref):
                self._claims.claim(ref, app.key)
        return prepared

    async def _read(self, app: Application, run: Run, effect: Effect) -> tuple[list[JsonObject], str] | Result:
        """The component's objects as they are stored, or, where inputs change them, rendered anew and stored under the mark that is answered."""
        component, values = str(effect.params["component"]), effect.params.get("values") or {}
        objects = await self._contents.objects(app.key, run.revision, component)
        if not values:
            return objects, ""
        archive = self._charting.archive(app, await self._contents.get(app.key, run.revision), component)
        if archive is None:
            return self._failed("ChartAwaited", "its chart is being fetched again", retry="wait")
        objects = await self._contents.render_with(app.key, run.revision, component, values, archive)
        packed = pack({component: objects})
        await self._contents.store.save_parts(app.mirror, packed)
        return objects, packed.mark

    async def _arrange(self, app: Application, run: Run, effect: Effect, application: Compiled, objects: list[JsonObject], mark: str) -> Prepared:
        """Ours by their labels, those of this wave alone (below 0: of all together), in the order in which they are applied, less what is ignored."""
        declared, partition = application.component(str(effect.params["component"])), str(effect.params.get("partition", ""))
        decorated = decorate(objects, app.mirror.uid, app.key, run.revision, partition)
        if declared.is_built_in(CHART):
            waves = plan_waves(decorated, run.revision, first=app.running_record() is None, restore=run.kind == "restore")
        else:
            waves = in_dispatches(decorated, application.dispatches)
        wave = int(effect.params.get("wave", 0))
        waves = waves if wave >= 0 else [[obj for part in waves for obj in part]]
        decorated = waves[wave]
        decorated.sort(key=lambda obj: rank(GVK.of(obj).group, obj["kind"]))
        reached = connection(decorated)
        decorated = [obj for obj in decorated if ObjectRef.of(obj).identity in app.items or not treatment_of(obj).ignored]
        brought = kinds_of(decorated)
        refs = [await self._served(ref, brought) for ref in map(ObjectRef.of, decorated)]
        origins = [origin_of(declared, obj) for obj in decorated]
        source = {"component_id": str(effect.params["component"]), "partition": partition, "content": mark}
        sweep = _sweep(refs, decorated) if declared.is_built_in(CHART) else {}
        return Prepared(declared.name, source, decorated, refs, origins, application.rules, reached, waves=len(waves), sweep=sweep)

    def _objection(self, app: Application, prepared: Prepared) -> Result | None:
        for ref, obj in zip(prepared.refs, prepared.objects, strict=True):
            objection = owner_objection(obj) or self._reach.objection(app, ref)
            if objection:
                return self._failed("NotAllowed", f"{ref}: {objection}")
        return None

    async def _is_absent(self, app: Application, ref: ObjectRef) -> bool:
        item = app.items.get(ref.identity)
        return (item is None or not item.uid) and await self.writer.read(app, ref) is None

    async def _served(self, ref: ObjectRef, brought: dict[GVK, Kind]) -> ObjectRef:
        """As the cluster serves it, or will once the definitions of this very apply are there."""
        try:
            kind = await self._cluster.kind(ref.gvk)
        except KindUnknownError:
            if ref.gvk not in brought:
                raise
            kind = brought[ref.gvk]
        namespace = ref.namespace if kind.namespaced else ""
        return ObjectRef(kind.served.api_version, ref.kind, namespace, ref.name)

    def _collision(self, key: AppKey, prepared: Prepared) -> Result | None:
        """An object that another living application declares is an error that names it (1e), unless both say that they share it."""
        shared = prepared.shared
        for ref in prepared.written:
            owner = self._claims.owner(ref)
            if owner is None or owner == key:
                continue
            declares = self._contents.declares_now(owner, ref)
            if declares is None:
                return self._failed("OwnerUnsettled", f"{ref} belongs to {owner}, which is not looked at yet", retry="wait")
            if declares and not (ref in shared and self._contents.shares_now(owner, ref)):
                return self._failed("OwnedByOther", f"{ref} is declared by {owner} too, and not both say that they share it")
        return None

    async def execute(self, app: Application, prepared: Prepared) -> Result:
        """
        Looks at all objects, then applies what differs, in order; the first failure ends it, and what was applied before is in the result.

        Where the cluster refused an object before, all are tried by a dry run first: then nothing is written unless all may be (10a).
        """
        done: list[dict[str, Any]] = []
        looks: list[Look | None] = []
        value: dict[str, Any] = {"component": prepared.component, **prepared.source, "objects": done}
        now, total, at = self._clock.now, len(prepared.refs), prepared.refs[:1]
        try:
            async with asyncio.timeout(_SECONDS):
                for ref, obj, origin in zip(prepared.refs, prepared.objects, prepared.origins, strict=True):
                    at = [ref]
                    looks.append(await self._look(app, ref, obj, prepared.rules, origin))
                refused = await find_refusals(self.writer, app, looks) if prepared.component in app.doubted else []
                if refused:
                    self.writer.tell(app, refused[0][1].reason)
                    first = refused[0][1]
                    return Result(value, tell_refusals(refused, 0, total)[:1024], first.reason, first.retry, now())
                await self._write(app, prepared, looks, done, at)
        except ClusterError as error:
            refused = [(at[0], error)]
            if is_refusal(error):
                app.doubted.add(prepared.component)
                refused += await find_refusals(self.writer, app, looks[len(done) + 1 :])
            return Result(value, tell_refusals(refused, len(done), total)[:1024], error.reason, error.retry, now())
        except TimeoutError:
            self.writer.tell(app, "Timeout")
            return Result(value, f"{at[0]}: no answer in {_SECONDS:.0f} s", "Timeout", "backoff", now())
        app.doubted.discard(prepared.component)
        value["connection"] = prepared.connection
        if prepared.waves > 1:
            value["waves"] = prepared.waves
        if prepared.sweep:
            value["sweep"] = prepared.sweep
        return Result(value=value, at=now())

    async def _write(self, app: Application, prepared: Prepared, looks: list[Look | None], done: list[dict[str, Any]], at: list[ObjectRef]) -> None:
        """`done` and `at` tell how far it came, whatever is raised."""
        unready: list[ObjectRef] = []
        for ref, obj, origin, look in zip(prepared.refs, prepared.objects, prepared.origins, looks, strict=True):
            at[:] = [ref]
            if unready and not is_first(ref):
                await until_ready(self._reach.of(app), self._clock, unready)
                unready = []
            done.append(await self._execute_one(app, ref, look) | _kept(prepared.rules, origin, treatment_of(obj)))
            if is_first(ref) and look is not None and look.told is None:
                unready.append(ref)

    async def _look(self, app: Application, ref: ObjectRef, obj: JsonObject, rules: Rules, origin: Origin) -> Look | None:
        """None for an object that is only read, when its turn comes: what stands before it may bring it about."""
        if rules.only_reads(origin):
            return None
        treatment, item = treatment_of(obj), app.items.get(ref.identity)
        if treatment.ignored:
            return Look(ref, "", obj, {"ref": ref.pack(), "uid": item.uid if item is not None else "", "digest": "", "fields": ""})
        takes_over = app.lost or rules.takes_over(origin)  # what is lost passed a gate of its own (3f)
        manner = Manner(app.lost, True, rules.drifts(origin).update, rules.adopts, takes_over, rules.shares(origin), treatment)
        return await self.writer.look(app, ref, obj, manner)

    async def _execute_one(self, app: Application, ref: ObjectRef, look: Look | None) -> dict[str, Any]:
        if look is None:
            live = await self.writer.read(app, ref)
            if live is None:
                raise ReadOnlyMissingError("it is only read and never made (policy read-only), and it is not there")
            return {"ref": ref.pack(), "uid": self._observations.note(live).uid, "digest": "", "fields": ""}
        return await self.writer.write(app, look)

    def _failed(self, reason: str, message: str, retry: str = "terminal") -> Result:
        return msgspec.convert({"error": message[:1024], "reason": reason, "retry": retry, "at": self._clock.now()}, Result)


def _sweep(refs: list[ObjectRef], objects: list[JsonObject]) -> dict[str, list[str]]:
    """The hooks that go when their wave came to an end so, by their own word; never what needs an approval to go (rule 1d)."""
    found: dict[str, list[str]] = {}
    for ref, obj in zip(refs, objects, strict=True):
        hook = hook_of(obj)
        if hook is None or ref.kind in PRECIOUS or treatment_of(obj).stays:
            continue
        for end in ("succeeded", "failed"):
            if f"hook-{end}" in hook.policies:
                found.setdefault(end, []).append(ref.pack())
    return found


def _kept(rules: Rules, origin: Origin, treatment: Treatment) -> dict[str, Any]:
    """What an inventory item keeps of the rules, and of the object's own word, for when it is not declared any more."""
    if rules.only_reads(origin):
        return {}
    rule = rules.collects(origin)
    collect = "never" if treatment.stays else rule.strategy
    found = {"shared": rules.shares(origin), "orphan": rule.orphan, "ignored": treatment.ignored, "deletion": treatment.deletion}
    return {name: value for name, value in found.items() if value} | ({"collect": collect} if collect != "onAppUpdate" else {})
