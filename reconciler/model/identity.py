"""Who is who: applications and cluster objects."""

from __future__ import annotations

from typing import Any, NamedTuple

JsonObject = dict[str, Any]


class AppKey(NamedTuple):
    """Identity of an application. Two documents with one identity are an error that names both."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def object_name(self) -> str:
        """`<namespace>.<name>`: a namespace has no dot, so this is unambiguous (rule 3a)."""
        return f"{self.namespace}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> AppKey:
        """Reads `namespace/name`."""
        namespace, _, name = text.partition("/")
        return cls(namespace, name)


class GVK(NamedTuple):
    """Group, version and kind. The core group is the empty string."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @classmethod
    def of(cls, obj: JsonObject) -> GVK:
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        return cls(group, version, str(obj.get("kind", "")))


class ObjectRef(NamedTuple):
    """A cluster object. `namespace` is empty for cluster-scoped kinds. Equal refs are one object of one version."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """(group, kind, namespace, name): the same object whatever version it is named by."""
        return (self.group, self.kind, self.namespace, self.name)

    @property
    def gvk(self) -> GVK:
        group, _, version = self.api_version.rpartition("/")
        return GVK(group, version, self.kind)

    def pack(self) -> str:
        """One line, for inventories and logs: `apiVersion|kind|namespace|name`."""
        return "|".join(self)

    @classmethod
    def unpack(cls, text: str) -> ObjectRef:
        api_version, kind, namespace, name = text.split("|", 3)
        return cls(api_version, kind, namespace, name)

    @classmethod
    def of(cls, obj: JsonObject) -> ObjectRef:
        meta = obj.get("metadata") or {}
        return cls(str(obj.get("apiVersion", "")), str(obj.get("kind", "")), str(meta.get("namespace", "")), str(meta.get("name", "")))
