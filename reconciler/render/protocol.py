"""Components to objects."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from reconciler.model.application import Component, Definition, Kind
from reconciler.model.chart import Capabilities
from reconciler.model.identity import JsonObject


class RenderError(Exception):
    """
    The component can't be rendered; the message names component and field. Terminal: the same input fails the same way. `field`: where in the
    manifest it is declared.
    """

    field = "spec.components"


class RenderContext(NamedTuple):
    """
    `namespace`: where objects without one go. `values`: the environment's globals. `capabilities`: what a chart may know of the cluster.
    `definitions`: of the types that the repository defines, for whose templates are `revision` (its display name), and `labels` and `annotations`
    of the application.
    """

    application: str
    namespace: str
    environment: str
    values: Mapping[str, Any]
    capabilities: Capabilities = Capabilities()
    definitions: tuple[Definition, ...] = ()
    revision: str = ""
    labels: Mapping[str, str] = MappingProxyType({})
    annotations: Mapping[str, str] = MappingProxyType({})

    def definition(self, kind: Kind, name: str) -> Definition | None:
        """That of a type; None for one that is built in."""
        return next((found for found in self.definitions if found.kind == kind and found.name == name), None)


class Files(Protocol):
    """The repository at the commit of the revision (structurally the same as the dialects' view of it)."""

    def folder(self, path: str) -> dict[str, str]: ...
    def read(self, path: str) -> bytes: ...

    def tree(self, path: str) -> dict[str, bytes]:
        """Content of all files below a folder, by full path. Raises ValueError where one is no ordinary file, or they are too large together."""
        ...

    def archive(self, component: str) -> bytes:
        """The packed chart that was resolved for a component, by its id. Raises RenderError where there is none."""
        ...


class Renderer(Protocol):
    """Pure and deterministic: equal arguments give equal objects."""

    def render(self, component: Component, context: RenderContext, files: Files) -> list[JsonObject]:
        """
        Objects in the order they are to be applied, each with apiVersion, kind, metadata.name, and metadata.namespace for
        namespaced kinds that leave it out (the renderer fills in the component's). Raises RenderError.
        """
        ...
