"""Definitions that stand in a namespace of the cluster, listed and watched where the operator names it (rule 13g)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from reconciler.cluster.protocol import Cluster, ClusterError, ForbiddenError, KindUnknownError, WatchEvent
from reconciler.dialects.in_cluster import folder_of
from reconciler.dialects.scope import DEFINITIONS
from reconciler.engine.files import Served, ServedFile
from reconciler.engine.watching import watch
from reconciler.model.canonical import canonical, digest
from reconciler.model.clock import Clock
from reconciler.model.identity import GVK, JsonObject
from reconciler.model.text import one_line

_log = structlog.get_logger("reconciler.engine")
_PAUSE: Final = 15.0
_LARGEST: Final = 256 * 1024
_MOST: Final = 32 << 20  # bytes of all of them together
_OVERHEAD: Final = 1024  # of each, however small


class ClusterDefinitions:
    """
    `take` is handed all that is known whenever it has changed; what can't be listed keeps what was known of it. Nothing of that is stored: what a
    revision used is in the revision.
    """

    def __init__(self, cluster: Cluster, clock: Clock, namespace: str, take: Callable[[Served], None]) -> None:
        self._cluster, self._clock, self._namespace, self._take = cluster, clock, namespace, take
        self._files: dict[str, ServedFile] = {}
        self._unread: dict[str, str] = {}
        self._size = 0
        self._left = {kind for _, kind in DEFINITIONS} if namespace else set[str]()
        self._asked = asyncio.Event()

    async def asked(self) -> None:
        """Until the cluster has said once what there is, or that it does not say it: what git declares can't be judged before."""
        if self._left:
            await self._asked.wait()

    async def run(self) -> None:
        """Until cancelled; at once done where no namespace is named."""
        async with asyncio.TaskGroup() as group:
            for api_version, kind in DEFINITIONS if self._namespace else ():
                begin, take = partial(self._list, api_version, kind), partial(self._see, kind)
                group.create_task(
                    watch(
                        self._cluster,
                        self._clock,
                        GVK.of({"apiVersion": api_version, "kind": kind}),
                        self._namespace,
                        take,
                        begin=begin,
                        pause=_PAUSE,
                    )
                )

    async def _list(self, api_version: str, kind: str) -> str:
        """All of one kind as they are now; answers from where to watch. Raises ClusterError."""
        folder, found, page = folder_of(self._namespace, kind), dict[str, JsonObject](), ""
        try:
            while True:
                part = await self._cluster.list(GVK.of({"apiVersion": api_version, "kind": kind}), self._namespace, page=page)
                found |= {folder + obj["metadata"]["name"]: obj for obj in part.items}
                page = part.next
                if not page:
                    break
        except ClusterError as error:
            reason = self._explain(kind, error)
            if self._unread.get(folder) != reason:
                _log.warning("definitions in the cluster cannot be listed", kind=kind, namespace=self._namespace, reason=reason)
            self._note(kind, folder, reason)
            raise
        changed = self._unread.get(folder, "") != ""
        for path in [path for path in self._files if path.startswith(folder) and path not in found]:
            changed |= self._drop(path)
        for path, obj in found.items():
            changed |= self._put(path, kind, obj)
        self._note(kind, folder, "", changed=changed)
        return part.version

    def _note(self, kind: str, folder: str, reason: str, *, changed: bool = False) -> None:
        """How listing them went."""
        changed |= self._unread.get(folder, "") != reason
        self._unread.pop(folder, None)
        if reason:
            self._unread[folder] = reason
        self._left.discard(kind)
        if changed:
            self._tell()
        if not self._left:
            self._asked.set()

    def _see(self, kind: str, event: WatchEvent) -> None:
        path = folder_of(self._namespace, kind) + event.object["metadata"]["name"]
        if self._drop(path) if event.type == "DELETED" else self._put(path, kind, event.object):
            self._tell()

    def _put(self, path: str, kind: str, obj: JsonObject) -> bool:
        """Whether it is another one than before, in what is read of it."""
        read: dict[str, Any] = {"apiVersion": obj["apiVersion"], "kind": kind, "metadata": {"name": obj["metadata"]["name"]}, "spec": obj.get("spec")}
        old = self._files.get(path)
        try:
            data, oid = canonical(read), digest(read)
        except (ValueError, RecursionError):
            data, oid = b"", str(obj["metadata"].get("resourceVersion"))
        if old is not None and old.oid == oid:
            return False
        self._drop(path)
        size = len(data) + _OVERHEAD
        if not data:
            self._files[path] = ServedFile(oid, refusal="it is nested too deeply")
        elif size > _LARGEST:
            self._files[path] = ServedFile(oid, refusal=f"it has more than {_LARGEST >> 10} KiB")
        elif self._size + size > _MOST:
            self._files[path] = ServedFile(oid, refusal=f"the definitions of its namespace have more than {_MOST >> 20} MiB")
        else:
            self._files[path] = ServedFile(oid, data)
            self._size += size
        return True

    def _drop(self, path: str) -> bool:
        old = self._files.pop(path, None)
        if old is not None and not old.refusal:
            self._size -= len(old.data) + _OVERHEAD
        return old is not None

    def _tell(self) -> None:
        self._take(Served(dict(self._files), dict(self._unread)))

    def _explain(self, kind: str, error: ClusterError) -> str:
        """What hinders, and what helps."""
        plural, group = f"{kind.lower()}s", DEFINITIONS[0][0].partition("/")[0]
        if isinstance(error, KindUnknownError):
            return f"the cluster does not serve {plural}.{group} (KubeVela brings them, or reconciler install --oam)"
        if isinstance(error, ForbiddenError):
            ask = f"kubectl auth can-i list {plural}.{group} --namespace {self._namespace}"
            return f"the daemon's account needs the rights to list and watch them ({ask}): {one_line(error, 200)}"
        return one_line(error, 300)
