"""`manifests`: a folder of plain Kubernetes manifests in the repository."""

from __future__ import annotations

import copy

from reconciler.dialects.documents import parse
from reconciler.dialects.objects import is_manifest
from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.sealed import is_others, without_metadata
from reconciler.model.text import one_line
from reconciler.render.fields import Fields
from reconciler.render.placement import flatten_lists
from reconciler.render.protocol import Files, RenderContext, RenderError

MOST_FILES = 2000
MOST_BYTES = 16 * 1024 * 1024


def render_manifests(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """
    Every object of every file, or an error: a file that can't be read in full gives none, since what is missing from it would
    be pruned (rule 1). An empty folder is an error for the same reason.
    """
    fields = Fields(component.name, component.properties)
    folder = fields.required("path").strip("/")
    paths = sorted(path for path in files.folder(folder) if is_manifest(path))
    if not paths:
        raise fields.error("path", f"no YAML or JSON file below {one_line(folder)}")
    if len(paths) > MOST_FILES:
        raise fields.error("path", f"more than {MOST_FILES} files below {one_line(folder)}")
    objects: list[JsonObject] = []
    left = MOST_BYTES
    for path in paths:
        data = _read(files, path, fields)
        left -= len(data)
        if left < 0:
            raise fields.error("path", f"more than {MOST_BYTES >> 20} MiB of manifests below {one_line(folder)}")
        objects += _objects(path, data, fields)
    if not objects:
        raise fields.error("path", f"no object in the files below {one_line(folder)}")
    return objects


def _read(files: Files, path: str, fields: Fields) -> bytes:
    try:
        return files.read(path)
    except (FileNotFoundError, ValueError) as error:
        raise fields.error("path", f"{one_line(path)}: {one_line(error)}") from error


def _objects(path: str, data: bytes, fields: Fields) -> list[JsonObject]:
    documents, problems = parse(path, data)
    broken = next((problem for problem in problems if problem.severity == "error"), None)
    if broken is not None:
        raise fields.error("path", one_line(broken, 400))
    objects = flatten_lists([copy.deepcopy(document.content) for document in documents])
    for obj in objects:
        if not isinstance(obj, dict) or not obj.get("kind"):
            line = next((document.line for document in documents if document.content == obj), 0)
            raise _no_kind(fields, path, line)
    return [obj if is_others(obj) else without_metadata(obj) for obj in objects]


def _no_kind(fields: Fields, path: str, line: int) -> RenderError:
    where = f"{one_line(path)}:{line}" if line else one_line(path)
    return fields.error("path", f"{where}: a document without kind is no Kubernetes object")
