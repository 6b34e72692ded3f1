"""What is known of built-in kinds without a cluster: which have no namespace, and which versions are served no more."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from reconciler.model.identity import GVK

CLUSTER_SCOPED: Final = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        ("certificates.k8s.io", "CertificateSigningRequest"),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema"),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"),
        ("networking.k8s.io", "IngressClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("storage.k8s.io", "CSINode"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "VolumeAttachment"),
    }
)
"""(group, kind). Every other built-in kind lives in a namespace."""

_WORKLOADS = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
_RBAC = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")

# Removed versions whose objects are valid in the served one as they stand (Kubernetes' deprecated API migration guide).
# Ingress v1beta1 is not among them: its fields moved.
_SERVED = MappingProxyType(
    {
        GVK(group, version, kind): "apps/v1"
        for group, version in (("apps", "v1beta1"), ("apps", "v1beta2"), ("extensions", "v1beta1"))
        for kind in _WORKLOADS
    }
    | {GVK("rbac.authorization.k8s.io", version, kind): "rbac.authorization.k8s.io/v1" for version in ("v1alpha1", "v1beta1") for kind in _RBAC}
    | {
        GVK("batch", "v1beta1", "CronJob"): "batch/v1",
        GVK("extensions", "v1beta1", "NetworkPolicy"): "networking.k8s.io/v1",
        GVK("networking.k8s.io", "v1beta1", "IngressClass"): "networking.k8s.io/v1",
        GVK("policy", "v1beta1", "PodDisruptionBudget"): "policy/v1",
        GVK("scheduling.k8s.io", "v1beta1", "PriorityClass"): "scheduling.k8s.io/v1",
        GVK("storage.k8s.io", "v1beta1", "StorageClass"): "storage.k8s.io/v1",
        GVK("coordination.k8s.io", "v1beta1", "Lease"): "coordination.k8s.io/v1",
    }
)


def served_version(gvk: GVK) -> str:
    """The apiVersion to send for a kind: the served one where the given one was removed, else the given one."""
    return _SERVED.get(gvk, gvk.api_version)
