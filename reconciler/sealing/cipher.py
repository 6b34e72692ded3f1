"""One encrypted value: AES-256-GCM, authenticated with the place where it stands."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.model.sealed import TOKEN

_KEY_BYTES = 32
_NONCES = range(8, 129)  # what the library takes; SOPS writes 32
_TYPES = frozenset({"str", "int", "float", "bool", "bytes", "time", "comment"})


class BrokenValueError(ValueError):
    """The value is not what was encrypted at that place. Says nothing of its content."""


def open_value(token: str, key: bytes, place: str) -> tuple[bytes, str]:
    """
    (plain bytes, type) of an encrypted value. `place`: the keys from the document's top, each with a colon behind it.

    Raises BrokenValueError.
    """
    match = TOKEN.fullmatch(token)
    if match is None:
        raise BrokenValueError("is no value as SOPS writes it")
    if len(key) != _KEY_BYTES:
        raise BrokenValueError("the data key has not the length of a key")
    try:
        data, nonce, tag = (base64.b64decode(part, validate=True) for part in match.groups()[:3])
    except binascii.Error:
        raise BrokenValueError("is no value as SOPS writes it") from None
    if len(nonce) not in _NONCES or len(tag) != 16 or match[4] not in _TYPES:
        raise BrokenValueError("is no value as SOPS writes it")
    try:
        return AESGCM(key).decrypt(nonce, data + tag, place.encode()), match[4]
    except InvalidTag:
        raise BrokenValueError("was changed or moved after it was encrypted") from None
