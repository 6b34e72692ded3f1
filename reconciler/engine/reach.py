"""The cluster as one application may use it: in the name of its service account, and checked at every call (rule 13a)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

from reconciler.cluster.protocol import Cluster, ForbiddenError, Kind, Page, Propagation, WatchEvent
from reconciler.engine.access import Access, DeniedError, NotAllowedError
from reconciler.engine.applications import Application
from reconciler.engine.declared import Declared
from reconciler.engine.judging import owner_objection
from reconciler.model.account import Account
from reconciler.model.chart import Capabilities
from reconciler.model.identity import GVK, AppKey, JsonObject, ObjectRef
from reconciler.model.text import one_line

T = TypeVar("T")
_REFUSED = re.compile(r'cannot (?P<verb>[a-z]+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"')
_Kinds = list[Kind]


class Reach:
    """What each application may use of the cluster. `declared`: how an application is declared, or was last."""

    def __init__(self, cluster: Cluster, access: Access, declared: Callable[[AppKey], Declared | None]) -> None:
        self._cluster, self._access, self._declared = cluster, access, declared

    def place(self, app: Application) -> tuple[str, Account | None]:
        """The path of its manifest, and in whose name it acts; None: the daemon's. Raises NotAllowedError where its manifest picks an
        account that it may not."""
        declared = self._declared(app.key)
        path, annotations = (declared.path, declared.annotations) if declared is not None else (app.mirror.path, app.mirror.accounts)
        try:
            return path, self._access.account(path, app.key, annotations)
        except DeniedError as error:
            raise NotAllowedError(str(error)) from None

    def of(self, app: Application) -> Cluster:
        """Every call raises NotAllowedError where the application may act as nobody."""
        try:
            path, account = self.place(app)
        except NotAllowedError as error:
            return ActingCluster(self._cluster, self._access, "", None, str(error))
        return ActingCluster(self._cluster, self._access, path, account)

    def unchecked(self, app: Application) -> Cluster:
        """In its name, for what another setting of the operator allows. Raises NotAllowedError where it may act as nobody."""
        account = self.place(app)[1]
        return self._cluster.acting_as(account.user) if account is not None else self._cluster

    def objection(self, app: Application, ref: ObjectRef) -> str:
        """Why the application may not have that object now; empty when it may."""
        try:
            return self._access.objection(self.place(app)[0], ref)
        except NotAllowedError as error:
            return str(error)

    def look_objection(self, app: Application, ref: ObjectRef) -> str:
        """Why the application may not look at an object that is not its own: as far as it may have it, and Secrets at home alone."""
        if (ref.group, ref.kind) == ("", "Secret") and ref.namespace != app.key.namespace:
            return f"Secrets are read in the application's own namespace {app.key.namespace} alone"
        return self.objection(app, ref)


class ActingCluster:
    """Implements `reconciler.cluster.protocol.Cluster` but for watches, which are the daemon's own. Every call but those that ask for kinds
    raises NotAllowedError for what `access` does not allow a manifest at `path`, and names account and right where the cluster refuses."""

    def __init__(self, cluster: Cluster, access: Access, path: str, account: Account | None, denial: str = "") -> None:
        self._cluster, self._access, self._path, self._account, self._denial = cluster, access, path, account, denial
        self._acting = cluster.acting_as(account.user) if account is not None else cluster

    def acting_as(self, user: str) -> Cluster:
        raise NotAllowedError(f"who acts for {self._path} is settled: not {one_line(user, 80)}")

    async def kind(self, gvk: GVK) -> Kind:
        return await self._cluster.kind(gvk)

    def unwatched(self) -> AbstractSet[tuple[str, str]]:
        return self._cluster.unwatched()

    async def kinds(self) -> _Kinds:
        return await self._cluster.kinds()

    async def capabilities(self) -> Capabilities:
        return await self._cluster.capabilities()

    async def lookup(self, word: str) -> Kind:
        return await self._cluster.lookup(word)

    async def get(self, ref: ObjectRef) -> JsonObject:
        return await self._call(ref, lambda: self._acting.get(ref))

    async def list(
        self,
        kind: GVK | None,
        namespace: str = "",
        labels: Mapping[str, str | None] | None = None,
        page: str = "",
        limit: int = 500,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        """Of one kind and namespace alone."""
        if kind is None or not namespace:
            raise NotAllowedError("an application lists one kind in one namespace, never more")
        ref = ObjectRef(kind.api_version, kind.kind, namespace, "")
        return await self._call(ref, lambda: self._acting.list(kind, namespace, labels, page, limit, fields))

    def watch(
        self,
        kind: GVK | None,  # noqa: ARG002
        labels: Mapping[str, str | None] | None = None,  # noqa: ARG002
        since: str = "",  # noqa: ARG002
        *,
        bare: bool = False,  # noqa: ARG002
        namespace: str = "",  # noqa: ARG002
    ) -> AsyncIterator[WatchEvent]:
        raise NotAllowedError("watches are the daemon's own, in nobody's name")

    async def create(self, obj: JsonObject) -> JsonObject:
        return await self._call(ObjectRef.of(obj), lambda: self._acting.create(obj), obj)

    async def replace(self, obj: JsonObject) -> JsonObject:
        return await self._call(ObjectRef.of(obj), lambda: self._acting.replace(obj), obj)

    async def replace_status(self, obj: JsonObject) -> JsonObject:
        return await self._call(ObjectRef.of(obj), lambda: self._acting.replace_status(obj), obj)

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        return await self._call(ObjectRef.of(obj), lambda: self._acting.apply(obj, manager, force, dry_run), obj)

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        await self._call(ref, lambda: self._acting.delete(ref, uid, version, propagation))

    async def _call(self, ref: ObjectRef, call: Callable[[], Awaitable[T]], obj: JsonObject | None = None) -> T:
        if self._denial:
            raise NotAllowedError(self._denial)
        kind = await self._cluster.kind(ref.gvk)
        judged = ObjectRef(kind.served.api_version, ref.kind, ref.namespace if kind.namespaced else "", ref.name)
        objection = (owner_objection(obj) if obj is not None else "") or self._access.objection(self._path, judged)
        if objection:
            raise NotAllowedError(objection)
        try:
            return await call()
        except ForbiddenError as error:
            raise ForbiddenError(self._explain(judged, str(error))) from None

    def _explain(self, ref: ObjectRef, said: str) -> str:
        """Who may not do what, and the command that shows it. Where it is no lack of rights (a quota, a policy), what was said."""
        told = _REFUSED.search(said)
        if told is None:
            return said
        verb, group = told["verb"], told["group"]
        resource = f"{told['resource']}.{group}" if group else told["resource"]
        who, flag = (f"service account {self._account}", f" --as {self._account.user}") if self._account is not None else ("the daemon", "")
        if verb == "impersonate":
            who, flag = f"the daemon, as {who},", ""
        where, scope = (f"namespace {ref.namespace}", f" --namespace {ref.namespace}") if ref.namespace else ("the whole cluster", "")
        return f"{who} may not {verb} {resource} in {where} (kubectl auth can-i {verb} {resource}{scope}{flag}): {one_line(said, 400)}"
