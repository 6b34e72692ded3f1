"""
How the fields of an object merge under server-side apply: which maps and lists are one value, which lists have keys.

The rules are those of `x-kubernetes-list-type` and `x-kubernetes-map-type` in Kubernetes' own API definitions; custom
resources bring theirs in their schema. What is not named here is a map merged by key, or a list that is one value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """
    `keys`: merge keys of a list of maps, with the value that stands for an absent one (None: it must be there).
    `is_set`: a list of distinct scalars. `atomic`: a map that is one value. `rest`: the shape of fields not in `fields`.
    """

    fields: Mapping[str, Shape] = field(default_factory=dict)
    keys: tuple[tuple[str, Any], ...] = ()
    is_set: bool = False
    atomic: bool = False
    items: Shape | None = None
    rest: Shape | None = None

    def field(self, name: str) -> Shape:
        return self.fields.get(name) or self.rest or ANY

    @property
    def item(self) -> Shape:
        return self.items or ANY


ANY = Shape()
ATOMIC = Shape(atomic=True)
SET = Shape(is_set=True)


def keyed(*keys: str, fields: Mapping[str, Shape] | None = None, **defaults: Any) -> Shape:
    """A list of maps that merge by `keys`; `defaults` are keys that may be absent, with what stands for them."""
    names = tuple((key, None) for key in keys) + tuple(defaults.items())
    return Shape(keys=names, items=Shape(fields=fields or {}))


METADATA = Shape(fields={"finalizers": SET, "ownerReferences": keyed("uid")})
_CONDITIONS = keyed("type")

_ENV = keyed(
    "name", fields={"valueFrom": Shape(fields={"configMapKeyRef": ATOMIC, "secretKeyRef": ATOMIC, "fieldRef": ATOMIC, "resourceFieldRef": ATOMIC})}
)
_CONTAINER = {
    "ports": keyed("containerPort", protocol="TCP"),
    "env": _ENV,
    "volumeMounts": keyed("mountPath"),
    "volumeDevices": keyed("devicePath"),
    "resources": Shape(fields={"claims": keyed("name")}),
}
_POD_SPEC = Shape(
    fields={
        "containers": keyed("name", fields=_CONTAINER),
        "initContainers": keyed("name", fields=_CONTAINER),
        "ephemeralContainers": keyed("name", fields=_CONTAINER),
        "volumes": keyed("name"),
        "imagePullSecrets": keyed("name"),
        "hostAliases": keyed("ip"),
        "topologySpreadConstraints": keyed("topologyKey", "whenUnsatisfiable"),
        "schedulingGates": keyed("name"),
        "resourceClaims": keyed("name"),
        "nodeSelector": ATOMIC,
    }
)
_TEMPLATE = Shape(fields={"metadata": METADATA, "spec": _POD_SPEC})
_WORKLOAD_STATUS = Shape(fields={"conditions": _CONDITIONS})


def _root(spec: Shape = ANY, status: Shape = _WORKLOAD_STATUS, **more: Shape) -> Shape:
    return Shape(fields={"metadata": METADATA, "spec": spec, "status": status, **more})


_WORKLOAD = _root(Shape(fields={"selector": ATOMIC, "template": _TEMPLATE}))
PLAIN = _root()

BUILT_IN: Mapping[tuple[str, str], Shape] = {
    ("", "Pod"): _root(_POD_SPEC, Shape(fields={"conditions": _CONDITIONS, "podIPs": keyed("ip")})),
    ("", "Service"): _root(Shape(fields={"ports": keyed("port", protocol="TCP"), "selector": ATOMIC})),
    ("", "ServiceAccount"): _root(secrets=keyed("name")),
    ("", "Namespace"): PLAIN,
    ("apps", "Deployment"): _WORKLOAD,
    ("apps", "StatefulSet"): _WORKLOAD,
    ("apps", "DaemonSet"): _WORKLOAD,
    ("apps", "ReplicaSet"): _WORKLOAD,
    ("batch", "Job"): _WORKLOAD,
    ("batch", "CronJob"): _root(
        Shape(fields={"jobTemplate": Shape(fields={"metadata": METADATA, "spec": Shape(fields={"selector": ATOMIC, "template": _TEMPLATE})})})
    ),
    ("networking.k8s.io", "NetworkPolicy"): _root(Shape(fields={"podSelector": ATOMIC})),
    ("policy", "PodDisruptionBudget"): _root(Shape(fields={"selector": ATOMIC})),
    ("rbac.authorization.k8s.io", "RoleBinding"): _root(roleRef=ATOMIC),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _root(roleRef=ATOMIC),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _root(webhooks=keyed("name")),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _root(webhooks=keyed("name")),
}


def from_schema(schema: Mapping[str, Any]) -> Shape:
    """The shape that an OpenAPI schema of a CRD declares. Malformed parts count as undeclared."""
    properties = schema.get("properties")
    extra = schema.get("additionalProperties")
    items = schema.get("items")
    names = schema.get("x-kubernetes-list-map-keys")
    keys: tuple[tuple[str, Any], ...] = ()
    if schema.get("x-kubernetes-list-type") == "map" and isinstance(names, list):
        declared = items.get("properties", {}) if isinstance(items, dict) else {}
        keys = tuple((str(name), _default(declared, str(name))) for name in names)
    return Shape(
        fields={name: from_schema(sub) for name, sub in properties.items() if isinstance(sub, dict)} if isinstance(properties, dict) else {},
        keys=keys,
        is_set=schema.get("x-kubernetes-list-type") == "set",
        atomic=schema.get("x-kubernetes-map-type") == "atomic",
        items=from_schema(items) if isinstance(items, dict) else None,
        rest=from_schema(extra) if isinstance(extra, dict) else None,
    )


def _default(properties: Any, name: str) -> Any:
    declared = properties.get(name) if isinstance(properties, dict) else None
    return declared.get("default") if isinstance(declared, dict) else None
