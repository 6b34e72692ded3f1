"""API versions that Kubernetes has removed, and the ones that it serves instead (kubernetes.io: Deprecated API Migration Guide)."""

from __future__ import annotations

from types import MappingProxyType

_APPS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ControllerRevision")
_RBAC = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")

_REMOVED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("apps/v1beta1", _APPS, "apps/v1"),
    ("apps/v1beta2", _APPS, "apps/v1"),
    ("extensions/v1beta1", ("Deployment", "DaemonSet", "ReplicaSet"), "apps/v1"),
    ("extensions/v1beta1", ("Ingress", "NetworkPolicy"), "networking.k8s.io/v1"),
    ("networking.k8s.io/v1beta1", ("Ingress", "IngressClass"), "networking.k8s.io/v1"),
    ("batch/v1beta1", ("CronJob",), "batch/v1"),
    ("batch/v2alpha1", ("CronJob",), "batch/v1"),
    ("policy/v1beta1", ("PodDisruptionBudget",), "policy/v1"),
    ("autoscaling/v2beta1", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
    ("autoscaling/v2beta2", ("HorizontalPodAutoscaler",), "autoscaling/v2"),
    ("rbac.authorization.k8s.io/v1alpha1", _RBAC, "rbac.authorization.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", _RBAC, "rbac.authorization.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", ("PriorityClass",), "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", ("Lease",), "coordination.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", ("StorageClass", "VolumeAttachment", "CSIDriver", "CSINode", "CSIStorageCapacity"), "storage.k8s.io/v1"),
    ("discovery.k8s.io/v1beta1", ("EndpointSlice",), "discovery.k8s.io/v1"),
    ("events.k8s.io/v1beta1", ("Event",), "events.k8s.io/v1"),
    (
        "admissionregistration.k8s.io/v1beta1",
        ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"),
        "admissionregistration.k8s.io/v1",
    ),
    ("apiregistration.k8s.io/v1beta1", ("APIService",), "apiregistration.k8s.io/v1"),
    ("certificates.k8s.io/v1beta1", ("CertificateSigningRequest",), "certificates.k8s.io/v1"),
    ("apiextensions.k8s.io/v1beta1", ("CustomResourceDefinition",), "apiextensions.k8s.io/v1"),
)

SERVED = MappingProxyType({(removed, kind): served for removed, kinds, served in _REMOVED for kind in kinds})


def served_version(api_version: object, kind: object) -> str | None:
    """The version served instead of a removed one of a built-in kind; None where that version is not known to be removed."""
    return SERVED.get((api_version, kind)) if isinstance(api_version, str) and isinstance(kind, str) else None
