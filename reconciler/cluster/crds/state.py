"""
The definitions of the daemon's own state kinds (rule 3a), made of the shapes in which state is stored: they can't drift apart.

They keep everything: the daemon alone writes these objects. A server pays for each name of a schema at each write, so they name what people
read of the mirror, and tell the fields of the other two in words.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from reconciler.cluster.crds.structural import outlined, schema_of, whole
from reconciler.model.identity import JsonObject
from reconciler.model.names import ANNOTATION_SCHEMA, GROUP, LABEL_CRD, STATE_VERSION
from reconciler.model.records import Mirror, Shown

KEPT: Final = {"helm.sh/resource-policy": "keep"}
"""Whoever uninstalls the daemon keeps the definitions, and with them the state of every application (rule 1f)."""

_TEXT: Final = {"type": "string"}
_AGE: Final = ("Age", "date", ".metadata.creationTimestamp")
_READY: Final = '.status.conditions[?(@.type=="Ready")]'


def _column(name: str, kind: str, path: str, priority: int = 0) -> JsonObject:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})


def _texts(**texts: str) -> JsonObject:
    """An object of texts that must be there, each with what is said of it."""
    properties = {name: _TEXT | {"description": text} for name, text in texts.items()}
    return whole({"type": "object", "properties": properties, "required": list(texts)})


def _application() -> JsonObject:
    stored, shown = schema_of(Mirror), schema_of(Shown)
    status = outlined(
        stored | {"properties": stored["properties"] | shown["properties"]},
        observedGeneration="The generation of this object that this status has seen.",
        conditions="As docs/conditions.md lists them: Ready and Healthy always, any other while it applies.",
        phase="Of the newest run.",
        health="The worst of what it has.",
        sync="Whether what git declares is what runs.",
        lastAttemptedRevision="The revision that was run last.",
        lastAppliedRevision="The revision that runs: its run succeeded.",
        lastHandledReconcileAt="The value of the annotation reconcile.reconciler.dev/requestedAt that was answered last.",
        step="The gate at which the open run waits, else the step at which it is.",
        history="The newest runs, newest first: run, revision, kind, phase, reason, commit, startedAt, finishedAt.",
        desired="What git declares: revision, digest, commit.",
        running="What runs: revision, digest, commit.",
        inventory="The objects that the application has: ref, uid, revision, component and what is known of each.",
    )
    spec = _texts(application="Its name.", namespace="The namespace that its manifest names.", family="Of its manifest.")
    text = (
        "What the daemon knows of an application that git declares. Output: nothing in it is read but the annotation requestedAt. "
        "The status holds more than is named here: the daemon's memory."
    )
    return _root(text, spec=spec, status=status)


def _revision() -> JsonObject:
    spec = _told(
        application="Whose it is.",
        namespace="Of the application.",
        record="number, name, digest, commit, createdAt; objects: refs of all that it declares; pins: its charts.",
        content="By which its parts are found and checked.",
        inline="The content itself, where it is small and holds no secret.",
    )
    return _root("One revision of an application: all that is needed to run it again without git, network or renderer.", spec=spec)


def _run() -> JsonObject:
    spec = _told(application="Whose it is.", namespace="Of the application.", revision="What it runs.", digest="Of what git declared.")
    status = _told(
        kind="What it is for: deploy, restore, undo.",
        phase="Where it stands.",
        reason="Why it ended so.",
        message="What a person is to know.",
        startedAt="When its first step began.",
        finishedAt="When it ended.",
        commit="What brought it about: id, author, message, time.",
        steps="name, type, phase, message, startedAt, finishedAt of each, and what the daemon knows of its effects.",
        decisions="Those that were used: gate, verb, commit, author.",
    )
    text = "One execution of a revision's workflow. Deleting it terminates it; the finalizer holds it until that is stored."
    return _root(text, spec=spec, status=status)


def _told(**texts: str) -> JsonObject:
    """An object whose fields are told in its description, and are no names of the schema: of these kinds there are the most writes."""
    return outlined({}) | {"description": "\n".join(f"{name}: {text}" for name, text in texts.items())}


def _root(text: str, **parts: JsonObject) -> JsonObject:
    fixed = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}}
    return {"type": "object", "description": text, "properties": {**fixed, **parts}, "required": ["spec"]}


def definition(
    group: str, version: str, kind: str, plural: str, short: tuple[str, ...], schema: JsonObject, columns: list[JsonObject], **options: Any
) -> JsonObject:
    """A CustomResourceDefinition of one version. `options`: `status`, whether it has that subresource; `scope`; `categories`."""
    one: JsonObject = {"name": version, "served": True, "storage": True}
    if options.get("status"):
        one["subresources"] = {"status": {}}
    if columns:
        one["additionalPrinterColumns"] = columns
    names: JsonObject = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    if short:
        names["shortNames"] = list(short)
    if options.get("categories"):
        names["categories"] = list(options["categories"])
    meta = {"name": f"{plural}.{group}", "labels": {LABEL_CRD: "true"}, "annotations": dict(KEPT)}
    spec = {"group": group, "names": names, "scope": options.get("scope", "Namespaced"), "conversion": {"strategy": "None"}}
    versions = [one | {"schema": {"openAPIV3Schema": schema}}]
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec | {"versions": versions}}


@cache
def state_crds() -> tuple[JsonObject, ...]:
    """Application, ApplicationRevision and WorkflowRun of our own group. Shared: not to be changed."""
    application = [
        _column("Ready", "string", f"{_READY}.status"),
        _column("Phase", "string", ".status.phase"),
        _column("Revision", "string", ".status.lastAppliedRevision"),
        _column("Step", "string", ".status.step"),
        _column("Message", "string", f"{_READY}.message"),
        _column(*_AGE),
        _column("Health", "string", ".status.health", 1),
        _column("Sync", "string", ".status.sync", 1),
        _column("Attempted", "string", ".status.lastAttemptedRevision", 1),
        _column("Commit", "string", ".status.desired.commit", 1),
        _column("File", "string", ".status.path", 1),
    ]
    revision = [
        _column("Application", "string", ".spec.application"),
        _column("Revision", "string", ".spec.record.name"),
        _column("Commit", "string", ".spec.record.commit"),
        _column(*_AGE),
        _column("Digest", "string", ".spec.record.digest", 1),
    ]
    run = [
        _column("Revision", "string", ".spec.revision"),
        _column("Kind", "string", ".status.kind"),
        _column("Phase", "string", ".status.phase"),
        _column("Reason", "string", ".status.reason"),
        _column("Message", "string", ".status.message"),
        _column(*_AGE),
        _column("Started", "date", ".status.startedAt", 1),
        _column("Finished", "date", ".status.finishedAt", 1),
    ]
    found = (
        _own("Application", "rapp", _application(), application, status=True),
        _own("ApplicationRevision", "rrev", _revision(), revision),
        _own("WorkflowRun", "rrun", _run(), run),
    )
    for document in found:
        document["metadata"]["annotations"][ANNOTATION_SCHEMA] = str(STATE_VERSION)
    return found


def _own(kind: str, short: str, schema: JsonObject, columns: list[JsonObject], *, status: bool = False) -> JsonObject:
    plural = f"{kind.lower()}s"
    return definition(GROUP, "v1alpha1", kind, plural, (short,), schema, columns, status=status, categories=("reconciler",))
