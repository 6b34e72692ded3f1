"""What lives in the cluster, of the objects that we manage: one shared watch, and only a few words of each object in memory (10a).

Kept of an object: its version and uid, the digest of our own managedFields entry, and its health. Nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from reconciler.cluster.health import NO_RULES, Rules, assess, has_failed
from reconciler.cluster.masking import mask
from reconciler.cluster.protocol import Cluster, ClusterError, ExpiredError, ForbiddenError, KindUnknownError, NotFoundError, fields_of
from reconciler.engine.access import NotAllowedError
from reconciler.engine.troubles import Followed, Troubles
from reconciler.model.canonical import digest
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, AppKey, JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_REVISION, FIELD_MANAGER, LABEL_APPLICATION, LABEL_NAMESPACE, LABEL_UID, label_of
from reconciler.model.outcome import LISTED, Health, Listed, Live, Query

Identity = tuple[str, str, str, str]
_OURS: Final = {LABEL_APPLICATION: None}
_BARE: Final = frozenset({"apiVersion", "kind", "metadata"})
_FIRST, _LAST = 0.5, 30.0
_NOT_THERE: Final = (NotFoundError, KindUnknownError, NotAllowedError, ForbiddenError)
_ORDER = ("Degraded", "Missing", "Unknown", "Progressing", "Healthy")


class Observed(NamedTuple):
    """`fields`: digest of our managedFields entry, empty where we have none. `owner`: the uid in our label. `failed`: for good."""

    version: int
    uid: str
    owner: str
    fields: str
    status: str
    message: str
    failed: bool


class Trace(NamedTuple):
    """By whom an object of ours was applied: the labels' application, its mirror's uid, and the number of the revision."""

    namespace: str
    application: str
    owner: str
    revision: int


def _trace(obj: JsonObject) -> Trace:
    meta = obj["metadata"]
    labels = meta.get("labels") or {}
    number = str((meta.get("annotations") or {}).get(ANNOTATION_REVISION, "")).rpartition("-v")[2]
    revision = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
    return Trace(labels.get(LABEL_NAMESPACE, ""), labels[LABEL_APPLICATION], labels.get(LABEL_UID, ""), revision)


def fields_digest(obj: JsonObject) -> str:
    """
    The digest of our own managedFields entry, and of the revision that was applied last; empty where there is no such entry.

    The entry names fields, not what is in them: that a leader whose time was over has applied something older shows in the revision alone (3h).
    """
    fields = fields_of(obj, FIELD_MANAGER)
    revision = (obj["metadata"].get("annotations") or {}).get(ANNOTATION_REVISION, "")
    return "" if fields is None else digest([fields, revision])[:16]


def observe(obj: JsonObject, rules: Rules = NO_RULES) -> Observed:
    meta = obj["metadata"]
    status, message = assess(obj, rules)
    owner = (meta.get("labels") or {}).get(LABEL_UID, "")
    return Observed(int(meta["resourceVersion"]), meta["uid"], owner, fields_digest(obj), status, message, has_failed(obj))


class Observations:
    """`on_change` is told the mirror uid of the owner of each object that changed."""

    def __init__(self, cluster: Cluster, clock: Clock, on_change: Callable[[str], None]) -> None:
        self._cluster, self._clock, self._on_change = cluster, clock, on_change
        self._objects: dict[Identity, Observed] = {}
        self._place = ""
        self._rules: Rules = NO_RULES
        self._unjudged: set[tuple[str, str]] = set()
        self._attended: dict[str, frozenset[Identity]] = {}
        self._overruled: dict[str, dict[Identity, tuple[str, str]]] = {}
        self._troubles = Troubles(clock, on_change)
        self.heartbeat = clock.monotonic()

    async def load(self) -> list[Trace]:
        """Lists all objects with our label; answers who left them (rule 3f looks for those without history)."""
        found: set[Trace] = set()
        objects: dict[Identity, Observed] = {}
        page = ""
        while True:
            part = await self._cluster.list(None, labels=_OURS, page=page)
            for obj in part.items:
                objects[ObjectRef.of(obj).identity] = observe(await self._whole(obj), self._rules)
                found.add(_trace(obj))
            page = part.next
            if not page:
                break
            await asyncio.sleep(0)
        self._place = part.version
        changed = {seen.owner for identity, seen in (self._objects.items() ^ objects.items())}
        self._objects = objects
        for owner in changed:
            self._on_change(owner)
        return sorted(found)

    async def _whole(self, obj: JsonObject) -> JsonObject:
        """The object as it lives, where a rule of the repository judges it and metadata alone came."""
        if obj.keys() <= _BARE and GVK.of(obj)[::2] in self._rules:
            with suppress(ClusterError):
                return await self._cluster.get(ObjectRef.of(obj))
        return obj

    async def judge_by(self, rules: Rules) -> None:
        """
        From now on the repository's own health rules are these. Objects of kinds whose rule changed are read and judged anew; those that can't
        be read now are when it is called again, and whenever they change.
        """
        same = {subject for subject, rule in rules.items() if rule.judges_as(self._rules.get(subject))}
        self._unjudged |= (rules.keys() | self._rules.keys()) - same
        self._rules = rules
        if not self._unjudged:
            return
        with suppress(ClusterError):
            kinds = {(kind.gvk.group, kind.gvk.kind): kind.served for kind in await self._cluster.kinds()}
            for subject in sorted(self._unjudged):
                with suppress(ClusterError):
                    if subject in kinds:
                        await self._judge(kinds[subject])
                    self._unjudged.discard(subject)

    async def _judge(self, kind: GVK) -> None:
        """Reads all of ours of that kind."""
        page = ""
        while True:
            part = await self._cluster.list(kind, labels=_OURS, page=page)
            for obj in part.items:
                before = self._objects.get(ObjectRef.of(obj).identity)
                seen = self.note(obj)
                if before is not None and (before.status, before.message) != (seen.status, seen.message):
                    self._on_change(seen.owner)
            page = part.next
            if not page:
                return
            await asyncio.sleep(0)

    async def watch(self) -> None:
        """Until cancelled. A watch that expired or broke lists anew: nothing is concluded from its silence."""
        pause = _FIRST
        while True:
            self.heartbeat = self._clock.monotonic()
            try:
                async for event in self._cluster.watch(None, _OURS, since=self._place):
                    self.heartbeat = self._clock.monotonic()
                    if event.type == "BOOKMARK":
                        self._place = event.object["metadata"]["resourceVersion"]
                        pause = _FIRST
                    else:
                        gone = event.type == "DELETED"
                        self._take(event.object if gone else await self._whole(event.object), gone=gone)
            except ExpiredError:
                pause = await self._load_again(pause)
            except ClusterError:
                pause = await self._rest(pause)

    async def _load_again(self, pause: float) -> float:
        """Lists anew; at once the first time, with growing pauses where a place expires again before the watch has come to a bookmark."""
        if pause > _FIRST:
            await self._rest(pause)
        try:
            await self.load()
        except ClusterError:
            return await self._rest(pause)
        return pause * 2

    async def _rest(self, pause: float) -> float:
        await self._clock.sleep(pause)
        return min(pause * 2, _LAST)

    def _take(self, obj: JsonObject, *, gone: bool) -> None:
        identity = ObjectRef.of(obj).identity
        before = self._objects.get(identity)
        version = int(obj["metadata"]["resourceVersion"])
        if before is not None and version <= before.version:
            return
        if gone:
            if self._objects.pop(identity, None) is not None and before is not None:
                self._on_change(before.owner)
            return
        seen = self._objects[identity] = observe(obj, self._rules)
        followed = self._attended.get(seen.owner, ()), self._overruled.get(seen.owner, ())
        if before is None or before[1:] != seen[1:] or any(identity in identities for identities in followed):
            self._on_change(seen.owner)

    def attend(self, owner: str, refs: Iterable[ObjectRef]) -> None:
        """Of these objects of that owner (a mirror's uid) every change is told, until another call says otherwise: a step reads them whole."""
        found = frozenset(ref.identity for ref in refs)
        if found:
            self._attended[owner] = found
        else:
            self._attended.pop(owner, None)

    def overrule(self, owner: str, told: Mapping[Identity, tuple[str, str]]) -> None:
        """These objects of that owner are so, whatever our own rules say, until another call says otherwise: status, empty where those hold, and
        words, empty where those do. Of these objects every change is told."""
        if told:
            self._overruled[owner] = dict(told)
        else:
            self._overruled.pop(owner, None)

    def overruled(self, owner: str) -> Mapping[Identity, tuple[str, str]]:
        """What was said so of that owner's objects last."""
        return self._overruled.get(owner, {})

    def note(self, obj: JsonObject) -> Observed:
        """Takes in what an apply of ours answered, so that nothing older than it is believed."""
        identity = ObjectRef.of(obj).identity
        seen = observe(obj, self._rules)
        before = self._objects.get(identity)
        if before is None or seen.version >= before.version:
            self._objects[identity] = seen
        return seen

    def forget(self, ref: ObjectRef) -> None:
        self._objects.pop(ref.identity, None)

    def get(self, ref: ObjectRef) -> Observed | None:
        return self._objects.get(ref.identity)

    async def answer(self, queries: Iterable[Query], cluster: Cluster) -> dict[Query, Any]:
        """Answers for a step, read by `cluster`. A live object is masked; what may not be read is not there, what can't be now has no answer."""
        answers: dict[Query, Any] = {}
        for query in queries:
            if isinstance(query, Health):
                await self._explain_failed(query.refs, cluster)
                answers[query] = self._health(query.refs)
            elif isinstance(query, Live):
                try:
                    answers[query] = mask(await cluster.get(query.ref))
                except _NOT_THERE:
                    answers[query] = None
                except ClusterError:
                    continue
            elif isinstance(query, Listed):
                try:
                    page = await cluster.list(query.gvk, query.namespace, dict(query.labels), limit=LISTED)
                    answers[query] = [mask(obj) for obj in page.items]
                except _NOT_THERE:
                    answers[query] = None
                except ClusterError:
                    continue
        return answers

    async def _explain_failed(self, refs: tuple[ObjectRef, ...], cluster: Cluster) -> None:
        """What has failed for good is asked at once why: nobody waits for it any longer, so nobody would be told."""
        for ref in refs:
            seen = self._objects.get(ref.identity)
            if seen is not None and seen.failed and not self._troubles.reason(ref, seen.uid, seen.fields):
                await self._troubles.look(_followed(ref, seen), cluster)

    def unwell(self, refs: Iterable[ObjectRef]) -> list[Followed]:
        """Those of them that are there and not healthy, the worst first."""
        found = [(ref, seen) for ref in refs if (seen := self._seen(ref)) is not None and seen.status != "Healthy"]
        found.sort(key=lambda each: (not each[1].failed, _ORDER.index(each[1].status)))
        return [_followed(ref, seen) for ref, seen in found]

    def follow(self, owner: str, unwell: Sequence[Followed], cluster: Cluster | None = None) -> None:
        """These objects of that owner (a mirror's uid) are not healthy: they are asked why, by that cluster, until another call says otherwise."""
        self._troubles.follow(owner, unwell if cluster is not None else (), cluster or self._cluster)

    async def look(self, one: Followed, cluster: Cluster) -> bool:
        """Asks now why it is not healthy; whether another reason is known."""
        return await self._troubles.look(one, cluster)

    def close(self) -> None:
        """Nobody is asked why any more."""
        self._troubles.close()

    async def read_unwatched(self, queries: Iterable[Query], cluster: Cluster) -> bool:
        """Reads the objects without our label that a step asks about: the shared watch does not bring them. Whether there were any."""
        found = False
        for query in queries:
            for ref in query.refs if isinstance(query, Health) else (query.ref,) if isinstance(query, Live) else ():
                seen = self._objects.get(ref.identity)
                if seen is None or not seen.owner:
                    found = True
                    try:
                        self.note(await cluster.get(ref))
                    except ClusterError:
                        self.forget(ref)
        return found

    async def refresh(self, refs: Iterable[ObjectRef], cluster: Cluster) -> None:
        """Reads these now. One that can't be read stays as it was last seen."""
        for ref in refs:
            try:
                self.note(await cluster.get(ref))
            except NotFoundError:
                self.forget(ref)
            except ClusterError:
                continue

    def _seen(self, ref: ObjectRef) -> Observed | None:
        """With its health as its definition tells it, where one does."""
        seen = self._objects.get(ref.identity)
        status, words = self._overruled.get(seen.owner, {}).get(ref.identity, ("", "")) if seen is not None else ("", "")
        if seen is None or not (status or words):
            return seen
        return seen._replace(
            status=status or seen.status, message=words or ("" if status else seen.message), failed=seen.failed and status != "Healthy"
        )

    def _health(self, refs: tuple[ObjectRef, ...]) -> dict[str, Any]:
        worst, message, failed = "Healthy", "", False
        for ref in refs:
            seen = self._seen(ref)
            status, said = (seen.status, seen.message) if seen else ("Missing", "not there")
            fails = seen is not None and seen.failed
            reason = self._troubles.reason(ref, seen.uid, seen.fields) if seen is not None and status != "Healthy" else ""
            if (not fails, _ORDER.index(status)) < (not failed, _ORDER.index(worst)):
                words = "" if said and said.rstrip(".") in reason else (said or status).rstrip(".")
                worst, message, failed = status, ": ".join(filter(None, (str(ref), words, reason))), fails
        return {"status": worst, "message": message, "failed": failed}

    def health(self, refs: Iterable[ObjectRef]) -> tuple[str, str]:
        """The worst of these objects, for status."""
        answer = self._health(tuple(refs))
        return answer["status"], answer["message"]


def _followed(ref: ObjectRef, seen: Observed) -> Followed:
    return Followed(ref, seen.uid, seen.fields, seen.status)


def app_labels(key: AppKey, uid: str) -> dict[str, str]:
    """The labels of what we manage."""
    return {LABEL_APPLICATION: label_of(key.name), LABEL_NAMESPACE: key.namespace, LABEL_UID: uid}
