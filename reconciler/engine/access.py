"""Where an application may put what: rule 13a, checked at each apply."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.names import GROUP


class Rule(Protocol):
    """One line of the operator's mapping: a repository folder to namespaces and kinds. Empty lists allow what no mapping would."""

    @property
    def path(self) -> str: ...
    @property
    def namespaces(self) -> Sequence[str]: ...
    @property
    def kinds(self) -> Sequence[str]: ...
    @property
    def deny_kinds(self) -> Sequence[str]: ...


class Access:
    """`cluster_scoped`: kinds without a namespace that are allowed. A mapping that is there and does not name a path denies it."""

    def __init__(self, rules: Sequence[Rule], cluster_scoped: Sequence[str], daemon_namespace: str) -> None:
        self._rules = sorted(rules, key=lambda rule: len(rule.path), reverse=True)
        self._cluster_scoped, self._daemon = frozenset(cluster_scoped), daemon_namespace

    def objection(self, path: str, ref: ObjectRef) -> str:
        """Why an application whose manifest stands at `path` may not have that object; empty when it may."""
        if ref.group == GROUP:
            return f"{ref.kind} of {GROUP} is the daemon's own state and is never applied from git"
        if ref.namespace == self._daemon:
            return f"namespace {ref.namespace} is the daemon's own"
        if not ref.namespace and not _names(ref) & self._cluster_scoped:
            return f"{ref.kind} is cluster-scoped; the operator allows it with --allow-cluster-scoped {ref.kind}"
        if not self._rules:
            return f"namespace {ref.namespace} belongs to the cluster" if ref.namespace.startswith("kube-") else ""
        rule = next((rule for rule in self._rules if _below(path, rule.path)), None)
        if rule is None:
            return f"the operator's access mapping names no rule for {path}"
        if ref.namespace and rule.namespaces and not any(fnmatchcase(ref.namespace, pattern) for pattern in rule.namespaces):
            return f"manifests below {rule.path} may not use namespace {ref.namespace}"
        if not _names(ref).isdisjoint(rule.deny_kinds) or (rule.kinds and _names(ref).isdisjoint(rule.kinds)):
            return f"manifests below {rule.path} may not use kind {ref.kind}"
        if ref.namespace.startswith("kube-") and ref.namespace not in rule.namespaces:
            return f"namespace {ref.namespace} belongs to the cluster"
        return ""


def _names(ref: ObjectRef) -> frozenset[str]:
    """A kind as an operator may write it: `Deployment`, `Deployment.apps`."""
    return frozenset((ref.kind, f"{ref.kind}.{ref.group}" if ref.group else ref.kind))


def _below(path: str, folder: str) -> bool:
    folder = folder.strip("/")
    return folder in ("", ".") or path == folder or path.startswith(folder + "/")


class Claims:
    """Which application has which object: inventories and intents, for rule 1e. Kept in memory, rebuilt at the start."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str, str, str], AppKey] = {}

    def owner(self, ref: ObjectRef) -> AppKey | None:
        return self._owners.get(ref.identity)

    def claim(self, ref: ObjectRef, key: AppKey) -> None:
        self._owners[ref.identity] = key

    def release(self, ref: ObjectRef, key: AppKey) -> None:
        if self._owners.get(ref.identity) == key:
            del self._owners[ref.identity]
