"""Which kinds are served: Kubernetes' own, the daemon's state kinds, and what CustomResourceDefinitions bring."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.cluster.embedded.shapes import BUILT_IN, PLAIN, Shape
from reconciler.cluster.protocol import Kind, KindUnknownError
from reconciler.model.identity import GVK
from reconciler.model.names import GROUP


@dataclass(frozen=True, slots=True)
class Resource:
    """
    A kind of a group. `versions`: those served, the preferred one first. `removed`: (group, version) pairs under which
    Kubernetes once served the same shape; they map to the preferred version. `status`: it has a status subresource.
    `counted`: metadata.generation counts changes of the spec. `schemas`: of a custom resource, by version.
    """

    group: str
    kind: str
    plural: str
    namespaced: bool = True
    versions: tuple[str, ...] = ("v1",)
    removed: tuple[tuple[str, str], ...] = ()
    short: tuple[str, ...] = ()
    status: bool = False
    counted: bool = False
    shape: Shape = PLAIN
    schemas: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def preferred(self) -> GVK:
        return GVK(self.group, self.versions[0], self.kind)

    @property
    def served(self) -> Iterator[GVK]:
        return (GVK(self.group, version, self.kind) for version in self.versions)

    @property
    def custom(self) -> bool:
        return self.schemas is not None

    @property
    def ours(self) -> bool:
        """A state kind: written by the daemon alone, so nobody asks which manager owns its fields."""
        return self.group == GROUP


_APPS_REMOVED = (("apps", "v1beta1"), ("apps", "v1beta2"))
_EXTENSIONS = ("extensions", "v1beta1")
_RBAC = "rbac.authorization.k8s.io"
_RBAC_REMOVED = ((_RBAC, "v1beta1"), (_RBAC, "v1alpha1"))
_ADMISSION = "admissionregistration.k8s.io"
CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")

_TABLE = (
    Resource("", "Namespace", "namespaces", namespaced=False, short=("ns",), status=True),
    Resource("", "Node", "nodes", namespaced=False, short=("no",), status=True),
    Resource("", "PersistentVolume", "persistentvolumes", namespaced=False, short=("pv",), status=True),
    Resource("", "ConfigMap", "configmaps", short=("cm",)),
    Resource("", "Secret", "secrets"),
    Resource("", "Service", "services", short=("svc",), status=True),
    Resource("", "ServiceAccount", "serviceaccounts", short=("sa",)),
    Resource("", "Pod", "pods", short=("po",), status=True, counted=True),
    Resource("", "PersistentVolumeClaim", "persistentvolumeclaims", short=("pvc",), status=True),
    Resource("", "Endpoints", "endpoints", short=("ep",)),
    Resource("", "Event", "events", short=("ev",)),
    Resource("", "LimitRange", "limitranges", short=("limits",)),
    Resource("", "ResourceQuota", "resourcequotas", short=("quota",), status=True),
    Resource("", "ReplicationController", "replicationcontrollers", short=("rc",), status=True, counted=True),
    Resource("", "PodTemplate", "podtemplates"),
    Resource("apps", "Deployment", "deployments", removed=(*_APPS_REMOVED, _EXTENSIONS), short=("deploy",), status=True, counted=True),
    Resource("apps", "StatefulSet", "statefulsets", removed=_APPS_REMOVED, short=("sts",), status=True, counted=True),
    Resource("apps", "DaemonSet", "daemonsets", removed=(("apps", "v1beta2"), _EXTENSIONS), short=("ds",), status=True, counted=True),
    Resource("apps", "ReplicaSet", "replicasets", removed=(("apps", "v1beta2"), _EXTENSIONS), short=("rs",), status=True, counted=True),
    Resource("apps", "ControllerRevision", "controllerrevisions", removed=_APPS_REMOVED),
    Resource("batch", "Job", "jobs", status=True, counted=True),
    Resource("batch", "CronJob", "cronjobs", removed=(("batch", "v1beta1"), ("batch", "v2alpha1")), short=("cj",), status=True, counted=True),
    Resource("autoscaling", "HorizontalPodAutoscaler", "horizontalpodautoscalers", versions=("v2", "v1"), short=("hpa",), status=True),
    Resource("networking.k8s.io", "Ingress", "ingresses", short=("ing",), status=True, counted=True),
    Resource("networking.k8s.io", "IngressClass", "ingressclasses", namespaced=False, counted=True),
    Resource("networking.k8s.io", "NetworkPolicy", "networkpolicies", removed=(_EXTENSIONS,), short=("netpol",), counted=True),
    Resource("policy", "PodDisruptionBudget", "poddisruptionbudgets", removed=(("policy", "v1beta1"),), short=("pdb",), status=True, counted=True),
    Resource(_RBAC, "Role", "roles", removed=_RBAC_REMOVED),
    Resource(_RBAC, "RoleBinding", "rolebindings", removed=_RBAC_REMOVED),
    Resource(_RBAC, "ClusterRole", "clusterroles", namespaced=False, removed=_RBAC_REMOVED),
    Resource(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False, removed=_RBAC_REMOVED),
    Resource("storage.k8s.io", "StorageClass", "storageclasses", namespaced=False, removed=(("storage.k8s.io", "v1beta1"),), short=("sc",)),
    Resource("scheduling.k8s.io", "PriorityClass", "priorityclasses", namespaced=False, removed=(("scheduling.k8s.io", "v1beta1"),), short=("pc",)),
    Resource("coordination.k8s.io", "Lease", "leases", removed=(("coordination.k8s.io", "v1beta1"),)),
    Resource("discovery.k8s.io", "EndpointSlice", "endpointslices", removed=(("discovery.k8s.io", "v1beta1"),)),
    Resource(_ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False, counted=True),
    Resource(_ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False, counted=True),
    Resource(*CRD, "customresourcedefinitions", namespaced=False, short=("crd", "crds"), status=True, counted=True),
)


class Kinds:
    """The registry. Custom kinds come and go; the built-in ones stay, and `fixed` with them."""

    def __init__(self, fixed: Iterable[Resource] = ()) -> None:
        self._known: dict[tuple[str, str], Resource] = {}
        self._removed: dict[GVK, Resource] = {}
        for resource in (*map(_shaped, _TABLE), *fixed):
            self._known[resource.group, resource.kind] = resource
            for group, version in resource.removed:
                self._removed[GVK(group, version, resource.kind)] = resource
        self._built_in = frozenset(self._known)

    def resolve(self, gvk: GVK) -> tuple[Resource, GVK]:
        """The kind and the version that answers for it. Raises KindUnknownError."""
        resource = self._known.get((gvk.group, gvk.kind))
        if resource is not None and gvk.version in resource.versions:
            return resource, gvk
        removed = self._removed.get(gvk)
        if removed is not None:
            return removed, removed.preferred
        raise KindUnknownError(f"the cluster serves no kind {gvk.kind!r:.100} of {gvk.api_version!r:.100}")

    def named(self, group: str, kind: str) -> Resource | None:
        return self._known.get((group, kind))

    def describe(self, gvk: GVK) -> Kind:
        resource, served = self.resolve(gvk)
        return Kind(gvk, resource.plural, resource.namespaced, served)

    def lookup(self, word: str) -> Kind:
        """`deployment`, `deployments`, `Deployment`, `deploy`, `deployments.apps`. Kubernetes' own kinds win. Raises LookupError."""
        name, _, group = word.lower().partition(".")
        for resource in self:
            if name in (resource.kind.lower(), resource.plural, *resource.short) and group in ("", resource.group):
                return self.describe(resource.preferred)
        raise LookupError(f"the cluster serves no kind {word!r:.100}")

    def register(self, resource: Resource) -> None:
        """Serves a custom kind. A built-in one is left as it is."""
        if (resource.group, resource.kind) not in self._built_in:
            self._known[resource.group, resource.kind] = resource

    def unregister(self, group: str, kind: str) -> None:
        if (group, kind) not in self._built_in:
            self._known.pop((group, kind), None)

    def is_built_in(self, group: str, kind: str) -> bool:
        return (group, kind) in self._built_in

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._known.values()))


def _shaped(resource: Resource) -> Resource:
    return replace(resource, shape=BUILT_IN.get((resource.group, resource.kind), PLAIN))
