"""One object as an application declares it: looked at first, then written, and only where something differs (rules 1e, 7g, 10a)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, NamedTuple

from reconciler.cluster.managers import taken_over
from reconciler.cluster.protocol import ClusterError, ConflictError, ImmutableError, KindUnknownError, NamespaceMissingError, NotFoundError
from reconciler.engine.applications import Application
from reconciler.engine.contents import Contents
from reconciler.engine.deletion import PRECIOUS, renew
from reconciler.engine.namespaces import Namespaces
from reconciler.engine.observations import Observations, app_labels
from reconciler.engine.ownership import NotOursError, have_back, objection
from reconciler.engine.reach import Reach
from reconciler.model.canonical import digest
from reconciler.model.clock import Clock
from reconciler.model.event import Event, Sink
from reconciler.model.hooks import is_hook_pod, runs_again
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_REVISION, FIELD_MANAGER, LABEL_UID
from reconciler.model.pointers import parse_pointer, without_pointer
from reconciler.model.treatment import Treatment, treatment_of
from reconciler.render.drift import with_live
from reconciler.render.partition import with_partition

_JOB = ("batch", "Job")
_RACES = 5
_NOT_APPLIED = {
    **dict.fromkeys(("Conflict", "FieldConflict", "OwnedByOther", "NotOurs"), "conflict"),
    **dict.fromkeys(("NotAllowed", "Forbidden", "Invalid", "Immutable"), "refused"),
}


class Manner(NamedTuple):
    """
    How one object is applied. `always`: also where nothing seems to differ. `anew`: a Job whose template differs, or that has
    failed, is made anew, so that it runs again, and so is a Pod that is a hook. `kept`: paths that stay as they live; `*`: an object
    that is there and ours is not written at all. `adopts`: whether what belongs to nobody may be taken; `takes_over`: whatever it belongs to.
    `shared`: another application that shares it may be the one that writes it. `treatment`: what the object itself says.
    """

    always: bool = False
    anew: bool = False
    kept: Sequence[str] = ()
    adopts: bool = False
    takes_over: bool = False
    shared: bool = False
    treatment: Treatment = Treatment()


class Look(NamedTuple):
    """
    What is to be done with one object. `told`: what an inventory item keeps of one that stays as it lives; None where `sent` is to be
    applied. `live`: the object as it was read, where it had to be. `new`: it is not in the inventory. `uid`: of a Job that may be made
    anew, `anew` where it must be.
    """

    ref: ObjectRef
    mark: str
    sent: JsonObject
    told: dict[str, Any] | None = None
    live: JsonObject | None = None
    new: bool = False
    uid: str = ""
    anew: bool = False


class Writer:
    """Raises ClusterError. What became of each object is told as an event. `managers`: those whose fields become ours when an object is applied."""

    def __init__(
        self,
        reach: Reach,
        contents: Contents,
        observations: Observations,
        namespaces: Namespaces,
        clock: Clock,
        sink: Sink,
        owner_of: Callable[[str], AppKey | None],
        settle: Callable[[JsonObject, ObjectRef], Awaitable[None]],
        managers: Collection[str] = (),
    ) -> None:
        self._reach, self._contents, self._observations = reach, contents, observations
        self._namespaces, self._clock, self._sink, self._owner_of, self._settle = namespaces, clock, sink, owner_of, settle
        self._managers = managers

    async def apply(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> dict[str, Any]:
        return await self.write(app, await self.look(app, ref, obj, manner))

    async def look(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> Look:
        """Reads what has to be known of the object, and changes nothing. Nothing is to be sent when the stored digest and our managedFields
        entry say that nothing differs (10a)."""
        try:
            return await self._look(app, ref, obj, manner)
        except ClusterError as error:
            self.tell(app, error.reason)
            raise

    async def write(self, app: Application, look: Look) -> dict[str, Any]:
        """What an inventory item keeps of the object; `created` where this made it."""
        before = self._observations.get(look.ref)
        try:
            told = look.told if look.told is not None else await self._write(app, look)
        except ClusterError as error:
            self.tell(app, error.reason)
            raise
        after = self._observations.get(look.ref)
        same = look.told is not None or (before is not None and after is not None and before.version == after.version)
        self._emit(app, "unchanged" if same else "created" if "created" in told else "changed")
        return told

    async def rehearse(self, app: Application, look: Look) -> None:
        """What writing it would raise, as far as a dry run can tell (10a)."""
        await self._reach.of(app).apply(look.sent, FIELD_MANAGER, force=True, dry_run=True)

    def tell(self, app: Application, reason: str) -> None:
        """That an object was not applied, and by the reason of the failure why."""
        self._emit(app, _NOT_APPLIED.get(reason, "failed"))

    def _emit(self, app: Application, result: str) -> None:
        self._sink.emit(Event("apply", app.key, {"result": result}))

    async def _look(self, app: Application, ref: ObjectRef, obj: JsonObject, manner: Manner) -> Look:
        mark, sent = content_digest(obj), {**obj, "apiVersion": ref.api_version}
        told = await self._leave(app, ref, mark, manner)
        if told is not None:
            return Look(ref, mark, sent, told)
        item, seen = app.items.get(ref.identity), self._observations.get(ref)
        job = manner.anew and ((ref.group, ref.kind) == _JOB or is_hook_pod(obj))
        uid = item.uid if item is not None and (job or may_renew(ref, manner.treatment)) else ""
        anew = job and bool(uid) and item is not None and seen is not None and (seen.failed or runs_again(obj, item.revision))
        if not manner.always and not anew and item is not None and seen is not None:
            same = item.digest == mark and item.fields == seen.fields and seen.owner == app.mirror.uid
            if same:
                return Look(ref, mark, sent, {"ref": ref.pack(), "uid": seen.uid, "digest": mark, "fields": seen.fields})
        new = (item is None or not item.uid) and (seen is None or seen.owner != app.mirror.uid)
        kept = (*manner.kept, *manner.treatment.adopt)
        live = await self.read(app, ref) if new or kept else None
        if new and live is not None:
            why = "" if manner.takes_over else objection(live, app.key, self._owner_of, adopts=manner.adopts)
            if why:
                raise NotOursError(why)
            if not manner.takes_over:
                await self._settle(live, ref)
        sent = with_live(sent, live, kept) if live is not None else sent
        return Look(ref, mark, sent, None, live, new, uid, anew)

    async def _leave(self, app: Application, ref: ObjectRef, mark: str, manner: Manner) -> dict[str, Any] | None:
        """What is told of an object that stays as it lives: one of ours that may drift, a shared one that another application
        writes, of which no fields are ours, or one that is only made where it is absent; None for all others."""
        if_absent = manner.treatment.if_absent
        live = await self.read(app, ref) if manner.shared or if_absent or "*" in manner.kept else None
        if live is None:
            return None
        owner = (live["metadata"].get("labels") or {}).get(LABEL_UID, "")
        ours = owner == app.mirror.uid
        if not (if_absent or (ours and "*" in manner.kept)) and not (manner.shared and not ours and self.is_shared_by(owner, ref)):
            return None
        observed = self._observations.note(live)
        return {"ref": ref.pack(), "uid": observed.uid, "digest": mark, "fields": observed.fields if ours else ""}

    def is_shared_by(self, owner: str, ref: ObjectRef) -> bool:
        """Whether the application of that uid shares the object now, or may: in doubt it is left to it."""
        key = self._owner_of(owner)
        return key is not None and self._contents.shares_now(key, ref) is not False

    def is_declared_by(self, owner: str, ref: ObjectRef) -> bool:
        """Whether the application of that uid declares the object now, and has so taken it over (1e): in doubt it is left to it."""
        key = self._owner_of(owner)
        return key is not None and self._contents.declares_now(key, ref) is not False

    async def _write(self, app: Application, look: Look) -> dict[str, Any]:
        if look.new and look.live is not None:
            await have_back(self._reach.of(app), look.live)
        try:
            live = await self._renew(app, look) if look.anew else await self._send(app, look.ref, look.sent)
        except ImmutableError:
            if not look.uid:
                raise
            live = await self._renew(app, look)
        live = await self._take_over(app, look, live)
        observed = self._observations.note(live)
        told: dict[str, Any] = {"ref": look.ref.pack(), "uid": observed.uid, "digest": look.mark, "fields": observed.fields}
        return told | {"created": True} if look.new and look.live is None else told

    async def _take_over(self, app: Application, look: Look, live: JsonObject) -> JsonObject:
        """What `kubectl apply` and its like left in the object becomes ours, so that what is not declared goes; a `kubectl edit` stays."""
        for _ in range(_RACES):
            ours = taken_over(live, self._managers, FIELD_MANAGER)
            if ours is None:
                return live
            try:
                await self._reach.of(app).replace(ours)
            except ConflictError:
                live = await self._reach.of(app).get(look.ref)
                continue
            return await self._reach.of(app).apply(look.sent, FIELD_MANAGER, force=True)
        return live

    async def _send(self, app: Application, ref: ObjectRef, obj: JsonObject) -> JsonObject:
        try:
            return await self._reach.of(app).apply(obj, FIELD_MANAGER, force=True)
        except NamespaceMissingError:
            if not await self._namespaces.create(app, ref.namespace):
                raise
            return await self._reach.of(app).apply(obj, FIELD_MANAGER, force=True)

    async def _renew(self, app: Application, look: Look) -> JsonObject:
        return await renew(self._reach.of(app), self._clock, look.ref, look.sent, look.uid, app.mirror.uid)

    async def read(self, app: Application, ref: ObjectRef) -> JsonObject | None:
        """None where it is not there, nor its kind."""
        try:
            return await self._reach.of(app).get(ref)
        except (NotFoundError, KindUnknownError):
            return None


def decorate(objects: list[JsonObject], uid: str, key: AppKey, revision: str, partition: str) -> list[JsonObject]:
    """Copies without the fields that are never sent, with our owner labels, the revision they were made by, and the partition. Raises RenderError."""
    if partition:
        objects = with_partition(objects, int(partition) if partition.isdigit() else partition)
    labels = app_labels(key, uid)
    decorated = []
    for rendered in objects:
        obj = rendered
        for text in treatment_of(obj).strip:
            obj = without_pointer(obj, parse_pointer(text))
        meta = dict(obj["metadata"])
        meta["labels"] = {**(meta.get("labels") or {}), **labels}
        meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION_REVISION: revision}
        decorated.append({**obj, "metadata": meta})
    return decorated


def may_renew(ref: ObjectRef, treatment: Treatment) -> bool:
    """Whether the object may be deleted and made anew, by its own word; a word of more weight where that loses what can't be made again (1d)."""
    return treatment.force == "with-data-loss" or (treatment.force == "enabled" and ref.kind not in PRECIOUS)


def content_digest(obj: JsonObject) -> str:
    """The digest of an object as we apply it, without the revision that it names: an object that stays the same stays untouched."""
    meta = dict(obj["metadata"])
    meta["annotations"] = {name: value for name, value in meta["annotations"].items() if name != ANNOTATION_REVISION}
    meta["labels"] = {name: value for name, value in meta["labels"].items() if name != LABEL_UID}
    return digest({**obj, "metadata": meta})[:32]
