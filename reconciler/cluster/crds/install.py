"""Bringing definitions to a cluster: only where no foreign one is (rule 3a), and never an older one over a newer one (rule 3g)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, NamedTuple

from reconciler.cluster.protocol import Cluster, ClusterError, ForbiddenError, KindUnknownError, NotFoundError, UnavailableError
from reconciler.model.identity import GVK, JsonObject, ObjectRef
from reconciler.model.names import ANNOTATION_SCHEMA, FIELD_MANAGER, LABEL_CRD, STATE_VERSION
from reconciler.model.text import one_line

SERVED_SECONDS: Final = 30.0
"""How long it may take until a definition is served."""

_PAUSE: Final = 0.25
_LISTED: Final = 5

Standing = Literal["absent", "older", "same", "newer", "foreign"]


class Found(NamedTuple):
    """
    How a definition stands in a cluster, by its name, `<plural>.<group>`.
    Older: ours, and not as this version makes it; `lacks` names fields that such a server would drop.
    Foreign: it bears another's name or none; `detail` says whose. Newer: made for state that this version can't read.
    """

    name: str
    standing: Standing
    detail: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        return self.name.partition(".")[2]

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.standing == "older" and self.lacks:
            more = f" and {len(self.lacks) - _LISTED} more" if len(self.lacks) > _LISTED else ""
            return f"{self.name}: older than this version: it lacks {', '.join(self.lacks[:_LISTED])}{more}"
        words = {
            "absent": "not there",
            "older": "ours, and not as this version makes it",
            "same": "as this version makes it",
            "newer": f"made for state of version {self.detail}, newer than this program's {STATE_VERSION}: upgrade it (rule 3g)",
            "foreign": f"not ours ({self.detail}): left as it is",
        }
        return f"{self.name}: {words[self.standing]}"


def _ref(name: str) -> ObjectRef:
    return ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)


async def find(cluster: Cluster, crd: JsonObject) -> Found:
    """Reads one. Raises ClusterError."""
    name = str(crd["metadata"]["name"])
    try:
        live = await cluster.get(_ref(name))
    except NotFoundError:
        return Found(name, "absent")
    return compare(crd, live)


def compare(crd: JsonObject, live: JsonObject) -> Found:
    """How the definition that lives stands to the one that this version makes."""
    name, meta = str(crd["metadata"]["name"]), live["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    if labels.get(LABEL_CRD) != "true":
        return Found(name, "foreign", _whose(meta))
    made_for = str(annotations.get(ANNOTATION_SCHEMA, STATE_VERSION))
    if ANNOTATION_SCHEMA in crd["metadata"]["annotations"] and (not made_for.isdecimal() or int(made_for) > STATE_VERSION):
        return Found(name, "newer", one_line(made_for, 20))
    lacks = tuple(dict.fromkeys(_lacking(crd["spec"], live["spec"])))
    same = not lacks and _holds(live["spec"], crd["spec"]) and _named(live["spec"]) == _named(crd["spec"])
    return Found(name, "same" if same else "older", lacks=lacks)


def _whose(meta: JsonObject) -> str:
    """By the marks that installers leave; its managers where there are none."""
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    release = annotations.get("meta.helm.sh/release-name")
    if release:
        return one_line(f"of the Helm release {annotations.get('meta.helm.sh/release-namespace', '')}/{release}", 120)
    part = labels.get("app.kubernetes.io/part-of") or labels.get("app.kubernetes.io/managed-by") or labels.get("app.kubernetes.io/name")
    managers = dict.fromkeys(str(entry.get("manager")) for entry in meta.get("managedFields") or [] if not entry.get("subresource"))
    said = f"of {part}" if part else f"made by {', '.join(managers)}" if managers else "nobody's name is on it"
    return one_line(said, 120)


def _fields(schema: Any, path: str = "") -> Iterator[str]:
    """The path of each property that is named, and of each place whose content is kept whatever it is."""
    if not isinstance(schema, dict):
        return
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield f"{path}.*"
    for name, sub in (schema.get("properties") or {}).items():
        yield f"{path}.{name}"
        yield from _fields(sub, f"{path}.{name}")
    yield from _fields(schema.get("items"), f"{path}[]")
    yield from _fields(schema.get("additionalProperties"), f"{path}[]")


def _named(definition: JsonObject) -> dict[str, set[str]]:
    """The fields of each of a definition's versions."""
    return {version["name"]: set(_fields(_schema(version))) for version in definition.get("versions") or []}


def _lacking(ours: JsonObject, theirs: JsonObject) -> Iterator[str]:
    """The fields of one definition's versions that the other would drop."""
    known = _named(theirs)
    for version in ours["versions"]:
        have = known.get(version["name"])
        if have is None:
            yield f"version {version['name']}"
            continue
        yield from (path.removeprefix(".") for path in _fields(_schema(version)) if not _keeps(have, path))


def _keeps(have: set[str], path: str) -> bool:
    """Whether a field is named, or stands in the nearest known place, which keeps whatever it is given."""
    if path in have:
        return True
    parent = path.rpartition(".")[0]
    name = parent.removesuffix("[]")
    return f"{parent}.*" in have or (bool(name) and name not in have and _keeps(have, name))


def _schema(version: JsonObject) -> Any:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _holds(live: Any, wanted: Any) -> bool:
    """Whether all that is wanted stands there; a server adds its defaults."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(name in live and _holds(live[name], value) for name, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(_holds, live, wanted))
    return bool(live == wanted)


async def plan(cluster: Cluster, crds: Iterable[JsonObject]) -> list[tuple[JsonObject, Found]]:
    """What stands where of these. Raises ClusterError."""
    return [(crd, await find(cluster, crd)) for crd in crds]


async def install(cluster: Cluster, planned: Iterable[tuple[JsonObject, Found]]) -> list[str]:
    """Those that are absent or older, until they are served; answers their names. Raises ClusterError."""
    wanted = [crd for crd, found in planned if found.standing in ("absent", "older")]
    for crd in wanted:
        await cluster.apply(crd, FIELD_MANAGER, force=True)  # it is ours by its label, whoever brought it
    tries = round(SERVED_SECONDS / _PAUSE)
    for crd in wanted:
        while not (_is_established(await cluster.get(_ref(crd["metadata"]["name"]))) and await _is_known(cluster, crd)):
            tries -= 1
            if not tries:
                raise UnavailableError(f"{crd['metadata']['name']} is not served {SERVED_SECONDS:g} s after it was applied")
            await asyncio.sleep(_PAUSE)
    return [str(crd["metadata"]["name"]) for crd in wanted]


async def _is_known(cluster: Cluster, crd: JsonObject) -> bool:
    """Whether its kinds can be asked for: a server may tell of them some time after it has established the definition."""
    spec = crd["spec"]
    try:
        for version in (each for each in spec["versions"] if each["served"]):
            await cluster.kind(GVK(spec["group"], version["name"], spec["names"]["kind"]))
    except KindUnknownError:
        return False
    return True


def _is_established(live: JsonObject) -> bool:
    conditions = (live.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Established" and condition.get("status") == "True" for condition in conditions)


class DefinitionError(ClusterError):
    """The daemon's own kinds are not in the cluster as it needs them. The message says the command that helps."""

    retry = "terminal"
    reason = "DefinitionsMissing"


async def prepare(cluster: Cluster, crds: Iterable[JsonObject], *, bring: bool) -> list[str]:
    """
    Before a daemon begins on a cluster: its kinds are there, and keep all that it stores. `bring`: it may bring them itself.

    Answers what is to be said. Raises DefinitionError where something is missing or newer, and ClusterError. Who may not read definitions
    believes what the cluster serves.
    """
    try:
        planned = await plan(cluster, crds)
    except ForbiddenError as error:
        return [f"definitions can't be read, so it is not known whether they keep all that is stored: {error}"]
    refused = [found.sentence for _, found in planned if found.standing in ("newer", "foreign")]
    if refused:
        raise DefinitionError("; ".join(refused))
    if bring:
        return [f"{name}: installed" for name in await install(cluster, planned)]
    missing = [found.sentence for _, found in planned if found.standing == "absent" or found.lacks]
    if missing:
        raise DefinitionError(f"{'; '.join(missing)}. `reconciler install` brings them, and so does --install-crds on")
    return [f"{found.sentence}; `reconciler install` renews it" for _, found in planned if found.standing == "older"]


async def find_foreign(cluster: Cluster, crds: Iterable[JsonObject]) -> list[Found]:
    """Those of the families that somebody else brought: their objects are another controller's. Empty where they can't be read."""
    try:
        return [found for _, found in await plan(cluster, crds) if found.standing == "foreign"]
    except ClusterError:
        return []
