"""Where an application may put what: rule 13a, checked at each apply."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import ClassVar, Final

import msgspec

from reconciler.cluster.protocol import ClusterError
from reconciler.model.access import Access as Rule
from reconciler.model.account import Account, parse_account, read_account
from reconciler.model.canonical import digest
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.names import GROUP, is_ours
from reconciler.model.outcome import Retry

_RBAC: Final = "rbac.authorization.k8s.io"
_CLUSTERS: Final = "kube-"


class NotAllowedError(ClusterError):
    """The operator does not allow that application this call."""

    retry: ClassVar[Retry] = "terminal"
    reason: ClassVar[str] = "NotAllowed"


class DeniedError(Exception):
    """The operator does not allow what a manifest picks. The message says which rule, and what it would take."""


class Access:
    """`cluster_scoped`: kinds without a namespace that are allowed where there is no mapping. A mapping that is there and does not name a
    path denies it. Whatever a rule allows: never the daemon's state, its namespace, or what of them is cluster-scoped."""

    def __init__(self, rules: Sequence[Rule], cluster_scoped: Sequence[str], daemon_namespace: str) -> None:
        self._rules = sorted(rules, key=lambda rule: len(rule.path.strip("/")), reverse=True)
        self._cluster_scoped, self._daemon = frozenset(cluster_scoped), daemon_namespace

    @property
    def mark(self) -> str:
        """Another one where anything else may be allowed: what was judged by another mark is to be judged anew."""
        return digest([[msgspec.to_builtins(rule) for rule in self._rules], sorted(self._cluster_scoped), self._daemon])

    def objection(self, path: str, ref: ObjectRef) -> str:
        """Why an application whose manifest stands at `path` may not have that object; empty when it may."""
        return self._never(ref) or (self._ruled(path, ref) if self._rules else self._unruled(ref))

    def _never(self, ref: ObjectRef) -> str:
        if ref.group == GROUP:
            return f"{ref.kind} of {GROUP} is the daemon's own state and is never applied from git"
        if ref.kind == "CustomResourceDefinition" and is_ours(f"{ref.name.partition('.')[2]}/"):
            return f"the definition {ref.name} is of the daemon's own state and is never applied from git"
        return f"namespace {self._daemon} is the daemon's own" if _space(ref) == self._daemon else ""

    def _unruled(self, ref: ObjectRef) -> str:
        if not ref.namespace and not _matches(ref, self._cluster_scoped):
            return f"{ref.kind} is cluster-scoped; the operator allows it with --allow-cluster-scoped {ref.kind}"
        return f"namespace {_space(ref)} belongs to the cluster" if _space(ref).startswith(_CLUSTERS) else ""

    def _ruled(self, path: str, ref: ObjectRef) -> str:
        rule = self._rule(path)
        if rule is None:
            return f"the operator's access mapping names no rule for {path}"
        if not ref.namespace and not _matches(ref, rule.cluster_scoped):
            return f"{ref.kind} is cluster-scoped; the operator allows it below {rule.path or '/'} by `clusterScoped` of that rule of `access`"
        objection = self._space_objection(rule, _space(ref)) if _space(ref) else ""
        if objection:
            return objection
        named = ref.namespace == "" or _matches(ref, rule.kinds)
        if _matches(ref, rule.deny_kinds) or (rule.kinds and not named):
            return f"manifests below {rule.path} may not use kind {ref.kind}"
        if ref.group == _RBAC and not named and not rule.service_account:
            return (
                f"manifests below {rule.path} may not use kind {ref.kind}: rights are given by who has them. Name it in `kinds` of that rule, "
                "or name a `serviceAccount` there, which then can give no more than it has"
            )
        return ""

    def _space_objection(self, rule: Rule, namespace: str) -> str:
        if rule.namespaces and not _fits(namespace, rule.namespaces):
            return f"manifests below {rule.path} may not use namespace {namespace}"
        if _fits(namespace, rule.deny_namespaces):
            return f"manifests below {rule.path} may not use namespace {namespace}: `denyNamespaces` of that rule names it"
        if namespace.startswith(_CLUSTERS) and namespace not in rule.namespaces:
            return f"namespace {namespace} belongs to the cluster"
        return ""

    def home_objection(self, path: str, namespace: str) -> str:
        """Why an application at `path` may not have its identity in that namespace: names there are of those who may use it."""
        if namespace == self._daemon:
            return f"namespace {namespace} is the daemon's own"
        rule = self._rule(path)
        if not self._rules:
            return ""
        return self._space_objection(rule, namespace) if rule is not None else f"the operator's access mapping names no rule for {path}"

    def reference_objection(self, path: str, home: str, namespace: str) -> str:
        """Why it may not refer to applications of that namespace."""
        rule = self._rule(path)
        if rule is None or namespace == home or _fits(namespace, rule.references) or not self._space_objection(rule, namespace):
            return ""
        return f"manifests below {rule.path} may not refer to namespace {namespace}; the operator allows it by `references` of that rule of `access`"

    def account(self, path: str, key: AppKey, annotations: Mapping[str, str]) -> Account | None:
        """In whose name its objects are read, applied and deleted; None: the daemon's. Raises DeniedError."""
        rule = self._rule(path)
        if self._rules and rule is None:
            raise DeniedError(f"the operator's access mapping names no rule for {path}")
        try:
            wanted = read_account(annotations, key.namespace)
        except ValueError as error:
            raise DeniedError(str(error)) from None
        usual = parse_account(rule.service_account, key.namespace) if rule is not None and rule.service_account else None
        if wanted in (None, usual):
            return usual
        assert wanted is not None
        if rule is not None and (usual is not None or rule.service_accounts):
            if not any(_is_account(wanted, pattern, key.namespace) for pattern in rule.service_accounts):
                raise DeniedError(
                    f"manifests below {rule.path} may not act as service account {wanted}; the operator allows it by `serviceAccounts` of that "
                    "rule of `access`"
                )
        elif wanted.namespace != key.namespace:
            raise DeniedError(f"service account {wanted} is not of the application's own namespace {key.namespace}")
        if wanted.namespace == self._daemon or wanted.namespace.startswith(_CLUSTERS):
            raise DeniedError(f"service account {wanted} is of a namespace whose accounts no manifest may act as")
        return wanted

    def _rule(self, path: str) -> Rule | None:
        return next((rule for rule in self._rules if _below(path, rule.path)), None)


def _space(ref: ObjectRef) -> str:
    """The namespace that the object is in, or that it is."""
    return ref.name if (ref.group, ref.kind) == ("", "Namespace") else ref.namespace


def _matches(ref: ObjectRef, patterns: Collection[str]) -> bool:
    """A kind as an operator may write it: `Deployment`, `Deployment.apps`, `*.apps`."""
    names = (ref.kind, f"{ref.kind}.{ref.group}")
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _fits(namespace: str, patterns: Collection[str]) -> bool:
    return any(fnmatchcase(namespace, pattern) for pattern in patterns)


def _is_account(account: Account, pattern: str, home: str) -> bool:
    where, colon, name = pattern.rpartition(":")
    return fnmatchcase(account.namespace, where if colon else home) and fnmatchcase(account.name, name)


def _below(path: str, folder: str) -> bool:
    folder = folder.strip("/")
    return folder in ("", ".") or path == folder or path.startswith(folder + "/")


class Claims:
    """Which application has which object: inventories and intents, for rule 1e. Kept in memory, rebuilt at the start."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str, str, str], AppKey] = {}

    def clear(self) -> None:
        self._owners.clear()

    def owner(self, ref: ObjectRef) -> AppKey | None:
        return self._owners.get(ref.identity)

    def claim(self, ref: ObjectRef, key: AppKey) -> None:
        self._owners[ref.identity] = key

    def release(self, ref: ObjectRef, key: AppKey) -> None:
        if self._owners.get(ref.identity) == key:
            del self._owners[ref.identity]
