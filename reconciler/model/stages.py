"""In which order kinds are applied, so that what others rest on is there before them; they are deleted the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from reconciler.model.identity import JsonObject
from reconciler.model.names import LABEL_TRAIT

FIRST: Final = 0
"""What brings names into being: it must be ready before anything of a later stage is applied."""
MIDDLE: Final = 1
LAST: Final = 2
"""What the API server asks about other objects: whoever answers it has to run before."""

_RBAC: Final = "rbac.authorization.k8s.io"
_ADMISSION: Final = "admissionregistration.k8s.io"
_ORDER: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (("", "Namespace"),),
    (("apiextensions.k8s.io", "CustomResourceDefinition"),),
    (
        ("scheduling.k8s.io", "PriorityClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("networking.k8s.io", "IngressClass"),
    ),
    (("", "ResourceQuota"), ("", "LimitRange"), ("networking.k8s.io", "NetworkPolicy")),
    (("", "ServiceAccount"),),
    ((_RBAC, "ClusterRole"), (_RBAC, "Role")),
    ((_RBAC, "ClusterRoleBinding"), (_RBAC, "RoleBinding")),
    (("", "ConfigMap"), ("", "Secret")),
    (("", "PersistentVolume"),),
    (("", "PersistentVolumeClaim"),),
    (("", "Service"),),
    (
        ("", "Pod"),
        ("", "ReplicationController"),
        ("apps", "ReplicaSet"),
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("batch", "CronJob"),
    ),
    (("autoscaling", "HorizontalPodAutoscaler"), ("policy", "PodDisruptionBudget"), ("networking.k8s.io", "Ingress")),
    (),  # every other kind
    (("apiregistration.k8s.io", "APIService"),),
    (
        (_ADMISSION, "ValidatingAdmissionPolicy"),
        (_ADMISSION, "ValidatingAdmissionPolicyBinding"),
        (_ADMISSION, "MutatingAdmissionPolicy"),
        (_ADMISSION, "MutatingAdmissionPolicyBinding"),
        (_ADMISSION, "ValidatingWebhookConfiguration"),
        (_ADMISSION, "MutatingWebhookConfiguration"),
    ),
)
_RANKS: Final[Mapping[tuple[str, str], int]] = MappingProxyType({kind: rank for rank, kinds in enumerate(_ORDER) for kind in kinds})
_OTHERS: Final = _ORDER.index(())


def rank(group: str, kind: str) -> int:
    """The place of a kind among those that are applied together. A kind that is not known comes after the workloads."""
    return _RANKS.get((group, kind), _OTHERS)


def stage(group: str, kind: str) -> int:
    """FIRST, MIDDLE or LAST. Objects of a stage go before those of an earlier one, whenever they were applied."""
    at = rank(group, kind)
    return FIRST if at < 2 else MIDDLE if at <= _OTHERS else LAST


def in_dispatches(objects: list[JsonObject], dispatches: Mapping[str, str]) -> list[list[JsonObject]]:
    """
    The objects of a component in the parts that are applied one after the other, each healthy before the next: those that traits of the stage
    PreDispatch made, all others, and those of PostDispatch. `dispatches`: stages by trait type. One part where there are no such.
    """
    parts: dict[str, list[JsonObject]] = {"PreDispatch": [], "DefaultDispatch": [], "PostDispatch": []}
    for obj in objects:
        made_by = (obj["metadata"].get("labels") or {}).get(LABEL_TRAIT, "")
        parts[dispatches.get(made_by, "DefaultDispatch")].append(obj)
    return [part for part in parts.values() if part] or [[]]
