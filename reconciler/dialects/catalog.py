"""Component types and traits of the KubeVela family, with the shape of their properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from reconciler.dialects.shapes import (
    Anything,
    Cron,
    ListOf,
    MapOf,
    Partition,
    PortName,
    PortOr,
    Quantity,
    Record,
    Shape,
    Text,
    Truth,
    Variant,
    Whole,
)

DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)

_TEXTS = ListOf(Text(empty=True))
_PORT = Whole(1, 65535)
PULL = ("Always", "Never", "IfNotPresent")
_KEY_OF = Record({"name": Text(), "key": Text()}, required=("name", "key"))
ENV = Record(
    {
        "name": Text(),
        "value": Text(empty=True),
        "valueFrom": Record({"secretKeyRef": _KEY_OF, "configMapKeyRef": _KEY_OF}, one_of=("secretKeyRef", "configMapKeyRef")),
    },
    required=("name",),
)
PORT_NAME = Text(pattern=re.compile(r"(?=.{1,15}$)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII), meaning="a port name (at most 15 of a-z, 0-9 and -)")
_SERVICE_PORT = Record(
    {
        "port": _PORT,
        "containerPort": _PORT,
        "name": PORT_NAME,
        "protocol": Text(choices=("TCP", "UDP", "SCTP")),
        "expose": Truth(),
        "nodePort": _PORT,
    },
    required=("port",),
)
KEYS = ListOf(Record({"key": Text(), "path": Text(), "mode": Whole(0, 0o777)}, required=("key", "path")))
_MOUNT: dict[str, Shape] = {"name": Text(), "mountPath": Text(), "subPath": Text()}
_MOUNTS = {
    "pvc": Record({**_MOUNT, "claimName": Text()}, required=("name", "mountPath", "claimName")),
    "configMap": Record({**_MOUNT, "cmName": Text(), "defaultMode": Whole(0, 0o777), "items": KEYS}, required=("name", "mountPath", "cmName")),
    "secret": Record({**_MOUNT, "secretName": Text(), "defaultMode": Whole(0, 0o777), "items": KEYS}, required=("name", "mountPath", "secretName")),
    "emptyDir": Record({**_MOUNT, "medium": Text(choices=("", "Memory"), empty=True)}, required=("name", "mountPath")),
    "hostPath": Record({**_MOUNT, "path": Text()}, required=("name", "mountPath", "path")),
}
ACTIONS: Mapping[str, Shape] = MappingProxyType(
    {
        "exec": Record({"command": ListOf(Text(empty=True), least=1)}, required=("command",)),
        "httpGet": Record(
            {
                "path": Text(),
                "port": PortName(),
                "host": Text(),
                "scheme": Text(choices=("HTTP", "HTTPS")),
                "httpHeaders": ListOf(Record({"name": Text(), "value": Text(empty=True)}, required=("name", "value"))),
            },
            required=("port",),
        ),
        "tcpSocket": Record({"port": PortName(), "host": Text()}, required=("port",)),
    }
)
PROBE_TIMES: Mapping[str, Shape] = MappingProxyType(
    {
        "initialDelaySeconds": Whole(),
        "periodSeconds": Whole(1),
        "timeoutSeconds": Whole(1),
        "successThreshold": Whole(1),
        "failureThreshold": Whole(1),
    }
)
PROBE = Record({**ACTIONS, **PROBE_TIMES}, one_of=tuple(ACTIONS))
_WORKER: dict[str, Shape] = {
    "image": Text(),
    "imagePullPolicy": Text(choices=PULL),
    "imagePullSecrets": ListOf(Text()),
    "cmd": _TEXTS,
    "args": _TEXTS,
    "env": ListOf(ENV),
    "cpu": Quantity(),
    "memory": Quantity(),
    "limit": Record({"cpu": Quantity(), "memory": Quantity()}),
    "volumeMounts": Record({kind: ListOf(mount) for kind, mount in _MOUNTS.items()}),
    "volumes": ListOf(Variant("type", _MOUNTS, default="emptyDir")),
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "hostAliases": ListOf(Record({"ip": Text(), "hostnames": ListOf(Text(), least=1)}, required=("ip", "hostnames"))),
    "labels": MapOf(Text(empty=True)),
    "annotations": MapOf(Text(empty=True)),
    "addRevisionLabel": Truth(),
}
_WEBSERVICE: dict[str, Shape] = {
    **_WORKER,
    "port": _PORT,
    "ports": ListOf(_SERVICE_PORT),
    "exposeType": Text(choices=("ClusterIP", "NodePort", "LoadBalancer")),
}
_STATEFULSET: dict[str, Shape] = {
    **_WEBSERVICE,
    "partition": Partition(),
    "serviceName": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -)"),
}
_TASK: dict[str, Shape] = {**_WORKER, "count": Whole(1, 100_000), "restart": Text(choices=("Never", "OnFailure"))}
_CRON_TASK: dict[str, Shape] = {
    **_TASK,
    "schedule": Cron(),
    "suspend": Truth(),
    "concurrencyPolicy": Text(choices=("Allow", "Forbid", "Replace")),
    "startingDeadlineSeconds": Whole(),
    "successfulJobsHistoryLimit": Whole(),
    "failedJobsHistoryLimit": Whole(),
    "ttlSecondsAfterFinished": Whole(),
    "activeDeadlineSeconds": Whole(1),
    "backoffLimit": Whole(),
}

COMPONENT_TYPES: Mapping[str, Record] = MappingProxyType(
    {
        "webservice": Record(_WEBSERVICE, required=("image",)),
        "worker": Record(_WORKER, required=("image",)),
        "statefulset": Record(_STATEFULSET, required=("image",)),
        "daemon": Record(_WEBSERVICE, required=("image",)),
        "task": Record(_TASK, required=("image",)),
        "cron-task": Record(_CRON_TASK, required=("image", "schedule")),
        "k8s-objects": Record({"objects": ListOf(Anything(), least=1)}, required=("objects",)),
        "manifests": Record({"path": Text()}, required=("path",)),
        "kustomize": Record({"path": Text()}, required=("path",)),
    }
)
LATER_COMPONENT_TYPES = frozenset({"helm"})
LATER_POLICY_TYPES = frozenset({"replication", "resource-update", "env-binding", "health", "debug"})

# The effective spec of SREWorks' microservice: defaults, parameterValues and dataInputs are in it.
MICROSERVICE = Record(
    {
        "name": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)"),
        "values": Record(
            {
                "image": Record({"repository": Text(), "tag": Text(), "pullPolicy": Text(choices=PULL)}, required=("repository",)),
                "replicaCount": Whole(0, 100_000),
                "resources": Record({"limits": MapOf(Quantity()), "requests": MapOf(Quantity())}),
                "deployNamespace": Text(pattern=DNS_LABEL, meaning="a DNS-1123 label (a-z, 0-9 and -, at most 63)"),
                "env": ListOf(ENV),
                "ports": ListOf(PortOr(_SERVICE_PORT)),
            },
            required=("image",),
        ),
        "rollout": Record(
            {
                "type": Text(choices=("partition",)),
                "properties": Record({"partition": Partition(percent=False), "name": Text()}, required=("partition",)),
            },
            required=("type", "properties"),
        ),
        "ignoreCreateNamespace": Truth(),
        "base64Kubeconfig": Text(empty=True),
    },
    required=("values",),
)
REVISION_TYPES: Mapping[str, Record] = MappingProxyType({"K8S_MICROSERVICE": MICROSERVICE})

# The kinds of steps that the step flow has, and that no other family has.
STEPFLOW_STEP_TYPES = ("random", "sleep", "fail", "apply", "http")

LATER_STEP_TYPES = frozenset(
    {
        *("apply-terraform-config", "apply-terraform-provider", "build-push-image", "check-metrics", "clean-jobs"),
        *("delete-config", "deploy-cloud-resource", "deploy2env", "export-service"),
        *("restart-workflow", "share-cloud-resource", "vela-cli"),
    }
)
