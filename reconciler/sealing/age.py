"""age files of one small secret, decrypted with X25519 identities (age-encryption.org/v1). Anything else is for the `sops` command."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PREFIX: Final = "AGE-SECRET-KEY-1"
OTHERS: Final = ("AGE-SECRET-KEY-", "AGE-PLUGIN-")
_VERSION = b"age-encryption.org/v1"
_BEGIN, _END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_X25519 = b"age-encryption.org/v1/X25519"
_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHUNK = 64 * 1024 + 16
_MOST_STANZAS = 100


class AgeError(ValueError):
    """Not an age file, or none of these identities opens it. Holds no key."""


class Identity(NamedTuple):
    """A private key and the recipient that one encrypts for."""

    key: X25519PrivateKey
    recipient: str

    def __repr__(self) -> str:
        return f"Identity({self.recipient})"


class _Stanza(NamedTuple):
    words: list[bytes]
    body: bytes


def read_identities(text: str, source: str) -> tuple[list[Identity], list[str]]:
    """
    X25519 identities of a key file, and the lines that are identities of other kinds. Comments and empty lines are passed by.

    Raises AgeError that names the line.
    """
    found: list[Identity] = []
    others: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.upper().startswith(PREFIX):
            found.append(_identity(line, f"{source}: line {number}"))
        elif line.upper().startswith(OTHERS):
            others.append(line)
        else:
            raise AgeError(f"{source}: line {number} is no age identity (one begins with {PREFIX})")
    return found, others


def decrypt(armored: str, identities: Iterable[Identity]) -> bytes:
    """The secret in an armored age file. Raises AgeError."""
    header, stanzas, payload = _split(_dearmor(armored))
    mac = header.rpartition(b" ")[2]
    covered = header[: header.rindex(b"---") + 3]
    for identity in identities:
        for stanza in stanzas:
            key = _unwrap(stanza, identity)
            if key is None:
                continue
            wanted = hmac.new(_derive(key, b"", b"header"), covered, hashlib.sha256).digest()
            if not hmac.compare_digest(wanted, _decode(mac)):
                raise AgeError("the header of the age file was changed")
            return _open(payload, key)
    raise AgeError("none of the identities opens it")


def _open(payload: bytes, key: bytes) -> bytes:
    nonce, chunk = payload[:16], payload[16:]
    if len(chunk) > _CHUNK:
        raise AgeError("the age file holds more than a key")
    try:
        return ChaCha20Poly1305(_derive(key, nonce, b"payload")).decrypt(bytes(11) + b"\1", chunk, None)
    except InvalidTag:
        raise AgeError("the content of the age file was changed") from None


def _unwrap(stanza: _Stanza, identity: Identity) -> bytes | None:
    """The file key, where the stanza is for that identity."""
    if stanza.words[:1] != [b"X25519"] or len(stanza.words) != 2 or len(stanza.body) != 32:
        return None
    share = _decode(stanza.words[1])
    if len(share) != 32:
        raise AgeError("a recipient of the age file is malformed")
    own = identity.key.public_key().public_bytes_raw()
    try:
        shared = identity.key.exchange(X25519PublicKey.from_public_bytes(share))
        return ChaCha20Poly1305(_derive(shared, share + own, _X25519)).decrypt(bytes(12), stanza.body, None)
    except (InvalidTag, ValueError):
        return None


def _derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def _dearmor(text: str) -> bytes:
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        raise AgeError("no armored age file")
    try:
        return base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error:
        raise AgeError("no armored age file") from None


def _split(data: bytes) -> tuple[bytes, list[_Stanza], bytes]:
    """(header with its MAC, stanzas, payload)."""
    end = data.find(b"\n--- ")
    stop = data.find(b"\n", end + 1)
    if not data.startswith(_VERSION + b"\n") or end < 0 or stop < 0:
        raise AgeError("no age file of version 1")
    lines = data[len(_VERSION) + 1 : end].split(b"\n")
    stanzas: list[_Stanza] = []
    body: list[bytes] = []
    words: list[bytes] = []
    for line in lines:
        if line.startswith(b"-> "):
            words, body = line[3:].split(b" "), []
        elif words:
            body.append(line)
            if len(line) < 64:
                stanzas.append(_Stanza(words, _decode(b"".join(body))))
                words = []
    if words or not stanzas or len(stanzas) > _MOST_STANZAS:
        raise AgeError("no age file of version 1")
    return data[:stop], stanzas, data[stop + 1 :]


def _decode(text: bytes) -> bytes:
    """Base64 without padding."""
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise AgeError("the age file is malformed") from None


def _identity(text: str, where: str) -> Identity:
    """Bech32 of a private key (BIP 173)."""
    lower = text.lower()
    name, _, coded = lower.rpartition("1")
    if text not in (lower, text.upper()) or any(char not in _CHARSET for char in coded):
        raise AgeError(f"{where} is no age identity")
    values = [_CHARSET.index(char) for char in coded]
    secret = _regroup(values[:-6], 5, 8)
    if name != "age-secret-key-" or _checksum(name, values) != 1 or len(secret) != 32:
        raise AgeError(f"{where} is no age identity (is it complete?)")
    key = X25519PrivateKey.from_private_bytes(bytes(secret))
    return Identity(key, encode("age", key.public_key().public_bytes_raw()))


def encode(name: str, data: bytes) -> str:
    """Bech32 text: of a recipient, `age1…`."""
    values = _regroup(list(data), 8, 5, pad=True)
    check = _checksum(name, [*values, 0, 0, 0, 0, 0, 0]) ^ 1
    return f"{name}1" + "".join(_CHARSET[value] for value in [*values, *(check >> 5 * (5 - place) & 31 for place in range(6))])


def _checksum(name: str, values: list[int]) -> int:
    check = 1
    for value in [*(ord(char) >> 5 for char in name), 0, *(ord(char) & 31 for char in name), *values]:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATOR):
            check ^= generator if top >> place & 1 else 0
    return check


def _regroup(values: list[int], of: int, to: int, *, pad: bool = False) -> list[int]:
    """Numbers of `of` bits as numbers of `to` bits."""
    left, bits, found = 0, 0, []
    for value in values:
        left, bits = left << of | value, bits + of
        while bits >= to:
            bits -= to
            found.append(left >> bits & (1 << to) - 1)
        left &= (1 << bits) - 1
    if pad and bits:
        found.append(left << to - bits)
    return found
