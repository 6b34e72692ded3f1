"""`helm`: what `helm template` makes of a chart, without the command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.model.text import one_line
from reconciler.render.fields import Fields
from reconciler.render.placement import flatten_lists
from reconciler.render.protocol import Files, RenderContext
from reconciler.render.sandbox import SandboxError, shared
from reconciler.render.sealed import unwrap_tokens

BEFORE: Final = frozenset({"pre-install", "pre-upgrade"})
AFTER: Final = frozenset({"post-install", "post-upgrade"})
_ARCHIVE: Final = "chart.tgz"


def render_helm(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:
    """
    The chart's CustomResourceDefinitions, then the hooks from before, what it installs, and the hooks from after, each in Helm's order
    and hooks by weight. Hooks keep their annotations; tests, and hooks of deletion and rollback, are left out.

    `properties.path` names a folder of the repository; without it the chart is the one that was resolved for the component. Values
    override one another in this order: the chart's own, `valuesFiles` of the chart, each of `valuesFrom`, `values`.
    """
    fields = Fields(component.name, component.properties)
    folder, known = fields.text("path").strip("/"), context.capabilities
    chart = _chart(component, folder, fields, files)
    asked = {
        "packed": "" if folder else _ARCHIVE,
        "values": _values(component.properties, fields),
        "values_files": _files(fields),
        "release": {"name": fields.text("releaseName", component.name), "namespace": component.namespace or context.namespace},
        "capabilities": {"kubeVersion": known.kube_version, "apiVersions": list(known.api_versions)},
        "include_crds": True,
    }
    try:
        answer = shared().call("helm", "template", asked, chart)
    except SandboxError as error:
        raise fields.error("path" if folder else "chart", _shortened(error.message)) from error
    hooks = sorted(answer["hooks"], key=lambda hook: hook["weight"])  # stable: those of one weight stay in Helm's order
    crds, rest = ([obj for manifest in answer[kind] for obj in manifest["objects"]] for kind in ("crds", "manifests"))
    before = [hook["object"] for hook in hooks if BEFORE.intersection(hook["events"])]
    after = [hook["object"] for hook in hooks if AFTER.intersection(hook["events"]) and not BEFORE.intersection(hook["events"])]
    objects = flatten_lists([*crds, *before, *rest, *after])
    if not objects:
        raise fields.error("path" if folder else "chart", "the chart makes no object")
    return unwrap_tokens(component.title, objects)


def _shortened(message: str) -> str:
    """Where templates include one another, the cause stands at the end."""
    return one_line(message if len(message) <= 1000 else f"{message[:400]} … {message[-500:]}", 1000)


def _chart(component: Component, folder: str, fields: Fields, files: Files) -> dict[str, bytes]:
    """The files of the folder by their path in it, or the archive."""
    if not folder:
        return {_ARCHIVE: files.archive(component.id)}
    try:
        found = files.tree(folder)
    except (FileNotFoundError, ValueError) as error:
        raise fields.error("path", one_line(error, 400)) from error
    if not found:
        raise fields.error("path", f"there is no file below {one_line(folder)}")
    return {name[len(folder) + 1 :]: data for name, data in found.items()}


def _values(properties: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    sources = properties.get("valuesFrom") or []
    if not isinstance(sources, list):
        raise fields.error("valuesFrom", "must be a list")
    for index, source in enumerate(sources):
        if not isinstance(source, dict) or not isinstance(source.get("values"), dict):
            raise fields.error(f"valuesFrom[{index}]", "its values are not at hand")
        merged = _merge(merged, source["values"])
    values = properties.get("values") or {}
    if not isinstance(values, dict):
        raise fields.error("values", "must be a mapping")
    return _merge(merged, values)


def _files(fields: Fields) -> list[str]:
    names = fields.raw("valuesFiles") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise fields.error("valuesFiles", "must be a list of texts")
    return names


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges values files: mappings by key, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
