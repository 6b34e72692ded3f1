"""Component, trait and policy types that the repository defines in CUE: what their templates make, in the sandbox, and how it is marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from reconciler.model.application import Component, Definition, Trait
from reconciler.model.identity import JsonObject
from reconciler.model.names import COMPONENT_LABEL, LABEL_TRAIT, NAME_LABEL, TRAIT_OF, TRAIT_RESOURCE, WORKLOAD_OF
from reconciler.model.text import one_line
from reconciler.render.definitions import shared
from reconciler.render.protocol import RenderContext, RenderError
from reconciler.render.sandbox import SandboxError
from reconciler.render.sealed import unwrap_tokens

AUXILIARY: Final = "AuxiliaryWorkload"
"""What objects of a component beside its output have in the place of their trait's type, as in KubeVela."""
_NEWEST: Final = "v1.36.0"
_LABEL_VALUE: Final = re.compile(r"[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", re.ASCII)
_NO_NAME: Final = re.compile(r"[^a-z0-9]+", re.ASCII)
_VERSION: Final = re.compile(r"v?([0-9]{1,4})\.([0-9]{1,4})", re.ASCII)


class _Part(NamedTuple):
    """One trait, and its place among all of the component."""

    place: int
    trait: Trait
    definition: Definition


def render_defined(component: Component, traits: Sequence[Trait], context: RenderContext) -> list[JsonObject]:
    """What a component (or policy) of a defined type is made of, with its first traits, whose types are defined, too. Raises RenderError."""
    definition = context.definition(component.kind, component.type)
    if definition is None:
        raise RenderError(f"{component.title}: the definition of {one_line(component.type, 60)} is not part of its revision")
    part = {"type": component.type, "template": definition.template, "parameter": component.properties}
    return _Rendering(component, context, _parts(0, traits, context)).go({"component": part, "output": None, "outputs": []}, [])


def apply_defined(component: Component, first: int, traits: Sequence[Trait], context: RenderContext, objects: list[JsonObject]) -> None:
    """
    Traits of defined types on objects, in place; `first`: the place of the first of them among all of the component. Of objects that were made
    otherwise the first is the component's output. Raises RenderError.
    """
    outputs = [{"name": _name_of(obj, place), "trait": _trait_of(obj), "object": obj} for place, obj in enumerate(objects) if place]
    asked = {"component": None, "output": objects[0] if objects else None, "outputs": outputs}
    objects[:] = _Rendering(component, context, _parts(first, traits, context)).go(asked, objects)


def _parts(first: int, traits: Sequence[Trait], context: RenderContext) -> list[_Part]:
    found = [(place, trait, context.definition("trait", trait.type)) for place, trait in enumerate(traits, first)]
    return [_Part(place, trait, definition) for place, trait, definition in found if definition is not None]


class _Rendering:
    """One call of the sandbox."""

    def __init__(self, component: Component, context: RenderContext, parts: list[_Part]) -> None:
        self._component, self._context, self._parts = component, context, parts

    def go(self, asked: dict[str, Any], before: list[JsonObject]) -> list[JsonObject]:
        traits = [{"type": part.trait.type, "template": part.definition.template, "parameter": part.trait.properties} for part in self._parts]
        try:
            answer = shared().render({**asked, "context": template_context(self._component, self._context), "traits": traits})
        except SandboxError as error:
            raise self._explain(error) from error
        made = [] if answer["output"] is None else [self._mark(answer["output"], "", "", new=not before)]
        for place, each in enumerate(answer["outputs"]):
            made.append(self._mark(each["object"], each["name"], each["trait"] or AUXILIARY, new=place + 1 >= len(before)))
        return unwrap_tokens(self._component.title, made)

    def _mark(self, obj: Any, name: str, trait: str, *, new: bool) -> JsonObject:
        """KubeVela's labels on what a template made, and a name where it gave none: a policy's for all that it makes. One that was there before
        keeps its own."""
        if not new or not isinstance(obj, dict):
            return obj  # type: ignore[no-any-return]  # what is no mapping is refused with all others
        meta = obj.setdefault("metadata", {})
        if not isinstance(meta, dict):
            return obj
        if not meta.get("name"):
            meta["name"] = _joined(self._component.name, name if self._component.kind == "component" else "")
        labels = {NAME_LABEL: self._context.application, COMPONENT_LABEL: self._component.name}
        if trait:
            labels |= {TRAIT_OF: trait, TRAIT_RESOURCE: name} | ({LABEL_TRAIT: trait} if trait != AUXILIARY else {})
        elif self._component.kind == "component":
            labels[WORKLOAD_OF] = self._component.type
        given = meta.get("labels") or {}
        if isinstance(given, dict):
            meta["labels"] = {**given, **{key: value for key, value in labels.items() if _LABEL_VALUE.fullmatch(value)}}
        return obj

    def _explain(self, error: SandboxError) -> RenderError:
        """The component, the type whose template it is, the line there, and what is wrong."""
        where = self._component.title
        index = re.fullmatch(r"traits\[([0-9]+)\]", error.file)
        if index is not None:
            part = self._parts[int(index[1])]
            where += f": traits[{part.place}]: the definition of {one_line(part.trait.type, 60)}"
        elif error.file:
            where += f": the definition of {one_line(self._component.type, 60)}"
        if error.line:
            where += f", line {error.line} of its template"
        return RenderError(f"{where}: {one_line(error.message, 600)}")


def template_context(component: Component, context: RenderContext) -> dict[str, Any]:
    """What a template sees as `context`. A component of several places sees the namespace of each."""
    version = context.capabilities.kube_version or _NEWEST
    numbers = _VERSION.match(version)
    revision = context.revision or f"{context.application}-v1"
    number = revision.rpartition("-v")[2]
    return {
        "name": component.name,
        "namespace": component.namespace or context.namespace,
        "appName": context.application,
        "appRevision": revision,
        "appRevisionNum": int(number) if number.isdecimal() else 0,
        "revision": revision,
        "appLabels": dict(context.labels),
        "appAnnotations": dict(context.annotations),
        "publishVersion": context.annotations.get("app.oam.dev/publishVersion", ""),
        "workflowName": context.annotations.get("app.oam.dev/workflowName", context.application),
        "replicaKey": "",
        "cluster": "",
        "clusterVersion": {
            "major": numbers[1] if numbers else "1",
            "minor": int(numbers[2]) if numbers else 0,
            "gitVersion": version,
            "platform": "linux/amd64",
        },
    }


def _name_of(obj: JsonObject, place: int) -> str:
    labels = obj["metadata"].get("labels") or {}
    return str(labels.get(TRAIT_RESOURCE) or f"objects-{place}")


def _trait_of(obj: JsonObject) -> str:
    labels = obj["metadata"].get("labels") or {}
    found = str(labels.get(TRAIT_OF) or labels.get(LABEL_TRAIT) or "")
    return "" if found == AUXILIARY else found


def _joined(component: str, name: str) -> str:
    """The component's name, and for what is beside its output the name there, as an object can be called."""
    return f"{component}-{_NO_NAME.sub('-', name.lower())}".strip("-") if name else component
