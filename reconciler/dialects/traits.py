"""Traits of the KubeVela family, with the shape of their properties and the component types that they do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from reconciler.dialects.catalog import ACTIONS, ENV, KEYS, PORT_NAME, PROBE, PROBE_TIMES, PULL, SUBDOMAIN
from reconciler.dialects.shapes import Anything, ListedOr, ListOf, MapOf, Partition, Quantity, Record, Shape, Text, Truth, Variant, Whole
from reconciler.model.names import DNS_LABEL

_RUN_TO_AN_END = frozenset({"task", "cron-task"})
_PORT = Whole(1, 65535)
_PROTOCOL = Text(choices=("TCP", "UDP", "SCTP"))
_LABELS = MapOf(Text(empty=True))
_RESOURCES = Record({"cpu": Quantity(), "memory": Quantity()})
_EXPOSED = Record({"port": _PORT, "name": PORT_NAME, "protocol": _PROTOCOL, "nodePort": _PORT}, required=("port",))
_NAME = Text(pattern=SUBDOMAIN, meaning="an object name (lower case letters, digits, dashes and dots)")
_SIZE = Record({"storage": Quantity()}, required=("storage",))
_OPERATOR = Text(choices=("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
_MATCHES = ListOf(Record({"key": Text(), "operator": _OPERATOR, "values": ListOf(Text(empty=True))}, required=("key", "operator")))
_SELECTOR = Record({"matchLabels": _LABELS, "matchExpressions": _MATCHES})
_SOURCE = Record({"name": Text(), "kind": Text(), "apiGroup": Text()}, required=("name", "kind"))
_MOUNT: dict[str, Shape] = {"name": _NAME, "mountPath": Text(), "subPath": Text(), "readOnly": Truth()}
_CLAIM = Record(
    {
        **_MOUNT,
        "mountOnly": Truth(),
        "volumeMode": Text(choices=("Filesystem", "Block")),
        "volumeName": Text(),
        "accessModes": ListOf(Text(choices=("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")), least=1),
        "storageClassName": Text(),
        "resources": Record({"requests": _SIZE, "limits": _SIZE}),
        "dataSource": _SOURCE,
        "dataSourceRef": _SOURCE,
        "selector": _SELECTOR,
    },
    required=("name", "mountPath"),
)


def _files(key: str, more: dict[str, Shape]) -> ListOf:
    """Config maps or secrets; `key`: what a variable names their keys by."""
    variable = Record({"envName": Text(), key: Text()}, required=("envName", key))
    fields: dict[str, Shape] = {
        **_MOUNT,
        "mountOnly": Truth(),
        "mountToEnv": variable,
        "mountToEnvs": ListOf(variable),
        "defaultMode": Whole(0, 0o777),
        "items": KEYS,
        "data": MapOf(Text(empty=True)),
    }
    return ListOf(Record(fields | more, required=("name",)))


_STORAGE = Record(
    {
        "pvc": ListOf(_CLAIM),
        "configMap": _files("configMapKey", {}),
        "secret": _files("secretKey", {"stringData": MapOf(Text(empty=True))}),
        "emptyDir": ListOf(Record({**_MOUNT, "medium": Text(choices=("", "Memory"), empty=True)}, required=("name", "mountPath"))),
        "hostPath": ListOf(Record({**_MOUNT, "path": Text(), "type": Text()}, required=("name", "mountPath", "path"))),
    }
)
_TEXTS = ListOf(Text(empty=True))
_CONTAINER_NAME = Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)")
_SOME = ListOf(Text(), least=1)
_PRIVILEGE = Record(
    {
        "verbs": _SOME,
        "apiGroups": _TEXTS,
        "resources": _SOME,
        "resourceNames": _SOME,
        "nonResourceURLs": _SOME,
        "scope": Text(choices=("namespace", "cluster")),
    },
    required=("verbs",),
    one_of=("resources", "nonResourceURLs"),
)
_POD_TERM = Record(
    {"labelSelector": _SELECTOR, "namespaceSelector": _SELECTOR, "namespaces": ListOf(Text()), "topologyKey": Text()}, required=("topologyKey",)
)
_WEIGHT = Whole(1, 100)
_POD_AFFINITY = Record(
    {
        "required": ListOf(_POD_TERM),
        "preferred": ListOf(Record({"weight": _WEIGHT, "podAffinityTerm": _POD_TERM}, required=("weight", "podAffinityTerm"))),
    }
)
_NODE_TERM = Record({"matchExpressions": _MATCHES, "matchFields": _MATCHES})
_NODE_AFFINITY = Record(
    {
        "required": Record({"nodeSelectorTerms": ListOf(_NODE_TERM, least=1)}, required=("nodeSelectorTerms",)),
        "preferred": ListOf(Record({"weight": _WEIGHT, "preference": _NODE_TERM}, required=("weight", "preference"))),
    }
)
_TOLERATION = Record(
    {
        "key": Text(),
        "operator": Text(choices=("Exists", "Equal")),
        "value": Text(empty=True),
        "effect": Text(choices=("NoSchedule", "PreferNoSchedule", "NoExecute")),
        "tolerationSeconds": Whole(),
    }
)
_SECURITY: dict[str, Shape] = {
    "containerName": _CONTAINER_NAME,
    "addCapabilities": _SOME,
    "dropCapabilities": _SOME,
    "allowPrivilegeEscalation": Truth(),
    "privileged": Truth(),
    "readOnlyRootFilesystem": Truth(),
    "runAsNonRoot": Truth(),
    "runAsUser": Whole(),
    "runAsGroup": Whole(),
}
_HOOK = Record(ACTIONS, one_of=tuple(ACTIONS))
_STARTUP: dict[str, Shape] = {
    **ACTIONS,
    **PROBE_TIMES,
    "successThreshold": Whole(1, 1),
    "containerName": _CONTAINER_NAME,
    "terminationGracePeriodSeconds": Whole(1),
    "grpc": Record({"port": _PORT, "service": Text()}, required=("port",)),
}
_STARTUP_ACTIONS = (*ACTIONS, "grpc")
_MEASURE = Variant("type", {"Utilization": Record({"value": Whole(1)}), "AverageValue": Record({"value": Quantity()})}, default="Utilization")
_PODS = Whole(1, 100_000)
_AUTOSCALER: dict[str, Shape] = {"min": _PODS, "max": _PODS, "targetAPIVersion": Text(), "targetKind": Text()}
_HOST = Text(pattern=re.compile(rf"(?:\*\.)?{SUBDOMAIN.pattern}", re.ASCII), meaning="a host name, or *. and one")
_STRATEGY = Record(
    {
        "type": Text(choices=("RollingUpdate", "Recreate", "OnDelete")),
        "rollingStrategy": Record({"maxSurge": Partition(), "maxUnavailable": Partition(), "partition": Whole()}),
    }
)
_POINTER = Text(pattern=re.compile(r"(?:/(?:[^~/]|~[01])*)*"), meaning="a JSON pointer such as /spec/replicas", empty=True)
_MOST_OPERATIONS = 100  # as rendering has it
_OPERATION = Variant(
    "op",
    {
        **{op: Record({"path": _POINTER, "value": Anything()}, required=("path",), present=("value",)) for op in ("add", "replace", "test")},
        **{op: Record({"path": _POINTER, "from": _POINTER}, required=("path", "from")) for op in ("move", "copy")},
        "remove": Record({"path": _POINTER}, required=("path",)),
    },
)

TRAITS: Mapping[str, Shape] = MappingProxyType(
    {
        "scaler": Record({"replicas": Whole(0, 100_000)}, required=("replicas",)),
        "env": Record({"containerName": Text(), "env": MapOf(Text(empty=True)), "unset": ListOf(Text())}),
        "labels": MapOf(Text(empty=True)),
        "annotations": MapOf(Text(empty=True)),
        "resource": Record({"cpu": Quantity(), "memory": Quantity(), "requests": _RESOURCES, "limits": _RESOURCES}),
        "expose": Record(
            {
                "port": ListOf(_PORT, least=1),
                "ports": ListOf(_EXPOSED, least=1),
                "annotations": _LABELS,
                "matchLabels": _LABELS,
                "type": Text(choices=("ClusterIP", "NodePort", "LoadBalancer")),
            },
            one_of=("port", "ports"),
        ),
        "gateway": Record(
            {
                "domain": _HOST,
                "http": MapOf(_PORT, keys=Text(pattern=re.compile("/.*"), meaning="a path that begins with /"), least=1),
                "class": Text(),
                "classInSpec": Truth(),
                "secretName": _NAME,
                "gatewayHost": Text(),
                "name": _CONTAINER_NAME,
                "pathType": Text(choices=("ImplementationSpecific", "Prefix", "Exact")),
                "annotations": _LABELS,
                "labels": _LABELS,
                "existingServiceName": _CONTAINER_NAME,
            },
            required=("http",),
        ),
        "hpa": Record(
            {
                **_AUTOSCALER,
                "cpu": _MEASURE,
                "mem": _MEASURE,
                "podCustomMetrics": ListOf(Record({"name": Text(), "value": Quantity()}, required=("name", "value"))),
            }
        ),
        "cpuscaler": Record({**_AUTOSCALER, "cpuUtil": Whole(1)}),
        "k8s-update-strategy": Record(
            {"targetAPIVersion": Text(), "targetKind": Text(choices=("Deployment", "StatefulSet", "DaemonSet")), "strategy": _STRATEGY}
        ),
        "json-patch": Record({"operations": ListOf(_OPERATION, least=1, most=_MOST_OPERATIONS)}, required=("operations",)),
        "json-merge-patch": MapOf(Anything(), least=1),
        "storage": _STORAGE,
        "sidecar": Record(
            {
                "name": _CONTAINER_NAME,
                "image": Text(),
                "imagePullPolicy": Text(choices=PULL),
                "cmd": _TEXTS,
                "args": _TEXTS,
                "env": ListOf(ENV),
                "volumes": ListOf(Record({"name": _CONTAINER_NAME, "path": Text()}, required=("name", "path"))),
                "livenessProbe": PROBE,
                "readinessProbe": PROBE,
            },
            required=("name", "image"),
        ),
        "init-container": Record(
            {
                "name": _CONTAINER_NAME,
                "image": Text(),
                "imagePullPolicy": Text(choices=PULL),
                "cmd": _TEXTS,
                "args": _TEXTS,
                "env": ListOf(ENV),
                "mountName": _CONTAINER_NAME,
                "appMountPath": Text(),
                "initMountPath": Text(),
                "extraVolumeMounts": ListOf(Record({"name": _CONTAINER_NAME, "mountPath": Text()}, required=("name", "mountPath"))),
            },
            required=("name", "image", "appMountPath", "initMountPath"),
        ),
        "service-account": Record({"name": _NAME, "create": Truth(), "privileges": ListOf(_PRIVILEGE)}, required=("name",)),
        "affinity": Record(
            {"podAffinity": _POD_AFFINITY, "podAntiAffinity": _POD_AFFINITY, "nodeAffinity": _NODE_AFFINITY, "tolerations": ListOf(_TOLERATION)}
        ),
        "securitycontext": Record(_SECURITY | {"containers": ListOf(Record(_SECURITY, required=("containerName",)), least=1)}),
        "lifecycle": Record({"postStart": _HOOK, "preStop": _HOOK}),
        "startup-probe": ListedOr(
            "probes",
            Record({"probes": ListOf(Record(_STARTUP, required=("containerName",), one_of=_STARTUP_ACTIONS), least=1)}),
            Record(_STARTUP, one_of=_STARTUP_ACTIONS),
        ),
    }
)

_NOT_SCALED = _RUN_TO_AN_END | {"daemon"}

UNFIT: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("expose", "gateway", "k8s-update-strategy"), _RUN_TO_AN_END),
        **dict.fromkeys(("scaler", "hpa", "cpuscaler"), _NOT_SCALED),
    }
)
"""Trait to the component types that surely have nothing for it. What objects and manifests have, rendering finds."""

SCALERS = frozenset({"scaler", "hpa", "cpuscaler"})
"""Traits that say how many pods there are: one of them at most."""
