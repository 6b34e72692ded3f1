"""What single settings may say. Each raises ValueError with what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from reconciler.model.names import DNS_LABEL
from reconciler.model.text import one_line

_EGRESS: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)
_ENDPOINT: Final = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?", re.ASCII)
_USER: Final = re.compile(r"://[^/]*@")
_SECRET: Final = re.compile(r"[a-z0-9][-a-z0-9]{0,62}/[a-z0-9][-.a-z0-9]{0,252}", re.ASCII)


def check_paths(paths: Iterable[str]) -> None:
    for path in paths:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{one_line(path, 80)!r} is not below the repository's top: name a folder relative to it")


def check_secret(named: str) -> None:
    if named and not _SECRET.fullmatch(named):
        raise ValueError(f"not NAMESPACE/NAME of a Secret: {one_line(named, 80)!r}")


def check_egress(targets: Iterable[str]) -> None:
    for target in targets:
        match = _EGRESS.fullmatch(target)
        if match is None or (match[1] and not 0 < int(match[1]) < 65536):
            raise ValueError(f"not HOST[:PORT]: {one_line(target, 80)!r} (no scheme, no path)")


def check_endpoints(urls: Iterable[str]) -> None:
    for url in urls:
        if not _ENDPOINT.fullmatch(url):
            raise ValueError(f"not a URL of a Prometheus: {one_line(_USER.sub('://', url), 80)!r} (http or https, no user, no query)")


def check_namespace(named: str) -> None:
    if named and not DNS_LABEL.fullmatch(named):
        raise ValueError(f"not the name of a namespace: {one_line(named, 80)!r} (a-z, 0-9 and -, at most 63)")
