"""Contents of revisions: compressed, in parts below 1 MB, in Secrets where a Secret is in them (rule 3b)."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import msgspec

from reconciler.model.identity import AppKey, JsonObject

_PART = 700_000
_LARGEST = 64 * 1024 * 1024


class ContentError(Exception):
    """What was stored is not what its digest says, or is not there: nothing is applied from it."""


class Packed(msgspec.Struct, frozen=True):
    """`digest`: SHA-256 of the bytes before compression. `secret`: a Secret is in it, so that it goes into Secrets."""

    digest: str
    secret: bool
    chunks: list[str]

    @property
    def mark(self) -> str:
        """By which the parts are found again: `digest/count/kind`."""
        return f"{self.digest}/{len(self.chunks)}/{'Secret' if self.secret else 'ConfigMap'}"


def holds_secret(value: Any) -> bool:
    """Whether a Secret stands anywhere in plain data: rendered, or written in the properties of a component or a step; or a value that was
    decrypted."""
    data = msgspec.json.encode(value)
    return bool(getattr(value, "sealed", None)) or b'"kind":"Secret"' in data or b'"type":"export2secret"' in data


def pack(value: Any) -> Packed:
    data = msgspec.json.encode(value)
    text = base64.b64encode(zlib.compress(data, 6)).decode("ascii")
    chunks = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    return Packed(hashlib.sha256(data).hexdigest(), holds_secret(value), chunks)


def unpack(digest: str, chunks: list[str]) -> bytes:
    """The JSON that was packed. Raises ContentError; the digest is verified at each read."""
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode("".join(chunks), validate=True), _LARGEST)
    except (ValueError, zlib.error) as error:
        raise ContentError("the stored revision cannot be read") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise ContentError("the stored revision does not have its digest")
    return data


def part_names(key: AppKey, mark: str) -> tuple[str, list[str]]:
    """(kind, names) of the parts of a mark, in order."""
    digest, count, kind = mark.split("/")
    return kind, [f"{key.object_name[:200]}-{digest[:16]}-{position}" for position in range(int(count))]


def part_object(namespace: str, name: str, text: str, owner: JsonObject | None, *, secret: bool) -> JsonObject:
    """An immutable ConfigMap or Secret that holds one part of a content."""
    meta: JsonObject = {"namespace": namespace, "name": name, "labels": {"reconciler.dev/part": "content"}}
    if owner is not None:
        meta["ownerReferences"] = [owner]
    if secret:
        data = {"content": base64.b64encode(text.encode()).decode("ascii")}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "reconciler.dev/content", "immutable": True, "data": data}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True, "data": {"content": text}}


def part_text(obj: JsonObject) -> str:
    """The reverse of `part_object`. Raises ContentError."""
    text = (obj.get("data") or {}).get("content")
    if not isinstance(text, str):
        raise ContentError("a part of the stored revision is empty")
    return base64.b64decode(text).decode("ascii") if obj.get("kind") == "Secret" else text
