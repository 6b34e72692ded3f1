"""Traits that put containers beside the component's own: `sidecar` and `init-container`. Parameters are KubeVela's."""

from __future__ import annotations

from reconciler.model.identity import JsonObject
from reconciler.model.text import one_line
from reconciler.render.fields import Fields
from reconciler.render.pods import PULL_POLICIES, environment_of
from reconciler.render.workloads import Target, append


def add_sidecar(fields: Fields, target: Target) -> None:
    """`volumes` (`name`, `path`): of the pod; one that it does not have becomes an empty one that its containers can share."""
    mounts = [{"name": item.required("name"), "mountPath": item.required("path")} for item in fields.items("volumes")]
    container = _container(fields) | {
        key: value
        for key, value in (
            ("volumeMounts", mounts),
            ("livenessProbe", fields.mapping("livenessProbe")),
            ("readinessProbe", fields.mapping("readinessProbe")),
        )
        if value
    }
    for spec in target.pod_specs(fields):
        append(fields, spec, "containers", [container])
        _ensure_volumes(fields, spec, [str(mount["name"]) for mount in mounts])


def add_init_container(fields: Fields, target: Target) -> None:
    """Runs to its end before the component starts, and hands its files over through the volume `mountName`."""
    volume = fields.text("mountName", "workdir")
    shared: JsonObject = {"name": volume, "mountPath": fields.required("initMountPath")}
    own: JsonObject = {"name": volume, "mountPath": fields.required("appMountPath")}
    more = [{"name": item.required("name"), "mountPath": item.required("mountPath")} for item in fields.items("extraVolumeMounts")]
    container = {"imagePullPolicy": "IfNotPresent", **_container(fields), "volumeMounts": [shared, *more]}
    for spec in target.pod_specs(fields):
        append(fields, spec, "initContainers", [container])
        _ensure_volumes(fields, spec, [volume])
        known = [item.get("name") for item in spec["volumes"]]
        missing = [str(mount["name"]) for mount in more if mount["name"] not in known]
        if missing:
            raise fields.error("extraVolumeMounts", f"the pod has no volume {one_line(missing[0], 63)}")
    for main in target.containers(fields):
        append(fields, main, "volumeMounts", [own], "mountPath")


def _container(fields: Fields) -> JsonObject:
    container: JsonObject = {"name": fields.required("name"), "image": fields.required("image")}
    optional = {
        "imagePullPolicy": fields.choice("imagePullPolicy", PULL_POLICIES),
        "command": fields.texts("cmd"),
        "args": fields.texts("args"),
        "env": environment_of(fields),
    }
    return container | {key: value for key, value in optional.items() if value}


def _ensure_volumes(fields: Fields, spec: JsonObject, names: list[str]) -> None:
    there = spec.get("volumes")
    known = {item.get("name") for item in there if isinstance(item, dict)} if isinstance(there, list) else set()
    append(fields, spec, "volumes", [{"name": name, "emptyDir": {}} for name in dict.fromkeys(names) if name not in known])
