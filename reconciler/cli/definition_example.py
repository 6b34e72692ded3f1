"""A component, a trait or a policy of a definition rendered with properties that are given: what objects it makes, and which it changes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final, NoReturn, cast

import msgspec

from reconciler.cli.definition_source import Defined
from reconciler.cli.definition_trial import Moment
from reconciler.cli.errors import RefusedError, UsageError
from reconciler.engine.contents import NoFiles
from reconciler.model.application import Component, Definition, Kind, Trait
from reconciler.model.chart import Capabilities
from reconciler.model.identity import JsonObject, ObjectRef
from reconciler.render.engine import ComponentRenderer
from reconciler.render.protocol import RenderContext, RenderError

_CONTEXT: Final[Mapping[str, type]] = {
    "name": str,
    "appName": str,
    "namespace": str,
    "appRevision": str,
    "appLabels": dict,
    "appAnnotations": dict,
    "clusterVersion": dict,
}
_NAME: Final = "example"


def render_example(one: Defined, properties: dict[str, Any], given: Mapping[str, Any], workload: list[JsonObject]) -> list[Moment]:
    """
    What a component or a policy makes, or a trait of a workload: of the objects that there were, each that is other now `changes`, what is new it
    `makes`. `given`: what `context` has. Without a workload a trait is rendered on a small Deployment. Raises RefusedError and UsageError.
    """
    name, context = _read_context(given, one)
    before: dict[ObjectRef, JsonObject] = {}
    if one.kind == "component":
        component = Component("example", name, one.name, properties, defined=True)
    elif one.kind == "policy":
        component = Component("example", name, one.name, properties, defined=True, kind="policy")
    else:
        trait, objects = Trait(one.name, properties), workload or [_make_deployment(name)]
        component = Component("example", name, "k8s-objects", {"objects": objects}, [trait])
        before = {ObjectRef.of(obj): obj for obj in _render(component, [], context)}
    found = _render(component, component.traits, context)
    return [Moment(_tell(before.get(ObjectRef.of(obj)), obj), str(ObjectRef.of(obj)), objects=[obj]) for obj in found]


def _render(component: Component, traits: list[Trait], context: RenderContext) -> list[JsonObject]:
    copy = msgspec.structs.replace(component, properties=deepcopy(component.properties), traits=traits)
    try:
        return ComponentRenderer().render(copy, context, NoFiles())
    except RenderError as error:
        raise RefusedError(str(error)) from None


def _tell(before: JsonObject | None, now: JsonObject) -> str:
    return "makes" if before is None else "leaves" if before == now else "changes"


def _read_context(given: Mapping[str, Any], one: Defined) -> tuple[str, RenderContext]:
    """The name of the component or policy, and all that a template sees beside it."""
    for name, value in given.items():
        if name not in _CONTEXT:
            raise UsageError(f"context of a {one.kind} has no {name}; it has {', '.join(_CONTEXT)}")
        if not isinstance(value, _CONTEXT[name]):
            _refuse(name, _CONTEXT[name])
        if isinstance(value, dict) and not all(isinstance(word, str) for word in value.values()):
            raise UsageError(f"context: {name} is a mapping of texts")
    name, version = str(given.get("name") or _NAME), given.get("clusterVersion") or {}
    number = version.get("gitVersion") or (f"v{version['major']}.{version['minor']}.0" if {"major", "minor"} <= version.keys() else "")
    definition = Definition(cast("Kind", one.kind), one.name, one.template)
    return name, RenderContext(
        given.get("appName") or name,
        given.get("namespace") or "default",
        "",
        {},
        Capabilities(number),
        (definition,),
        given.get("appRevision") or "",
        given.get("appLabels") or {},
        given.get("appAnnotations") or {},
    )


def _refuse(name: str, wanted: type) -> NoReturn:
    raise UsageError(f"context: {name} is a {'text' if wanted is str else 'mapping'}")


def _make_deployment(name: str) -> JsonObject:
    """What a trait finds that is tried without a workload: the least that a cluster takes."""
    labels = {"app.oam.dev/component": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": "example"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": dict(labels)}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
