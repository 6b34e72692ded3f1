"""State as objects (rule 3). Every write is a compare-and-swap; names are created, never upserted."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import msgspec

from reconciler.cluster.protocol import AlreadyExistsError, Cluster, ConflictError, NotFoundError
from reconciler.engine.content import ContentError, Packed, part_names, part_object, part_text, unpack
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, AppKey, JsonObject, ObjectRef
from reconciler.model.names import API_VERSION, GROUP, LABEL_UID, REQUESTED_AT, SHARD, STATE_NAME, STATE_VERSION
from reconciler.model.records import Content, Mirror, RevisionRecord, Shown, SourceRecord
from reconciler.model.run import Run

RUN_LIMIT = 256 * 1024
RESULT_LIMIT = 32 * 1024
_OF_METADATA = frozenset({"uid", "version", "generation", "requested", "shard"})
_LONGEST_HINT = 256
FINALIZER = "reconciler.dev/terminate"
UNOWNED: JsonObject = {"managedFields": [{}]}
"""Nobody's fields any more (Kubernetes, "Clearing managedFields"): one writer needs no list of who owns what, which a server makes at each write."""
_SIDES = ({"part"}, {"secret"})
_PRIVATE = frozenset({"outputs", "attributes", "answer"})


class StateError(Exception):
    """State that this version can't work with: newer than it, or larger than allowed (rules 3e, 3g)."""


def _gvk(kind: str) -> GVK:
    return GVK(GROUP, "v1alpha1", kind)


class Store:
    """State objects in one namespace of one cluster. Holds nothing in memory."""

    def __init__(self, cluster: Cluster, clock: Clock, namespace: str) -> None:
        self._cluster, self._clock, self.namespace = cluster, clock, namespace

    def _ref(self, kind: str, name: str) -> ObjectRef:
        return ObjectRef(API_VERSION, kind, self.namespace, name)

    def _object(self, kind: str, name: str, **parts: Any) -> JsonObject:
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"namespace": self.namespace, "name": name}, **parts}

    async def _all(self, kind: str, owner: str = "") -> AsyncIterator[JsonObject]:
        """Those of one mirror, by its uid, or of all."""
        page, labels = "", {LABEL_UID: owner} if owner else None
        while True:
            found = await self._cluster.list(_gvk(kind), self.namespace, labels, page=page)
            for item in found.items:
                yield item
            page = found.next
            if not page:
                return
            await asyncio.sleep(0)

    # Cluster id and source ------------------------------------------------------------------------------------------

    async def cluster_id(self, *, make: bool = True) -> str:
        """Made once with the state, so that it is new when state is created anew (rule 3f). Empty where it is not, and is not to be, made."""
        ref = ObjectRef("v1", "ConfigMap", self.namespace, STATE_NAME)
        try:
            data = (await self._cluster.get(ref))["data"]
        except NotFoundError:
            if not make:
                return ""
            data = {"clusterId": uuid.uuid4().hex, "stateVersion": str(STATE_VERSION)}
            meta = {"namespace": self.namespace, "name": ref.name}
            try:
                await self._cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
            except AlreadyExistsError:
                return await self.cluster_id()
        if int(data.get("stateVersion", "0")) > STATE_VERSION:
            raise StateError(f"the state is of version {data['stateVersion']}, newer than this program's {STATE_VERSION}: upgrade it (rule 3g)")
        return str(data["clusterId"])

    def _source_ref(self, identity: str) -> ObjectRef:
        mark = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return ObjectRef("v1", "ConfigMap", self.namespace, f"reconciler-source-{mark}")

    async def source(self, identity: str) -> SourceRecord:
        """The record of that source; a fresh one where there is none."""
        try:
            obj = await self._cluster.get(self._source_ref(identity))
        except NotFoundError:
            return SourceRecord(identity=identity)
        record = msgspec.json.decode(obj["data"]["record"], type=SourceRecord)
        record.version = obj["metadata"]["resourceVersion"]
        return record

    async def save_source(self, record: SourceRecord) -> None:
        ref = self._source_ref(record.identity)
        meta: JsonObject = {"namespace": ref.namespace, "name": ref.name}
        plain = msgspec.structs.replace(record, version="")
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"record": msgspec.json.encode(plain).decode()}}
        if record.version:
            meta["resourceVersion"] = record.version
            stored = await self._cluster.replace(obj)
        else:
            stored = await self._cluster.create(obj)
        record.version = stored["metadata"]["resourceVersion"]

    # Mirrors --------------------------------------------------------------------------------------------------------

    async def mirrors(self) -> list[Mirror]:
        return [read_mirror(obj) async for obj in self._all("Application")]

    async def mirror(self, key: AppKey) -> Mirror | None:
        try:
            return read_mirror(await self._cluster.get(self._ref("Application", key.object_name)))
        except NotFoundError:
            return None

    async def create_mirror(self, mirror: Mirror) -> None:
        """Gives it its uid. The 409 of one that is there already is the caller's: state was read before."""
        spec = {"application": mirror.name, "namespace": mirror.namespace, "family": mirror.family}
        obj = self._object("Application", mirror.key.object_name, spec=spec)
        if mirror.shard:
            obj["metadata"]["labels"] = {SHARD: mirror.shard}
        _read_metadata(mirror, await self._cluster.create(obj))

    async def assign_mirror(self, mirror: Mirror, shard: str) -> None:
        """From now on the daemon of that shard acts for it. Raises ConflictError where somebody wrote since it was read."""
        obj = await self._cluster.get(self._ref("Application", mirror.key.object_name))
        meta = obj["metadata"]
        if (meta["uid"], meta["resourceVersion"]) != (mirror.uid, mirror.version):
            raise ConflictError(f"the mirror of {mirror.key} was written by somebody else")
        labels = {name: value for name, value in (meta.get("labels") or {}).items() if name != SHARD}
        changed = {**obj, "metadata": {**meta, "labels": labels | ({SHARD: shard} if shard else {})}}
        _read_metadata(mirror, await self._cluster.replace(changed))

    async def save_mirror(self, mirror: Mirror, shown: Shown) -> None:
        """Its status, by compare-and-swap. `shown` is for those who read the mirror, and never read again. Raises ConflictError."""
        obj = self._object("Application", mirror.key.object_name)
        obj["metadata"] |= {"resourceVersion": mirror.version, "uid": mirror.uid}
        status = {name: value for name, value in msgspec.to_builtins(mirror).items() if name not in _OF_METADATA}
        stored = await self._cluster.replace_status(obj | {"status": status | msgspec.to_builtins(shown)})
        mirror.version = stored["metadata"]["resourceVersion"]

    async def delete_mirror(self, mirror: Mirror) -> None:
        """The last act of a removal. Revisions, runs and parts are owned by it and go with it."""
        await self._cluster.delete(self._ref("Application", mirror.key.object_name), uid=mirror.uid)

    # Revisions ------------------------------------------------------------------------------------------------------

    async def revisions(self, owner: str = "") -> list[tuple[str, RevisionRecord]]:
        """Of one mirror, by its uid, or of all; each with the uid of its mirror, in the order of their names."""
        return [read_record(obj) async for obj in self._all("ApplicationRevision", owner)]

    async def create_revision(self, mirror: Mirror, record: RevisionRecord, packed: Packed) -> RevisionRecord:
        """Parts first (named by content, so that a crash leaves nothing half), then the revision. Raises AlreadyExistsError."""
        inline = len(packed.chunks) == 1 and not packed.secret
        if not inline:
            record.parts = await self.save_parts(mirror, packed)
        spec = {"application": mirror.name, "namespace": mirror.namespace, "record": msgspec.to_builtins(record), "content": packed.mark}
        obj = self._object("ApplicationRevision", f"{mirror.namespace}.{record.name}", spec=spec | ({"inline": packed.chunks[0]} if inline else {}))
        obj["metadata"] |= _belonging(mirror)
        stored = await self._cluster.create(obj)
        return _record(stored)

    async def save_parts(self, mirror: Mirror, packed: Packed) -> list[str]:
        """Immutable, named by what they hold; one that is there already is right."""
        _, names = part_names(mirror.key, packed.mark)
        for name, chunk in zip(names, packed.chunks, strict=True):
            try:
                await self._cluster.create(part_object(self.namespace, name, chunk, _owner(mirror), secret=packed.secret))
            except AlreadyExistsError:
                continue
        return names

    async def content(self, key: AppKey, revision: str) -> Content:
        """Raises ContentError where it is gone or not what its digest says."""
        try:
            spec = (await self._cluster.get(self._ref("ApplicationRevision", f"{key.namespace}.{revision}")))["spec"]
        except NotFoundError as error:
            raise ContentError(f"revision {revision} is gone") from error
        mark = str(spec["content"])
        data = unpack(mark.split("/", maxsplit=1)[0], [spec["inline"]]) if "inline" in spec else await self.read_parts(key, mark)
        return msgspec.json.decode(data, type=Content)

    async def read_parts(self, key: AppKey, mark: str) -> bytes:
        """What was packed under that mark. Raises ContentError."""
        kind, names = part_names(key, mark)
        return unpack(mark.split("/", maxsplit=1)[0], await self._parts(kind, names))

    async def _parts(self, kind: str, names: list[str]) -> list[str]:
        try:
            return [part_text(await self._cluster.get(ObjectRef("v1", kind, self.namespace, name))) for name in names]
        except NotFoundError as error:
            raise ContentError("a part of what was stored is gone") from error

    async def delete_revision(self, key: AppKey, record: RevisionRecord) -> None:
        await self._forget(self._ref("ApplicationRevision", f"{key.namespace}.{record.name}"))
        for name in record.parts:
            await self._forget(ObjectRef("v1", "ConfigMap", self.namespace, name))
            await self._forget(ObjectRef("v1", "Secret", self.namespace, name))

    async def _forget(self, ref: ObjectRef) -> None:
        try:
            await self._cluster.delete(ref)
        except NotFoundError:
            return

    # Runs -----------------------------------------------------------------------------------------------------------

    async def runs(self, owner: str = "") -> AsyncIterator[Run]:
        """Of one mirror, by its uid, or of all; `Run.owner` names it."""
        async for obj in self._all("WorkflowRun", owner):
            yield await self._run(obj)

    async def release_runs(self, owner: str) -> None:
        """Lets the runs of a mirror that is gone go with it: there is no application any more to terminate them for (3f, 3g)."""
        async for obj in self._all("WorkflowRun", owner):
            if obj["metadata"].pop("finalizers", None):
                with suppress(ConflictError, NotFoundError):
                    await self._cluster.replace(obj)

    async def create_run(self, mirror: Mirror, run: Run) -> Run:
        """Raises AlreadyExistsError. The first intents are already in it (rule 3d)."""
        obj = self._run_object(run, await self._spill(mirror, run))
        obj["metadata"] |= _belonging(mirror)
        stored = await self._cluster.create(obj)
        run.uid, run.version = stored["metadata"]["uid"], stored["metadata"]["resourceVersion"]
        return run

    async def save(self, mirror: Mirror, run: Run) -> Run:
        """Raises ConflictError: somebody else wrote; a stale reader loses before it acts."""
        obj = self._run_object(run, await self._spill(mirror, run))
        obj["metadata"] |= {"resourceVersion": run.version, "uid": run.uid} | _belonging(mirror) | UNOWNED
        stored = await self._cluster.replace(obj)
        run.version = stored["metadata"]["resourceVersion"]
        return run

    async def delete_run(self, key: AppKey, run: str) -> None:
        await self._forget(self._ref("WorkflowRun", f"{key.namespace}.{run}"))

    def _run_object(self, run: Run, state: JsonObject) -> JsonObject:
        key = AppKey.parse(run.app)
        spec = {"application": key.name, "namespace": key.namespace, "revision": run.revision, "digest": run.digest}
        obj = self._object("WorkflowRun", f"{key.namespace}.{run.name}", spec=spec, status=state)
        if not run.phase.final:
            obj["metadata"]["finalizers"] = [FINALIZER]
        size = len(msgspec.json.encode(obj))
        if size > RUN_LIMIT:
            raise StateError(f"run {run.name} would be {size} bytes; a run holds at most {RUN_LIMIT} (rule 3e): split the application")
        return obj

    async def _spill(self, mirror: Mirror, run: Run) -> JsonObject:
        """The run as plain data, with outputs, what plug-ins and others answered, and large results in objects of their own (rule 3e)."""
        state: JsonObject = msgspec.to_builtins(run)
        state.pop("version", None), state.pop("uid", None)
        state |= {"kind": run.kind, "phase": run.phase.value}  # for those who read it alone
        for step in state.get("steps", []):
            if step.get("outputs"):
                step["outputs"] = {"secret": await self._side(mirror, step["outputs"], secret=True)}
            for result in (step.get("results") or {}).values():
                if not _PRIVATE.isdisjoint(result.get("value") or {}):
                    result["value"] = {"secret": await self._side(mirror, result["value"], secret=True)}
                elif len(msgspec.json.encode(result.get("value") or {})) > RESULT_LIMIT:
                    result["value"] = {"part": await self._side(mirror, result["value"], secret=False)}
        if state.get("shared"):
            state["shared"] = [{"step": "", "values": {"secret": await self._side(mirror, {"shared": state["shared"]}, secret=True)}}]
        if run.given or any(run.snapshots):
            private = {"snapshots": state.get("snapshots", []), "given": state.pop("given", [])}
            state["snapshots"] = [{"secret": await self._side(mirror, private, secret=True)}]
        return state

    async def _side(self, mirror: Mirror, value: JsonObject, *, secret: bool) -> str:
        data = msgspec.json.encode(value)
        name = f"{mirror.key.object_name[:200]}-{hashlib.sha256(data).hexdigest()[:16]}-s"
        try:
            await self._cluster.create(part_object(self.namespace, name, data.decode(), _owner(mirror), secret=secret))
        except AlreadyExistsError:
            return name
        return name

    async def _run(self, obj: JsonObject) -> Run:
        state = obj["status"]
        for step in state.get("steps", []):
            if step.get("outputs"):
                step["outputs"] = await self._read_side(step["outputs"]["secret"], secret=True)
            for result in (step.get("results") or {}).values():
                if set(result.get("value") or {}) in _SIDES:
                    [(kind, name)] = result["value"].items()
                    result["value"] = await self._read_side(name, secret=kind == "secret")
        if state.get("shared"):
            state["shared"] = (await self._read_side(state["shared"][0]["values"]["secret"], secret=True))["shared"]
        if any(state.get("snapshots") or []):
            state |= await self._read_side(state["snapshots"][0]["secret"], secret=True)
        return _read_run(obj, state)

    async def _read_side(self, name: str, *, secret: bool) -> JsonObject:
        [text] = await self._parts("Secret" if secret else "ConfigMap", [name])
        value: JsonObject = msgspec.json.decode(text)
        return value


def _belonging(mirror: Mirror) -> JsonObject:
    """The metadata by which the state objects of one application are found, and go with it."""
    return {"labels": {LABEL_UID: mirror.uid}, "ownerReferences": [_owner(mirror)]}


def _owner(mirror: Mirror) -> JsonObject:
    return {"apiVersion": API_VERSION, "kind": "Application", "name": mirror.key.object_name, "uid": mirror.uid, "controller": True}


def read_mirror(obj: JsonObject) -> Mirror:
    """Its name says which application it is, its status what is stored; its spec and annotations are output (rule 3a)."""
    namespace, _, name = str(obj["metadata"]["name"]).partition(".")
    mirror = msgspec.convert({**(obj.get("status") or {}), "namespace": namespace, "name": name}, Mirror)
    _read_metadata(mirror, obj)
    return mirror


def _read_metadata(mirror: Mirror, obj: JsonObject) -> None:
    """Whose it is, what of it is stored, who acts for it, and the one hint (3a)."""
    meta = obj["metadata"]
    mirror.uid, mirror.version, mirror.generation = meta["uid"], meta["resourceVersion"], int(meta.get("generation", 0))
    mirror.requested, mirror.shard = requested_at(obj), str((meta.get("labels") or {}).get(SHARD, ""))


def requested_at(mirror: JsonObject) -> str:
    """The hint on a mirror; empty where there is none."""
    return str((mirror["metadata"].get("annotations") or {}).get(REQUESTED_AT, ""))[:_LONGEST_HINT]


def owner_of(obj: JsonObject) -> str:
    """The uid of the mirror to which a run or a revision belongs."""
    return str((obj["metadata"].get("labels") or {}).get(LABEL_UID, ""))


def read_record(obj: JsonObject) -> tuple[str, RevisionRecord]:
    """With the uid of its mirror."""
    return owner_of(obj), _record(obj)


def shown_run(obj: JsonObject) -> Run:
    """A run without what stands in objects of its own: to be shown, not to be gone on with."""
    return _read_run(obj, _without_sides(obj["status"]))


def _read_run(obj: JsonObject, state: JsonObject) -> Run:
    run = msgspec.convert(state, Run)
    run.uid, run.version = obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
    run.order = "terminate" if obj["metadata"].get("deletionTimestamp") and not run.phase.final else run.order
    return run


def _without_sides(state: JsonObject) -> JsonObject:
    """A run's state without what stands elsewhere: outputs, what plug-ins answered, large results, what is shared, contexts."""
    bare: JsonObject = {**state, "shared": [], "snapshots": []}
    bare["steps"] = steps = [{**step, "outputs": {}} for step in state.get("steps", [])]
    for step in steps:
        results = (step.get("results") or {}).items()
        step["results"] = {path: {**result, "value": {}} if set(result.get("value") or {}) in _SIDES else result for path, result in results}
    return bare


def _record(obj: JsonObject) -> RevisionRecord:
    record = msgspec.convert(obj["spec"]["record"], RevisionRecord)
    record.uid = obj["metadata"]["uid"]
    return record
