"""Whose an object is: where it comes from, and letting go of it without deleting it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from reconciler.cluster.protocol import Cluster, ClusterError, ConflictError, NotFoundError
from reconciler.engine.content import ContentError
from reconciler.engine.contents import Contents
from reconciler.engine.observations import app_labels
from reconciler.model.application import Component
from reconciler.model.identity import AppKey, JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_RELEASED, ANNOTATION_REVISION, LABEL_APPLICATION, LABEL_NAMESPACE, LABEL_TRAIT, LABEL_UID
from reconciler.model.outcome import Retry
from reconciler.model.records import Content, InventoryItem
from reconciler.model.rules import Origin
from reconciler.model.text import one_line

_OURS = frozenset({LABEL_APPLICATION, LABEL_NAMESPACE, LABEL_UID})


class ReadOnlyMissingError(ClusterError):
    """An object that is only read is not there; somebody else may still make it."""

    retry: ClassVar[Retry] = "wait"
    reason: ClassVar[str] = "ReadOnlyMissing"


class NotOursError(ClusterError):
    """An object that is to be applied is there already and somebody else's."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "NotOurs"


class OwnerUnsettledError(ClusterError):
    """An object that is to be applied is of an application of which it is not known yet what it declares."""

    retry: ClassVar[Retry] = "wait"
    reason: ClassVar[str] = "OwnerUnsettled"


class ProtectedError(ClusterError):
    """Somebody marked the live object as one that is never deleted."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "Protected"


def objection(live: JsonObject, app: AppKey, owner_of: Callable[[str], AppKey | None], *, adopts: bool) -> str:
    """
    Why an application may not have an object that is there and not in its inventory; empty when it may: one that bears its name,
    that it released, or that another application has dropped, which `owner_of` knows by its uid (rules 1e, 3f).
    """
    meta = live["metadata"]
    labels = meta.get("labels") or {}
    if LABEL_UID not in labels:
        if adopts or (meta.get("annotations") or {}).get(ANNOTATION_RELEASED) == str(app):
            return ""
        return "it is there already and belongs to no application; a policy take-over adopts it, read-only leaves it as it is"
    owner = (labels.get(LABEL_NAMESPACE, ""), labels.get(LABEL_APPLICATION, ""))
    own = app_labels(app, "")
    if owner == (own[LABEL_NAMESPACE], own[LABEL_APPLICATION]) or owner_of(labels[LABEL_UID]) is not None:
        return ""
    return f"it is there already and bears the labels of {one_line('/'.join(owner), 130)}, which is not known here; a policy take-over adopts it"


async def have_back(cluster: Cluster, live: JsonObject) -> None:
    """Takes the note off an object that was released, before it is applied again. Raises ClusterError."""
    meta = live["metadata"]
    annotations = meta.get("annotations") or {}
    if ANNOTATION_RELEASED in annotations:
        rest = {name: value for name, value in annotations.items() if name != ANNOTATION_RELEASED}
        await cluster.replace({**live, "metadata": {**meta, "annotations": rest}})


def origin_of(component: Component, obj: JsonObject) -> Origin:
    """What rules select a rendered object by."""
    meta = obj["metadata"]
    return Origin(component.name, component.type, (meta.get("labels") or {}).get(LABEL_TRAIT, ""), obj["kind"], meta["name"])


def managed(content: Content) -> tuple[list[ObjectRef], list[ObjectRef]]:
    """The objects that a revision declares: those that are its own, and those that it only reads."""
    own: list[ObjectRef] = []
    read: list[ObjectRef] = []
    for component in content.application.components:
        for obj in content.rendered.get(component.id, []):
            (read if content.application.rules.only_reads(origin_of(component, obj)) else own).append(ObjectRef.of(obj))
    return own, read


def shared(content: Content) -> list[ObjectRef]:
    """The objects of a revision that other applications may have as well."""
    rules = content.application.rules
    found = [(component, obj) for component in content.application.components for obj in content.rendered.get(component.id, [])]
    return [ObjectRef.of(obj) for component, obj in found if rules.shares(origin_of(component, obj))]


async def origin_of_item(contents: Contents, key: AppKey, item: InventoryItem) -> Origin:
    """The same of an object that was applied, whatever is declared now. What is not known of it any more is empty."""
    ref = item.object
    unknown = Component(item.component, item.component.partition("@")[0], "")
    try:
        application = (await contents.get(key, item.revision)).application
        objects = await contents.applied_objects(key, item.revision, item.component, item.content)
    except ContentError:
        application, objects = None, []
    known = application.components if application is not None else []
    component = next((component for component in known if component.id == item.component), unknown)
    applied = next((obj for obj in objects if ObjectRef.of(obj).identity == ref.identity), {"kind": ref.kind, "metadata": {"name": ref.name}})
    return origin_of(component, applied)


async def release(cluster: Cluster, item: InventoryItem, owner: str, key: AppKey) -> bool:
    """
    Takes our labels off an object that stays, and notes on it whose it was, so that this application may have it again. False
    where it is gone or not ours (any more). Raises ClusterError.
    """
    try:
        live = await cluster.get(item.object)
        meta = live["metadata"]
        labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
        if labels.get(LABEL_UID) != owner or meta["uid"] != item.uid:
            return False
        freed = {
            **meta,
            "labels": {name: value for name, value in labels.items() if name not in _OURS},
            "annotations": {**{name: value for name, value in annotations.items() if name != ANNOTATION_REVISION}, ANNOTATION_RELEASED: str(key)},
        }
        await cluster.replace({**live, "metadata": freed})
    except NotFoundError:
        return False
    except ConflictError:
        return await release(cluster, item, owner, key)
    return True
