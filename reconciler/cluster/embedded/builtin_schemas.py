"""What is checked and defaulted of Kubernetes' own kinds, as open schemas: fields that are not named here are kept as given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.cluster.embedded.schema import INT_OR_STRING, PRESERVE, Schema


def _open(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", PRESERVE: True, "required": required, "properties": properties}


def _list(items: dict[str, Any], least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least}


def _root(spec: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return _open(*(["spec"] if required else []), spec=spec)


def _enum(*values: str, default: str | None = None) -> dict[str, Any]:
    return {"type": "string", "enum": list(values)} | ({} if default is None else {"default": default})


def _count(default: int | None = None) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": 2**31 - 1} | ({} if default is None else {"default": default})


_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1}
_FLAG = {"type": "boolean"}
_STRINGS = {"type": "object", "additionalProperties": _TEXT}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_SHARE = {INT_OR_STRING: True}
_PROTOCOL = _enum("TCP", "UDP", "SCTP", default="TCP")
_QUANTITIES = {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}]}}

_CONTAINER = _open(
    "name",
    "image",
    name={"type": "string", "minLength": 1, "maxLength": 63},
    image=_NAME,
    command=_list(_TEXT),
    args=_list(_TEXT),
    ports=_list(_open("containerPort", containerPort=_PORT, protocol=_PROTOCOL, name=_TEXT)),
    env=_list(_open("name", name=_NAME, value=_TEXT)),
    volumeMounts=_list(_open("name", "mountPath", name=_NAME, mountPath=_NAME)),
    resources=_open(limits=_QUANTITIES, requests=_QUANTITIES),
)


def _pod_spec(policy: str | None = "Always") -> dict[str, Any]:
    return _open(
        "containers",
        containers=_list(_CONTAINER, least=1),
        initContainers=_list(_CONTAINER),
        volumes=_list(_open("name", name=_NAME)),
        restartPolicy=_enum("Always", "OnFailure", "Never", default=policy),
        terminationGracePeriodSeconds=_count(30),
        dnsPolicy={"type": "string", "default": "ClusterFirst"},
        nodeSelector=_STRINGS,
    )


def _template(policy: str | None = "Always") -> dict[str, Any]:
    return _open("spec", metadata=_open(labels=_STRINGS, annotations=_STRINGS), spec=_pod_spec(policy))


_SELECTOR = _open(
    matchLabels=_STRINGS,
    matchExpressions=_list(_open("key", "operator", key=_NAME, operator=_enum("In", "NotIn", "Exists", "DoesNotExist"), values=_list(_TEXT))),
)
_JOB = _open(
    "template",
    template=_template(policy=None),
    selector=_SELECTOR,
    completions=_count(),
    parallelism=_count(),
    backoffLimit=_count(6),
    activeDeadlineSeconds=_count(),
    ttlSecondsAfterFinished=_count(),
    completionMode=_enum("NonIndexed", "Indexed", default="NonIndexed"),
    suspend={"type": "boolean", "default": False},
    manualSelector=_FLAG,
)
_RULE_LIST = _list(_open())
_DATA = _open(data=_STRINGS, binaryData=_STRINGS, immutable=_FLAG, type=_TEXT)

SCHEMAS: Mapping[tuple[str, str], Schema] = {
    ("apps", "Deployment"): _root(
        _open(
            "selector",
            "template",
            replicas=_count(1),
            selector=_SELECTOR,
            template=_template(),
            strategy=_open(type=_enum("RollingUpdate", "Recreate"), rollingUpdate=_open(maxSurge=_SHARE, maxUnavailable=_SHARE)),
            minReadySeconds=_count(),
            revisionHistoryLimit=_count(10),
            progressDeadlineSeconds=_count(600),
            paused=_FLAG,
        )
    ),
    ("apps", "StatefulSet"): _root(
        _open(
            "selector",
            "template",
            replicas=_count(1),
            selector=_SELECTOR,
            template=_template(),
            serviceName=_TEXT,
            podManagementPolicy=_enum("OrderedReady", "Parallel", default="OrderedReady"),
            updateStrategy=_open(type=_enum("RollingUpdate", "OnDelete"), rollingUpdate=_open(partition=_count())),
            minReadySeconds=_count(),
            revisionHistoryLimit=_count(10),
            volumeClaimTemplates=_list(_open("metadata", metadata=_open("name", name=_NAME))),
        )
    ),
    ("apps", "DaemonSet"): _root(
        _open(
            "selector",
            "template",
            selector=_SELECTOR,
            template=_template(),
            updateStrategy=_open(type=_enum("RollingUpdate", "OnDelete"), rollingUpdate=_open(maxUnavailable=_SHARE)),
            minReadySeconds=_count(),
        )
    ),
    ("apps", "ReplicaSet"): _root(
        _open("selector", "template", replicas=_count(1), selector=_SELECTOR, template=_template(), minReadySeconds=_count())
    ),
    ("batch", "Job"): _root(_JOB),
    ("batch", "CronJob"): _root(
        _open(
            "schedule",
            "jobTemplate",
            schedule=_NAME,
            suspend={"type": "boolean", "default": False},
            concurrencyPolicy=_enum("Allow", "Forbid", "Replace", default="Allow"),
            startingDeadlineSeconds=_count(),
            successfulJobsHistoryLimit=_count(3),
            failedJobsHistoryLimit=_count(1),
            timeZone=_TEXT,
            jobTemplate=_open("spec", spec=_JOB),
        )
    ),
    ("", "Pod"): _root(_pod_spec()),
    ("", "Service"): _root(
        _open(
            type=_enum("ClusterIP", "NodePort", "LoadBalancer", "ExternalName", default="ClusterIP"),
            clusterIP=_TEXT,
            selector=_STRINGS,
            sessionAffinity=_enum("None", "ClientIP", default="None"),
            ports=_list(_open("port", port=_PORT, protocol=_PROTOCOL, targetPort=_SHARE, name=_TEXT)),
        )
    ),
    ("", "ConfigMap"): _DATA,
    ("", "Secret"): _DATA,
    ("", "Namespace"): _open(spec=_open(finalizers=_list(_TEXT))),
    ("", "PersistentVolumeClaim"): _root(_open(accessModes=_list(_TEXT), storageClassName=_TEXT, resources=_open(requests=_QUANTITIES))),
    ("rbac.authorization.k8s.io", "Role"): _open(rules=_RULE_LIST),
    ("rbac.authorization.k8s.io", "ClusterRole"): _open(rules=_RULE_LIST),
    ("rbac.authorization.k8s.io", "RoleBinding"): _open("roleRef", roleRef=_open("kind", "name", kind=_NAME, name=_NAME), subjects=_RULE_LIST),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _open("roleRef", roleRef=_open("kind", "name", kind=_NAME, name=_NAME), subjects=_RULE_LIST),
    ("networking.k8s.io", "Ingress"): _root(_open(rules=_RULE_LIST)),
    ("autoscaling", "HorizontalPodAutoscaler"): _root(
        _open(
            "scaleTargetRef", "maxReplicas", scaleTargetRef=_open("kind", "name", kind=_NAME, name=_NAME), maxReplicas=_count(), minReplicas=_count(1)
        )
    ),
}
