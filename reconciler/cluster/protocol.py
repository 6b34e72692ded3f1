"""
What the engine needs of a cluster, over plain dicts. Two implementations, one contract test suite.

Objects are Kubernetes objects as JSON values. Every call may raise a `ClusterError`, whose type says what to do next.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from reconciler.model.chart import Capabilities
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.outcome import Retry


class ClusterError(Exception):
    """Root of what a cluster can answer. `retry` is what the engine must do next."""

    retry: ClassVar[Retry] = "backoff"
    reason: ClassVar[str] = "ClusterError"


class NotFoundError(ClusterError):
    """404: the object is not there. `retry` is terminal: asking again changes nothing."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "NotFound"


class NamespaceMissingError(ClusterError):
    """The namespace of the object does not exist (or is being deleted): wait for it."""

    retry: ClassVar[Retry] = "wait"
    reason: ClassVar[str] = "NamespaceMissing"


class KindUnknownError(ClusterError):
    """No such kind is served: a CRD may yet bring it."""

    retry: ClassVar[Retry] = "wait"
    reason: ClassVar[str] = "KindUnknown"


class AlreadyExistsError(ClusterError):
    """409 on create."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "AlreadyExists"


class ConflictError(ClusterError):
    """409: resourceVersion or a uid precondition did not hold. Read again, decide again."""

    retry: ClassVar[Retry] = "now"
    reason: ClassVar[str] = "Conflict"


class OwnershipError(ClusterError):
    """409 on apply without force: another manager owns a field. The message names manager and field."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "FieldConflict"


class InvalidError(ClusterError):
    """422 or 400: the object is refused, immutable fields included. The message names the field, never a secret value."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "Invalid"


class ImmutableError(InvalidError):
    """422: a field would change that can't be changed in place. The message names it."""

    reason: ClassVar[str] = "Immutable"


class ForbiddenError(ClusterError):
    """401 or 403: the daemon's identity may not do it, a quota is used up, or a policy refuses it. Somebody may yet change that."""

    retry: ClassVar[Retry] = "backoff"
    reason: ClassVar[str] = "Forbidden"


class ExpiredError(ClusterError):
    """410: the watch is older than what is kept. List again."""

    retry: ClassVar[Retry] = "now"
    reason: ClassVar[str] = "Expired"


class UnavailableError(ClusterError):
    """429, 5xx, timeouts, a lost connection."""

    retry: ClassVar[Retry] = "backoff"
    reason: ClassVar[str] = "Unavailable"


class KubeconfigError(ClusterError):
    """It can't be known where the cluster is, or who the daemon is to it: no kubeconfig, no such context, no credentials."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "Kubeconfig"


class Kind(NamedTuple):
    """A served kind. `served` is the version that answers: a removed version of a built-in kind maps to it."""

    gvk: GVK
    plural: str
    namespaced: bool
    served: GVK


class Page(NamedTuple):
    """`version`: the resourceVersion of the list, where a watch can start. `next`: pass as `page` for more, empty at the end."""

    items: list[JsonObject]
    version: str
    next: str = ""


class WatchEvent(NamedTuple):
    """`object` of a BOOKMARK carries only `metadata.resourceVersion`."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: JsonObject


Propagation = Literal["Background", "Foreground", "Orphan"]


class Cluster(Protocol):
    """A cluster. Methods are safe to call from many tasks of one event loop."""

    def acting_as(self, user: str) -> Cluster:
        """
        The same cluster in the name of a service account (`system:serviceaccount:NAMESPACE:NAME`), with its rights alone: what those do
        not allow raises ForbiddenError. It costs nothing, opens nothing and needs no closing. Raises ValueError for any other user.
        """
        ...

    async def kind(self, gvk: GVK) -> Kind:
        """Raises KindUnknownError. `apps/v1beta2 StatefulSet` answers with `served` = `apps/v1`."""
        ...

    async def kinds(self) -> list[Kind]:
        """All kinds that are served now, each in its preferred version."""
        ...

    def unwatched(self) -> AbstractSet[tuple[str, str]]:
        """(group, kind) of those that the daemon's account may not list or watch, as far as it was tried: watches of all kinds leave them out."""
        ...

    async def capabilities(self) -> Capabilities:
        """
        Its version and all that it serves, as charts ask for it. What others changed of it may be half a minute old: so often the cluster is
        asked at most, however many ask here.
        """
        ...

    async def lookup(self, word: str) -> Kind:
        """The kind that people mean by `deployment`, `Deployment`, `deploy` or `deployments.apps`. Raises LookupError."""
        ...

    async def get(self, ref: ObjectRef) -> JsonObject:
        """A live read. Raises NotFoundError, KindUnknownError."""
        ...

    async def list(
        self,
        kind: GVK | None,
        namespace: str = "",
        labels: Mapping[str, str | None] | None = None,
        page: str = "",
        limit: int = 500,
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        """
        `labels`: key to value; None asks only that the label exists. `fields`: dotted path to value, of those that an API server selects by:
        `metadata.name` and `metadata.namespace`, and of Events `involvedObject.uid` and what else names it; others are an InvalidError.
        Empty namespace: all of them. `kind` None: what such a watch tells of; there `limit` may be of each kind, and of objects whose health is
        that they are there, metadata alone may come.
        """
        ...

    def watch(
        self, kind: GVK | None, labels: Mapping[str, str | None] | None = None, since: str = "", *, bare: bool = False, namespace: str = ""
    ) -> AsyncIterator[WatchEvent]:
        """
        Events after `since`, of one namespace or, where it is empty, of all; `kind` None: every kind but the daemon's state kinds, Events and
        Leases, always of all namespaces.

        `since`: the version of a list's last page, of a BOOKMARK or, of one kind, of any event; empty: from now on. `kind` None goes on only
        where such a list or BOOKMARK was: its version is a place among all kinds, and an object's own is none. What is told again is older
        than what was told. `bare`: metadata alone is wanted; more may come.

        An object that stops matching the labels comes as DELETED, one that starts to match as ADDED. Bookmarks come at
        least once a minute or so. Raises ExpiredError when `since` is no longer kept. Ends only by being closed.
        """
        ...

    async def create(self, obj: JsonObject) -> JsonObject:
        """Raises AlreadyExistsError, NamespaceMissingError, InvalidError. Answers the object as stored (uid, resourceVersion)."""
        ...

    async def replace(self, obj: JsonObject) -> JsonObject:
        """
        Compare-and-swap on metadata.resourceVersion, which must be given. Raises ConflictError, NotFoundError. On kinds with a
        status subresource the status is left as it was.
        """
        ...

    async def replace_status(self, obj: JsonObject) -> JsonObject:
        """The same for the status subresource alone."""
        ...

    async def apply(self, obj: JsonObject, manager: str, force: bool = False, dry_run: bool = False) -> JsonObject:
        """
        Server-side apply. Raises OwnershipError (without force), NamespaceMissingError, KindUnknownError, InvalidError.

        Answers the object as it then is, with managedFields. An apply that changes nothing keeps the resourceVersion.
        """
        ...

    async def delete(self, ref: ObjectRef, uid: str = "", version: str = "", propagation: Propagation = "Background") -> None:
        """Preconditions on uid and resourceVersion where given. Raises NotFoundError, ConflictError."""
        ...


_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?:[a-z0-9][-.a-z0-9]{0,252}", re.ASCII)


def check_user(user: str) -> str:
    """That user, if it is a service account: nobody else is ever acted for. Raises ValueError."""
    if not _SERVICE_ACCOUNT.fullmatch(user):
        raise ValueError(f"not a service account's user: {user!r:.200}")
    return user


def fields_of(obj: JsonObject, manager: str) -> dict[str, Any] | None:
    """The fieldsV1 of the manager's own Apply entry (main resource, not a subresource), or None where it has none."""
    for entry in (obj.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields = entry.get("fieldsV1")
            return fields if isinstance(fields, dict) else {}
    return None
