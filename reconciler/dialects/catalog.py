"""Component types and traits of the KubeVela family, with the shape of their properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from reconciler.dialects.charts import HELM
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
from reconciler.model.names import DNS_LABEL

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
        "helm": HELM,
    }
)
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

LATER_STEP_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("apply-terraform-config", "apply-terraform-provider", "deploy-cloud-resource", "share-cloud-resource"),
            "not available: no cloud is asked here. Apply the objects of an operator that asks one with apply-object",
        ),
        "build-push-image": "not available: images are built before the commit that names them. Build it in CI, and write its tag into the manifest",
        **dict.fromkeys(
            ("deploy2env", "deploy2runtime", "apply-application", "apply-application-in-parallel", "apply-remaining"),
            "not available: KubeVela has given it up. Use deploy, with a topology policy where it is not to be the application's own namespace",
        ),
        "export-service": "not available: there are no other clusters. Apply the Service and its EndpointSlice with apply-object",
        "vela-cli": "not available: there is no vela command here. Use apply-job with an image that has the command you need",
        "apply-app": "not available: applications stand in git. Commit it there, and wait for it with depends-on-app",
        "read-app": "not available: applications stand in git. Wait for one with depends-on-app, or read an object of it with read-object",
        "addon-operation": "not available: there are no addons. Apply what it would from a folder, with a component of type manifests",
        "chat-gpt": "not available. Use request, whose answer later steps can read",
    }
)
"""Step types that KubeVela has and that are no step types here: why not, and what to use instead."""
