"""The trait `storage`: volumes of pods, and the claims, config maps and secrets behind them. Parameters are KubeVela's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.placement import is_label
from reconciler.render.pods import projection
from reconciler.render.workloads import Target, append

_PVC_MODES = ("Filesystem", "Block")
_MEDIA = ("Memory",)


class Part(NamedTuple):
    """What one item of the trait adds to pod, container and objects."""

    volume: JsonObject
    mounts: list[JsonObject]
    devices: list[JsonObject]
    variables: list[JsonObject]
    objects: list[JsonObject]


def add_storage(fields: Fields, target: Target) -> None:
    """Mounts go into the component's container, else the first; volumes are named `<kind>-<name>`."""
    for kind, make in _KINDS.items():
        for item in fields.items(kind):
            name = f"{kind.lower()}-{item.required('name')}"
            if not is_label(name):
                raise item.error("name", "makes no volume name (lower case letters, digits and dashes, at most 63 with the kind before it)")
            part = make(item, name)
            for spec in target.pod_specs(fields) if part.mounts or part.devices else ():
                append(item, spec, "volumes", [{"name": name, **part.volume}])
            for container in target.containers(fields):
                append(item, container, "volumeMounts", part.mounts, "mountPath")
                append(item, container, "volumeDevices", part.devices, "devicePath")
                append(item, container, "env", part.variables)
            target.objects.extend(part.objects)


def _claim(item: Fields, volume: str) -> Part:
    name, mode = item.required("name"), item.choice("volumeMode", _PVC_MODES, "Filesystem")
    source = {"persistentVolumeClaim": {"claimName": name}}
    devices = [{"name": volume, "devicePath": item.required("mountPath")}] if mode == "Block" else []
    mounts = [] if mode == "Block" else [_mount(item, volume)]
    if item.flag("mountOnly", default=False):
        return Part(source, mounts, devices, [], [])
    spec: JsonObject = {"accessModes": item.texts("accessModes") or ["ReadWriteOnce"], "volumeMode": mode}
    spec |= {field: item.text(field) for field in ("volumeName", "storageClassName") if item.has(field)}
    spec |= {field: item.mapping(field) for field in ("dataSource", "dataSourceRef", "selector") if item.has(field)}
    sizes = item.below("resources")
    spec["resources"] = {"requests": {"storage": sizes.below("requests").text("storage", "8Gi")}}
    if sizes.has("limits"):
        spec["resources"]["limits"] = {"storage": sizes.below("limits").required("storage")}
    return Part(source, mounts, devices, [], [{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}])


def _config(item: Fields, volume: str) -> Part:
    objects = [{**_object("ConfigMap", item), "data": item.text_map("data")}]
    source = {"configMap": {"name": item.required("name"), **projection(item)}}
    return _file_part(item, volume, source, ("configMapKeyRef", "configMapKey"), objects)


def _secret(item: Fields, volume: str) -> Part:
    made: JsonObject = {**_object("Secret", item), "type": "Opaque"}
    made |= {field: item.text_map(field) for field in ("data", "stringData") if item.has(field)}
    source = {"secret": {"secretName": item.required("name"), **projection(item)}}
    return _file_part(item, volume, source, ("secretKeyRef", "secretKey"), [made])


def _file_part(item: Fields, volume: str, source: JsonObject, reference: tuple[str, str], objects: list[JsonObject]) -> Part:
    """Mounted where `mountPath` says, and its keys in variables as `mountToEnv` and `mountToEnvs` say."""
    kind, key = reference
    wanted = [*([item.below("mountToEnv")] if item.has("mountToEnv") else []), *item.items("mountToEnvs")]
    variables = [
        {"name": entry.required("envName"), "valueFrom": {kind: {"name": item.required("name"), "key": entry.required(key)}}} for entry in wanted
    ]
    if not variables and not item.has("mountPath"):
        raise item.error("mountPath", "is required where nothing goes to a variable")
    mounts = [_mount(item, volume)] if item.has("mountPath") else []
    return Part(source, mounts, [], variables, [] if item.flag("mountOnly", default=False) else objects)


def _empty(item: Fields, volume: str) -> Part:
    medium = item.choice("medium", _MEDIA)
    return Part({"emptyDir": {"medium": medium} if medium else {}}, [_mount(item, volume)], [], [], [])


def _host(item: Fields, volume: str) -> Part:
    return Part({"hostPath": {"path": item.required("path"), "type": item.text("type", "Directory")}}, [_mount(item, volume)], [], [], [])


def _mount(item: Fields, volume: str) -> JsonObject:
    mount: JsonObject = {"name": volume, "mountPath": item.required("mountPath")}
    if item.has("subPath"):
        mount["subPath"] = item.text("subPath")
    if item.flag("readOnly", default=False):
        mount["readOnly"] = True
    return mount


def _object(kind: str, item: Fields) -> JsonObject:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": item.required("name")}}


_KINDS: Final[dict[str, Callable[[Fields, str], Part]]] = {
    "pvc": _claim,
    "configMap": _config,
    "secret": _secret,
    "emptyDir": _empty,
    "hostPath": _host,
}
