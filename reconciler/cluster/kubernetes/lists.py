"""
Lists, page by page. A continuation that is too old goes on in a newer state of the list, as the server offers: an object that changed in
between may come in its newer state, and a watch from the version of the first page tells of it again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

import msgspec

from reconciler.cluster.kubernetes import paths
from reconciler.cluster.kubernetes.calls import JSON, Call, Calls
from reconciler.cluster.kubernetes.discovery import Resource
from reconciler.cluster.kubernetes.errors import ContinuationExpiredError
from reconciler.cluster.kubernetes.watch import BARE_LIST, name_kind, select
from reconciler.cluster.protocol import InvalidError, Page, UnavailableError
from reconciler.model.identity import JsonObject

_LARGEST: Final = 1000


async def read_page(
    calls: Calls,
    resource: Resource,
    namespace: str,
    labels: Mapping[str, str | None] | None,
    page: str,
    limit: int,
    *,
    fields: Mapping[str, str] | None = None,
    bare: bool = False,
    background: bool = False,
    user: str = "",
) -> Page:
    """`page`: `<version of the first page>:<the server's continuation>`. Raises ExpiredError where the server can't go on at all."""
    first, colon, token = page.partition(":")
    if page and not (colon and first.isdigit() and token):
        raise InvalidError(f"not the continuation of a list: {page!r:.100}")
    path, accept = paths.collection(resource, namespace), BARE_LIST if bare else JSON
    while True:
        query = {"limit": str(min(limit, _LARGEST) if limit > 0 else _LARGEST), **select(labels), **_select_fields(fields)}
        if token:
            query["continue"] = token
        try:
            answer = await calls.send(Call("GET", path, query, accept=accept, twice=True, background=background, user=user))
        except ContinuationExpiredError as error:
            if not page or not error.token or error.token == token:
                raise
            token = error.token
            continue
        items, version, following = _read(answer.data, path)
        version = first or version
        return Page([name_kind(obj, resource) for obj in items], version, f"{version}:{following}" if following else "")


async def read_all(
    calls: Calls, resource: Resource, labels: Mapping[str, str | None] | None, *, bare: bool = False, limit: int = 500
) -> AsyncIterator[Page]:
    """All pages of all namespaces, in the background."""
    page = ""
    while True:
        part = await read_page(calls, resource, "", labels, page, limit, bare=bare, background=True)
        yield part
        page = part.next
        if not page:
            return


def _select_fields(fields: Mapping[str, str] | None) -> dict[str, str]:
    if not fields:
        return {}
    return {"fieldSelector": ",".join(f"{path}={_escape(value)}" for path, value in fields.items())}


def _escape(value: str) -> str:
    """Of apimachinery's field selectors."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _read(data: bytes, what: str) -> tuple[list[JsonObject], str, str]:
    """Items, version and continuation. Anything but a whole list is no list: an answer that is cut must not look like one with less in it."""
    try:
        found = msgspec.json.decode(data)
        meta = found["metadata"]
        items, version = found["items"], meta["resourceVersion"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise UnavailableError(f"{what}: not a list") from None
    except RecursionError:
        raise UnavailableError(f"{what}: one of these objects is nested too deeply to be read") from None
    if not isinstance(version, str) or not version or not isinstance(items, list | None):
        raise UnavailableError(f"{what}: not a list")
    return items or [], version, str(meta.get("continue") or "")
