"""`kustomize`: what `kustomize build` makes of a folder of the repository, without the command."""

from __future__ import annotations

from reconciler.dialects.kustomizations import KustomizationError, find_reach
from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.text import one_line
from reconciler.render.fields import Fields
from reconciler.render.placement import flatten_lists
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.sandbox import SandboxError, shared


def render_kustomize(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """Objects in the order of `kustomize build`. None at all is an error: what is missing would be pruned (rule 1)."""
    fields = Fields(component.name, component.properties)
    folder = fields.required("path").strip("/")
    try:
        contents: dict[str, bytes] = {}
        for reached in find_reach(folder, files).folders:
            contents |= files.tree(reached)
        answer = shared().call("kustomize", "build", {"path": folder}, contents)
    except (KustomizationError, FileNotFoundError, ValueError) as error:
        raise fields.error("path", one_line(error, 500)) from error
    except SandboxError as error:
        raise fields.error("path", f"{one_line(folder)}: {one_line(error.message, 1000)}") from error
    objects = flatten_lists(answer["objects"])
    if not objects:
        raise fields.error("path", f"the kustomization {one_line(folder)} makes no object")
    return objects
