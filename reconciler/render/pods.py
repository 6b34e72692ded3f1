"""Pod templates from KubeVela's webservice parameters."""

from __future__ import annotations

from typing import Any

from reconciler.model.identity import JsonObject
from reconciler.model.names import COMPONENT_LABEL, NAME_LABEL
from reconciler.render.fields import Fields

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_VOLUME_KINDS = ("pvc", "configMap", "secret", "emptyDir", "hostPath")
_SHARED_MOUNT = ("mountPath", "subPath")


def pod_template(application: str, component: str, fields: Fields) -> JsonObject:
    """
    A pod template with one container, named like the component. No revision is in it: only a change of content moves pods
    (`addRevisionLabel` is read and has no effect).
    """
    volumes, mounts = _volumes(fields)
    container: JsonObject = {"name": component, "image": fields.required("image")}
    pull = fields.choice("imagePullPolicy", PULL_POLICIES)
    ports = container_ports(fields)
    optional = {
        "imagePullPolicy": pull,
        "command": fields.texts("cmd"),
        "args": fields.texts("args"),
        "ports": [{"containerPort": port["target"], "name": port["name"], "protocol": port["protocol"]} for port in ports],
        "env": environment_of(fields),
        "resources": _resources(fields),
        "volumeMounts": mounts,
        "livenessProbe": fields.mapping("livenessProbe"),
        "readinessProbe": fields.mapping("readinessProbe"),
    }
    container |= {key: value for key, value in optional.items() if value}
    fields.flag("addRevisionLabel", default=False)
    spec: JsonObject = {"containers": [container]}
    secrets = [{"name": name} for name in fields.texts("imagePullSecrets")]
    spec |= {key: value for key, value in (("imagePullSecrets", secrets), ("volumes", volumes), ("hostAliases", _aliases(fields))) if value}
    meta: JsonObject = {"labels": {**fields.text_map("labels"), COMPONENT_LABEL: component, NAME_LABEL: application}}
    annotations = fields.text_map("annotations")
    if annotations:
        meta["annotations"] = annotations
    return {"metadata": meta, "spec": spec}


def container_ports(fields: Fields) -> list[dict[str, Any]]:
    """`[{port, target, name, protocol, expose, nodePort}]` of `ports`, or of the older single `port`."""
    ports = []
    for item in fields.items("ports"):
        port = item.whole("port", 1, 65535, 0)
        if not port:
            raise item.error("port", "is required")
        protocol = item.choice("protocol", _PROTOCOLS, "TCP")
        suffix = "" if protocol == "TCP" else f"-{protocol.lower()}"
        ports.append(
            {
                "port": port,
                "target": item.whole("containerPort", 1, 65535, port),
                "name": item.text("name", f"port-{port}{suffix}"),
                "protocol": protocol,
                "expose": item.flag("expose", default=False),
                "nodePort": item.whole("nodePort", 1, 65535, 0),
            }
        )
    single = fields.whole("port", 1, 65535, 0)
    if single and not ports:
        ports.append({"port": single, "target": single, "name": f"port-{single}", "protocol": "TCP", "expose": False, "nodePort": 0})
    names = [port["name"] for port in ports]
    if len(set(names)) != len(names):
        raise fields.error("ports", "two ports have one name")
    return ports


def environment_of(fields: Fields) -> list[JsonObject]:
    """`env` as Kubernetes takes it; numbers and booleans, which inputs may bring, become texts."""
    variables: list[JsonObject] = []
    for item in fields.items("env"):
        variable: JsonObject = {"name": item.required("name")}
        if item.has("valueFrom"):
            variable["valueFrom"] = _value_from(item.below("valueFrom"))
        else:
            variable["value"] = item.scalar("value")
        variables.append(variable)
    names = [variable["name"] for variable in variables]
    if len(set(names)) != len(names):
        raise fields.error("env", "two variables have one name")
    return variables


def _value_from(source: Fields) -> JsonObject:
    """KubeVela's two sources by key; Kubernetes' own field references pass as they stand."""
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if source.has(kind):
            ref = source.below(kind)
            optional = {"optional": True} if ref.flag("optional", default=False) else {}
            return {kind: {"name": ref.required("name"), "key": ref.required("key"), **optional}}
    for kind in ("fieldRef", "resourceFieldRef"):
        if source.has(kind):
            return {kind: source.mapping(kind)}
    raise source.error("", "names neither secretKeyRef nor configMapKeyRef")


def _resources(fields: Fields) -> JsonObject:
    """`cpu` and `memory` are request and limit alike, unless `limit` says more (KubeVela's webservice)."""
    requests = {name: fields.text(name) for name in ("cpu", "memory") if fields.has(name)}
    limit = fields.below("limit")
    limits = requests | {name: limit.text(name) for name in ("cpu", "memory") if limit.has(name)}
    return {key: value for key, value in (("limits", limits), ("requests", requests)) if value}


def _aliases(fields: Fields) -> list[JsonObject]:
    return [{"ip": item.required("ip"), "hostnames": item.texts("hostnames")} for item in fields.items("hostAliases")]


def _volumes(fields: Fields) -> tuple[list[JsonObject], list[JsonObject]]:
    """
    (volumes, mounts) of `volumeMounts{pvc, configMap, secret, emptyDir, hostPath}`, and of the older `volumes`, whose items
    name their `type`. One volume may be mounted at several paths.
    """
    volumes: dict[str, JsonObject] = {}
    found: list[JsonObject] = []
    mounts = fields.below("volumeMounts")
    items = [(kind, item) for kind in _VOLUME_KINDS for item in mounts.items(kind)]
    items += [(item.choice("type", _VOLUME_KINDS, "emptyDir"), item) for item in fields.items("volumes")]
    for kind, item in items:
        name = item.required("name")
        volume = {"name": name, **_volume(kind, item)}
        if volumes.setdefault(name, volume) != volume:
            raise item.error("name", "two different volumes have one name")
        item.required("mountPath")
        mount: JsonObject = {"name": name} | {field: item.text(field) for field in _SHARED_MOUNT if item.has(field)}
        if item.has("mountPropagation"):
            mount["mountPropagation"] = item.text("mountPropagation")
        if item.flag("readOnly", default=False):
            mount["readOnly"] = True
        found.append(mount)
    return list(volumes.values()), found


def _volume(kind: str, item: Fields) -> JsonObject:
    match kind:
        case "pvc":
            return {"persistentVolumeClaim": {"claimName": item.required("claimName")}}
        case "configMap":
            return {"configMap": {"name": item.required("cmName"), **projection(item)}}
        case "secret":
            return {"secret": {"secretName": item.required("secretName"), **projection(item)}}
        case "emptyDir":
            medium = item.choice("medium", ("Memory",))
            return {"emptyDir": {"medium": medium} if medium else {}}
        case _:
            return {"hostPath": {"path": item.required("path")}}


def projection(item: Fields) -> JsonObject:
    """Files of a config map or secret. Modes default to KubeVela's: 420 (0644) for all, 511 (0777) for single items."""
    entries = [
        {"key": entry.required("key"), "path": entry.required("path"), "mode": entry.whole("mode", 0, 0o777, 511)} for entry in item.items("items")
    ]
    return {"defaultMode": item.whole("defaultMode", 0, 0o777, 420), **({"items": entries} if entries else {})}
