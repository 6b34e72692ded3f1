"""Helm charts: what a component asks for, and what that was resolved to when its revision was made (rule 5a)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from reconciler.model.canonical import digest
from reconciler.model.identity import GVK
from reconciler.model.text import one_line


class ChartSource(msgspec.Struct, frozen=True):
    """
    A chart that is somewhere else. `repository`: `http(s)://` of a chart repository, or `oci://HOST/PATH` of a registry, to which `name` is
    added where it is given. `version`: a range (`model/version.py`). `secret`: the name of the Secret that opens it, empty: nobody asks.
    """

    repository: str
    name: str
    version: str = ""
    secret: str = ""

    @property
    def label(self) -> str:
        """How an error names it."""
        name = f"{self.name} {self.version}".strip() or self.version
        return one_line(f"chart {name} of {show_url(self.repository)}", 400)


class Capabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """What charts may know of the cluster. `kube_version`: as the cluster says it, `v1.36.3`; `api_versions`: `GROUP/VERSION` and
    `GROUP/VERSION/KIND` of all that it serves, sorted. Where nothing is known: what the Helm that is built in believes of a usual cluster."""

    kube_version: str = ""
    api_versions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it in one line, as a revision shows and digests it."""
        return one_line(f"Kubernetes {self.kube_version}; {len(self.api_versions)} API versions and kinds {digest([*self.api_versions])}", 200)


def list_versions(kinds: Iterable[GVK]) -> tuple[str, ...]:
    """Of the kinds that a cluster serves, as `.Capabilities.APIVersions` names them."""
    return tuple(sorted({name for gvk in kinds for name in (gvk.api_version, f"{gvk.api_version}/{gvk.kind}")}))


class ChartPin(msgspec.Struct, frozen=True, omit_defaults=True):
    """One archive. `digest`: `sha256:<hex>` of its bytes; `url`: where it was; `requires`: the archives that it needs beside what is in it."""

    name: str
    version: str
    url: str
    digest: str
    requires: list[ChartPin] = []

    @property
    def label(self) -> str:
        return one_line(f"chart {self.name} {self.version} of {show_url(self.url)}", 400)

    @property
    def text(self) -> str:
        """All of it in one line, as a revision shows and digests it."""
        return "; ".join([one_line(f"{self.name} {self.version} {self.digest} {show_url(self.url)}", 600), *(pin.text for pin in self.requires)])


def source_of(properties: dict[str, Any]) -> ChartSource | None:
    """What a component of type `helm` asks for, by its properties as the dialect leaves them; None where its chart is in the repository."""
    url = properties.get("url")
    if not isinstance(url, str) or not url:
        return None
    return ChartSource(url.rstrip("/"), *(str(properties.get(name) or "") for name in ("chart", "version", "secretRef")))


def show_url(url: str) -> str:
    """A URL without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a URL that can't be read"
    return one_line(f"{parts.scheme}://{host}{port}{parts.path}", 300)
