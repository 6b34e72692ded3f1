"""The executor of `apply` effects: stored objects of one component, one after the other, server-side (rules 1e, 7g, 10a, 13a)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from reconciler.cluster.protocol import Cluster, ClusterError, ImmutableError, KindUnknownError, NamespaceMissingError, NotFoundError
from reconciler.engine.access import Access, Claims
from reconciler.engine.applications import Application
from reconciler.engine.content import ContentError, pack
from reconciler.engine.contents import Contents
from reconciler.engine.deletion import renew
from reconciler.engine.namespaces import Namespaces
from reconciler.engine.observations import Observations, app_labels
from reconciler.engine.ownership import NotOursError, ReadOnlyMissingError, have_back, objection, origin_of
from reconciler.model.canonical import digest
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_REVISION, FIELD_MANAGER, LABEL_UID
from reconciler.model.outcome import Effect, Result
from reconciler.model.rules import Origin, Rules
from reconciler.model.run import Run
from reconciler.render.connection import connection
from reconciler.render.drift import with_live
from reconciler.render.partition import with_partition
from reconciler.render.protocol import RenderError
from reconciler.workflow.facts import Order

_SECONDS = 60.0
_JOB = ("batch", "Job")
_NOT_APPLIED = {
    **dict.fromkeys(("Conflict", "FieldConflict", "OwnedByOther", "NotOurs"), "conflict"),
    **dict.fromkeys(("NotAllowed", "Forbidden", "Invalid", "Immutable"), "refused"),
}


class Prepared(NamedTuple):
    """What an apply effect is about to apply. `source`: where it can be read again, as an inventory item keeps it. `origins`: of each
    object, for `rules`. `absent`: the objects that are not there, of a workflow that undoes what it created."""

    component: str
    source: dict[str, str]
    objects: list[JsonObject]
    refs: list[ObjectRef]
    origins: list[Origin]
    rules: Rules
    absent: tuple[ObjectRef, ...] = ()

    @property
    def written(self) -> list[ObjectRef]:
        """Less those that are only read."""
        return [ref for ref, origin in zip(self.refs, self.origins, strict=True) if not self.rules.only_reads(origin)]

    @property
    def shared(self) -> set[ObjectRef]:
        """Those that other applications may have as well."""
        return {ref for ref, origin in zip(self.refs, self.origins, strict=True) if self.rules.shares(origin)}


class Manner(NamedTuple):
    """
    How one object is applied. `always`: also where nothing seems to differ. `anew`: a Job whose template differs, or that has
    failed, is made anew, so that it runs again. `kept`: paths that stay as they live; `*`: an object that is there and ours is not
    written at all. `adopts`: whether what belongs to nobody may be taken; `takes_over`: whatever it belongs to.
    `shared`: another application that shares it may be the one that writes it.
    """

    always: bool = False
    anew: bool = False
    kept: Sequence[str] = ()
    adopts: bool = False
    takes_over: bool = False
    shared: bool = False


class Applier:
    """`prepare` reads and checks and changes nothing; `execute` applies. Both answer a failed Result instead of raising."""

    def __init__(
        self,
        cluster: Cluster,
        contents: Contents,
        observations: Observations,
        access: Access,
        claims: Claims,
        namespaces: Namespaces,
        clock: Clock,
        sink: Sink,
        owner_of: Callable[[str], AppKey | None],
    ) -> None:
        self._cluster, self._contents, self._observations = cluster, contents, observations
        self._access, self._claims, self._namespaces, self._clock, self._sink = access, claims, namespaces, clock, sink
        self._owner_of = owner_of

    async def prepare(self, app: Application, run: Run, order: Order) -> Prepared | Result:
        """Objects with our labels on them, in order. Refused before anything is stored or applied: what may not be there."""
        prepared = await self._prepare(app, run, order.effect)
        if isinstance(prepared, Result):
            self._tell(app, _NOT_APPLIED.get(prepared.reason, "failed"))
        return prepared

    async def _prepare(self, app: Application, run: Run, effect: Effect) -> Prepared | Result:
        component = str(effect.params["component"])
        partition = str(effect.params.get("partition", ""))
        values: dict[str, Any] = effect.params.get("values") or {}
        source = {"component_id": component, "partition": partition, "content": ""}
        try:
            objects = await self._contents.objects(app.key, run.revision, component)
            if values:
                objects = await self._contents.render_with(app.key, run.revision, component, values)
                packed = pack({component: objects})
                await self._contents.store.save_parts(app.mirror, packed)
                source["content"] = packed.mark
            decorated = decorate(objects, app.mirror.uid, app.key, run.revision, partition)
            refs = [await self._served(ref) for ref in map(ObjectRef.of, decorated)]
        except RenderError as error:
            return self._failed("RenderFailed", str(error))
        except ContentError as error:
            return self._failed("ContentLost", str(error))
        except KindUnknownError as error:
            return self._failed(error.reason, str(error), retry="wait")
        for ref in refs:
            objection = self.objection(app, ref)
            if objection:
                return self._failed("NotAllowed", f"{ref}: {objection}")
        application = (await self._contents.get(app.key, run.revision)).application
        declared = application.component(component)
        prepared = Prepared(declared.name, source, decorated, refs, [origin_of(declared, obj) for obj in decorated], application.rules)
        collision = self._collision(app.key, prepared)
        if collision is not None:
            return collision
        if application.workflow.on_failure == "undo":
            try:
                prepared = prepared._replace(absent=tuple([ref for ref in prepared.written if await self._is_absent(app, ref)]))
            except ClusterError as error:
                return self._failed(error.reason, f"{error}", error.retry)
        for ref in prepared.written:
            owner = self._claims.owner(ref)
            if owner is None or not self._contents.shares_now(owner, ref):
                self._claims.claim(ref, app.key)
        return prepared

    def objection(self, app: Application, ref: ObjectRef) -> str:
        """Why the application may not have that object now; empty when it may (13a)."""
        return self._access.objection(app.mirror.path, ref)

    async def _is_absent(self, app: Application, ref: ObjectRef) -> bool:
        item = app.items.get(ref.identity)
        return (item is None or not item.uid) and await self._read(ref) is None

    async def _served(self, ref: ObjectRef) -> ObjectRef:
        kind = await self._cluster.kind(ref.gvk)
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
        """Applies what differs, in order; the first failure ends it, and what was applied before is in the result."""
        done: list[dict[str, Any]] = []
        value: dict[str, Any] = {"component": prepared.component, **prepared.source, "objects": done}
        ref = None
        try:
            async with asyncio.timeout(_SECONDS):
                for ref, obj, origin in zip(prepared.refs, prepared.objects, prepared.origins, strict=True):
                    done.append(await self._execute_one(app, ref, obj, prepared.rules, origin))
        except ClusterError as error:
            return Result(value=value, error=f"{ref}: {error}"[:1024], reason=error.reason, retry=error.retry, at=self._clock.now())
        except TimeoutError:
            self._tell(app, "failed")
            return Result(value=value, error=f"{ref}: no answer in {_SECONDS:.0f} s", reason="Timeout", retry="backoff", at=self._clock.now())
        value["connection"] = connection(prepared.objects)
        return Result(value=value, at=self._clock.now())

    async def _execute_one(self, app: Application, ref: ObjectRef, obj: JsonObject, rules: Rules, origin: Origin) -> dict[str, Any]:
        if rules.only_reads(origin):
            live = await self._read(ref)
            if live is None:
                raise ReadOnlyMissingError("it is only read and never made (policy read-only), and it is not there")
            return {"ref": ref.pack(), "uid": self._observations.note(live).uid, "digest": "", "fields": ""}
        takes_over = app.lost or rules.takes_over(origin)  # what is lost passed a gate of its own (3f)
        manner = Manner(app.lost, True, rules.drifts(origin).update, rules.adopts, takes_over, rules.shares(origin))
        told = await self.apply_one(app, ref, obj, manner)
        return told | ({"shared": True} if manner.shared else {}) | _collected(rules, origin)

    async def apply_one(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> dict[str, Any]:
        """One object; nothing is sent when the stored digest and our managedFields entry say that nothing differs (10a). Told as an
        event, whatever comes of it. Raises ClusterError."""
        before = self._observations.get(ref)
        try:
            told = await self._leave(app, ref, obj, manner)
            if told is None:
                told = await self._apply(app, ref, obj, manner)
        except ClusterError as error:
            self._tell(app, _NOT_APPLIED.get(error.reason, "failed"))
            raise
        after = self._observations.get(ref)
        same = before is not None and after is not None and before.version == after.version
        self._tell(app, "unchanged" if same else "created" if "created" in told else "changed")
        return told

    async def _leave(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> dict[str, Any] | None:
        """What is told of an object that stays as it lives: one of ours that may drift, or a shared one that another application
        writes, of which no fields are ours; None for all others."""
        live = await self._read(ref) if manner.shared or "*" in manner.kept else None
        if live is None:
            return None
        owner = (live["metadata"].get("labels") or {}).get(LABEL_UID, "")
        ours = owner == app.mirror.uid
        if not (ours and "*" in manner.kept) and not (manner.shared and not ours and self.is_shared_by(owner, ref)):
            return None
        observed = self._observations.note(live)
        return {"ref": ref.pack(), "uid": observed.uid, "digest": content_digest(obj), "fields": observed.fields if ours else ""}

    def is_shared_by(self, owner: str, ref: ObjectRef) -> bool:
        """Whether the application of that uid shares the object now, or may: in doubt it is left to it."""
        key = self._owner_of(owner)
        return key is not None and self._contents.shares_now(key, ref) is not False

    async def _apply(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> dict[str, Any]:
        mark = content_digest(obj)
        item, seen = app.items.get(ref.identity), self._observations.get(ref)
        uid = item.uid if item is not None and manner.anew and (ref.group, ref.kind) == _JOB else ""
        failed = bool(uid) and seen is not None and seen.failed
        if (
            not manner.always
            and not failed
            and item is not None
            and seen is not None
            and item.digest == mark
            and item.fields == seen.fields
            and seen.owner == app.mirror.uid
        ):
            return {"ref": ref.pack(), "uid": seen.uid, "digest": mark, "fields": seen.fields}
        new = (item is None or not item.uid) and (seen is None or seen.owner != app.mirror.uid)
        there = await self._read(ref) if new or manner.kept else None
        if new and there is not None:
            await self._adopt(app, there, manner)
        sent = {**obj, "apiVersion": ref.api_version}
        sent = with_live(sent, there, manner.kept) if there is not None else sent
        try:
            live = await self._renew(app, ref, sent, uid) if failed else await self._send(app, ref, sent)
        except ImmutableError:
            if not uid:
                raise
            live = await self._renew(app, ref, sent, uid)
        observed = self._observations.note(live)
        told: dict[str, Any] = {"ref": ref.pack(), "uid": observed.uid, "digest": mark, "fields": observed.fields}
        return told | {"created": True} if new and there is None else told

    async def _adopt(self, app: Application, live: JsonObject, manner: Manner) -> None:
        """Raises NotOursError for an object that the application may not have."""
        why = "" if manner.takes_over else objection(live, app.key, self._owner_of, adopts=manner.adopts)
        if why:
            raise NotOursError(why)
        await have_back(self._cluster, live)

    async def _send(self, app: Application, ref: ObjectRef, obj: JsonObject) -> JsonObject:
        try:
            return await self._cluster.apply(obj, FIELD_MANAGER, force=True)
        except NamespaceMissingError:
            if not await self._namespaces.create(app, ref.namespace):
                raise
            return await self._cluster.apply(obj, FIELD_MANAGER, force=True)

    async def _renew(self, app: Application, ref: ObjectRef, obj: JsonObject, uid: str) -> JsonObject:
        return await renew(self._cluster, self._clock, ref, obj, uid, app.mirror.uid)

    async def _read(self, ref: ObjectRef) -> JsonObject | None:
        try:
            return await self._cluster.get(ref)
        except NotFoundError:
            return None

    def _tell(self, app: Application, result: str) -> None:
        self._sink.emit(Event("apply", app.key, {"result": result}))

    def _failed(self, reason: str, message: str, retry: str = "terminal") -> Result:
        return msgspec.convert({"error": message[:1024], "reason": reason, "retry": retry, "at": self._clock.now()}, Result)


def _collected(rules: Rules, origin: Origin) -> dict[str, Any]:
    """What an inventory item keeps of the rules of garbage collection."""
    rule = rules.collects(origin)
    return {"collect": rule.strategy, "orphan": rule.orphan} if rule.strategy != "onAppUpdate" or rule.orphan else {}


def decorate(objects: list[JsonObject], uid: str, key: AppKey, revision: str, partition: str) -> list[JsonObject]:
    """Copies with our owner labels, the revision they were made by, and the partition. Raises RenderError."""
    if partition:
        objects = with_partition(objects, int(partition) if partition.isdigit() else partition)
    labels = app_labels(key, uid)
    decorated = []
    for obj in objects:
        meta = dict(obj["metadata"])
        meta["labels"] = {**(meta.get("labels") or {}), **labels}
        meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION_REVISION: revision}
        decorated.append({**obj, "metadata": meta})
    return decorated


def content_digest(obj: JsonObject) -> str:
    """The digest of an object as we apply it, without the revision that it names: an object that stays the same stays untouched."""
    meta = dict(obj["metadata"])
    meta["annotations"] = {name: value for name, value in meta["annotations"].items() if name != ANNOTATION_REVISION}
    meta["labels"] = {name: value for name, value in meta["labels"].items() if name != LABEL_UID}
    return digest({**obj, "metadata": meta})[:32]
