"""Charts in OCI registries (the distribution specification 1.1): tags, manifests, blobs, and tokens for who is asked to bring one."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from reconciler.charts.choice import choose
from reconciler.charts.http import basic, body_of, place_of
from reconciler.charts.protocol import ChartError, Credentials, Get, Reply
from reconciler.charts.repository import Found
from reconciler.model.text import one_line
from reconciler.model.version import Range

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_CONTENT: Final = ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip")
_LIMIT: Final = 1 << 20
_PAGE, _MOST_TAGS, _MOST_PAGES = 1000, 50_000, 200
_PATH: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_BLOB: Final = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)
_PARAMETER: Final = re.compile(r'([a-zA-Z]+)="([^"]*)"', re.ASCII)
_TOKENS: Final = 64


class Place(NamedTuple):
    """A repository of a registry. `base`: its API."""

    host: str
    path: str
    tag: str

    @property
    def base(self) -> str:
        return f"{'http' if _is_loopback(self.host) else 'https'}://{self.host}/v2/{self.path}"


def read_place(url: str, name: str = "") -> Place:
    """Of `oci://HOST[:PORT]/PATH[:TAG]`, `name` added to the path. Raises ChartError."""
    parts = urlsplit(url)
    path, colon, tag = f"{parts.path.strip('/')}{'/' if name else ''}{name}".partition(":")
    if parts.scheme != "oci" or not parts.netloc or "@" in parts.netloc or parts.query or not _PATH.fullmatch(path) or len(path) > 255:
        raise ChartError("it is no place in a registry: write oci://HOST/PATH in lower case, without user and tag")
    if colon and not _TAG.fullmatch(tag):
        raise ChartError("its tag is none that a registry knows")
    return Place(parts.netloc.lower(), path, tag)


def _is_loopback(netloc: str) -> bool:
    """Where registries are asked without TLS, as Docker does: on this machine alone."""
    host = urlsplit(f"//{netloc}").hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Registries:
    """Tokens are kept for as long as their registry takes them."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._tokens: OrderedDict[tuple[str, Credentials | None], str] = OrderedDict()

    async def find(self, place: Place, wanted: str, credentials: Credentials | None) -> Found:
        """The newest version that fits, and its archive's digest. A registry writes `_` for a version's `+`. Raises ChartError."""
        tag = place.tag or await self._choose(place, wanted, credentials)
        url = f"{place.base}/manifests/{tag}"
        body = body_of(await self._ask(place, url, _LIMIT, credentials, _MANIFEST), url, _LIMIT)
        digest = await asyncio.to_thread(_read_manifest, body)
        return Found(tag.replace("_", "+"), f"oci://{place.host}/{place.path}:{tag}", digest)

    async def fetch(self, place: Place, digest: str, limit: int, credentials: Credentials | None) -> bytes:
        """A blob. Its digest is for the caller to check. Raises ChartError."""
        url = f"{place.base}/blobs/sha256:{digest}"
        return body_of(await self._ask(place, url, limit, credentials), url, limit)

    async def _choose(self, place: Place, wanted: str, credentials: Credentials | None) -> str:
        try:
            if Range.parse(wanted).is_exact:
                return wanted.lstrip("= ").replace("+", "_")
        except ValueError as error:
            raise ChartError(str(error)) from None
        tags = [tag.replace("_", "+") for tag in await self._tags(place, credentials)]
        return choose(tags, wanted).replace("+", "_")

    async def _tags(self, place: Place, credentials: Credentials | None) -> list[str]:
        """All pages of them: each is asked for by the last tag of the one before, which every registry of the specification takes."""
        found: dict[str, None] = {}
        last = ""
        for _ in range(_MOST_PAGES):
            url = f"{place.base}/tags/list?n={_PAGE}" + (f"&last={quote(last, safe='')}" if last else "")
            body = body_of(await self._ask(place, url, _LIMIT, credentials), url, _LIMIT)
            page = [tag for tag in _strings(_decode(body).get("tags")) if _TAG.fullmatch(tag) and tag not in found]
            if not page:
                return list(found)
            found |= dict.fromkeys(page)
            last = page[-1]
            if len(found) > _MOST_TAGS:
                break
        raise ChartError(f"it has more than {_MOST_TAGS} tags, or pages of them: name one version")

    async def _ask(self, place: Place, url: str, limit: int, credentials: Credentials | None, accept: str = "*/*") -> Reply:
        """Once as it is, and once more with what the registry asks for."""
        key = place.base, credentials
        token = self._tokens.get(key)
        headers = {"Accept": accept, **({"Authorization": token} if token else {})}
        reply = await self._get(url, headers, limit)
        if reply.status != 401 or not reply.challenge:
            return reply
        self._tokens.pop(key, None)
        scheme, _, rest = reply.challenge.partition(" ")
        if scheme.lower() == "basic" and credentials is not None:
            opened = basic(url, credentials)["Authorization"]
        elif scheme.lower() == "bearer":
            opened = f"Bearer {await self._token(place, dict(_PARAMETER.findall(rest)), credentials)}"
        else:
            return reply
        reply = await self._get(url, {"Accept": accept, "Authorization": opened}, limit)
        if reply.status != 401:
            self._tokens[key] = opened
            while len(self._tokens) > _TOKENS:
                self._tokens.popitem(last=False)
        return reply

    async def _token(self, place: Place, told: dict[str, str], credentials: Credentials | None) -> str:
        """From where the registry sends it. Credentials go there only where their Secret names that host too."""
        realm = told.get("realm", "")
        if not realm.startswith("https://") and not (place.base.startswith("http://") and realm.startswith("http://")):
            raise ChartError(f"its registry {one_line(place.host, 80)} sends it for a token to what is no https URL")
        query = {"service": told["service"]} if told.get("service") else {}
        query["scope"] = f"repository:{place.path}:pull"
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        body = body_of(await self._get(url, basic(url, credentials), _LIMIT), url, _LIMIT)
        said = _decode(body)
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,16384}", token, re.ASCII):
            raise ChartError(f"{place_of(url)[1]} gave no token", retry=True)
        return token


def _read_manifest(body: bytes) -> str:
    """The digest of the chart's archive, hex. Raises ChartError."""
    manifest = _decode(body)
    config, layers = manifest.get("config"), manifest.get("layers")
    if not isinstance(config, dict) or config.get("mediaType") != _CONFIG:
        raise ChartError("what is there is no Helm chart but another artifact")
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict) and layer.get("mediaType") in _CONTENT:
            match = _BLOB.fullmatch(str(layer.get("digest")))
            if match is not None:
                return match[1]
    raise ChartError("its manifest names no chart archive by SHA-256")


def _decode(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ChartError("its registry answered with what is no JSON object", retry=True)
    return found


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
