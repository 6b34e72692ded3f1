"""Service accounts: in whose name an application's objects are read, applied and deleted (rule 13a)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from reconciler.model.names import DNS_LABEL, SERVICE_ACCOUNT, SERVICE_ACCOUNT_OAM
from reconciler.model.text import one_line

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*", re.ASCII)


class Account(NamedTuple):
    """A ServiceAccount of the cluster. As text: `namespace:name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}:{self.name}"

    @property
    def user(self) -> str:
        """The name by which the API server knows it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def parse_account(text: str, namespace: str) -> Account:
    """Reads `name`, which is of `namespace`, or `namespace:name`. Raises ValueError with what is wrong."""
    where, colon, name = text.rpartition(":")
    if not _NAME.fullmatch(name) or (colon and not DNS_LABEL.fullmatch(where)):
        raise ValueError(f"{one_line(text, 80) or 'an empty text'} names no service account: write NAME or NAMESPACE:NAME")
    return Account(where or namespace, name)


def read_account(annotations: Mapping[str, str], namespace: str) -> Account | None:
    """What a manifest in `namespace` picks; None where it picks none. Raises ValueError for a malformed or a contradicting pick."""
    picks = {key: parse_account(annotations[key], namespace) for key in (SERVICE_ACCOUNT, SERVICE_ACCOUNT_OAM) if key in annotations}
    if len(set(picks.values())) > 1:
        raise ValueError(f"{SERVICE_ACCOUNT} and {SERVICE_ACCOUNT_OAM} name two service accounts: " + " and ".join(map(str, picks.values())))
    return next(iter(picks.values()), None)


def picked(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a manifest that pick."""
    return {key: annotations[key] for key in (SERVICE_ACCOUNT, SERVICE_ACCOUNT_OAM) if key in annotations}
