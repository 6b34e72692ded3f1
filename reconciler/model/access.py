"""What the manifests below one folder of the repository may do, as the operator says it (rule 13a)."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from reconciler.model.account import parse_account
from reconciler.model.text import one_line

# A kind begins with a capital. One in small letters, or its plural, would allow and deny nothing without a word.
_KIND = re.compile(r"(?:[A-Z*][A-Za-z0-9*]*)(?:\.[a-z0-9*][-a-z0-9.*]*)?", re.ASCII)
_NAMESPACE = re.compile(r"[a-z0-9*](?:[-a-z0-9*]*[a-z0-9*])?", re.ASCII)


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """
    What the manifests below one folder of the repository may do (rule 13a). The longest `path` that holds a manifest decides.

    Empty `namespaces` or `kinds`: as without a mapping. `denyKinds` wins over `kinds`.
    """

    path: Annotated[str, Meta(description="Folder of the repository, relative to its top; empty for all of it.")] = ""
    namespaces: Annotated[
        list[str], Meta(description="Namespaces that objects may go to and that applications may have their names in; `*` stands for any text.")
    ] = []
    deny_namespaces: Annotated[list[str], Meta(description="Namespaces that may not be used, whatever `namespaces` says.")] = []
    kinds: Annotated[list[str], Meta(description="Kinds that may be applied, as `Deployment`, `Deployment.apps` or `*.apps`.")] = []
    deny_kinds: Annotated[list[str], Meta(description="Kinds that may not be applied, whatever `kinds` says.")] = []
    cluster_scoped: Annotated[list[str], Meta(description="Cluster-scoped kinds that may be applied; no others are.")] = []
    references: Annotated[list[str], Meta(description="Further namespaces whose applications may be waited for.")] = []
    service_account: Annotated[
        str,
        Meta(
            description="Service account in whose name objects are read, applied and deleted: `namespace:name`, or `name` alone for "
            "that of the application's own namespace. Empty: the daemon's."
        ),
    ] = ""
    service_accounts: Annotated[list[str], Meta(description="Further ones that a manifest may pick by its annotation; written the same way.")] = []


def check_rule(rule: Access, place: str) -> None:
    """Raises ValueError, with the place, for what could never match or name anything."""
    if rule.path.startswith("/") or ".." in rule.path.split("/"):
        raise ValueError(f"{one_line(rule.path, 80)!r} is not below the repository's top: name a folder relative to it - at `${place}.path`")
    for name, kinds in (("kinds", rule.kinds), ("denyKinds", rule.deny_kinds), ("clusterScoped", rule.cluster_scoped)):
        for index, kind in enumerate(kinds):
            if not _KIND.fullmatch(kind):
                raise ValueError(f"{one_line(kind, 80)!r} is no kind: write it as Deployment or Deployment.apps - at `${place}.{name}[{index}]`")
    for name, spaces in (("namespaces", rule.namespaces), ("denyNamespaces", rule.deny_namespaces), ("references", rule.references)):
        for index, space in enumerate(spaces):
            if not _NAMESPACE.fullmatch(space):
                raise ValueError(f"{one_line(space, 80)!r} is no namespace - at `${place}.{name}[{index}]`")
    for name, accounts in (("serviceAccount", [rule.service_account] if rule.service_account else []), ("serviceAccounts", rule.service_accounts)):
        for account in accounts:
            try:
                parse_account(account if name == "serviceAccount" else account.replace("*", "x"), "default")
            except ValueError as error:
                raise ValueError(f"{error} - at `${place}.{name}`") from None
