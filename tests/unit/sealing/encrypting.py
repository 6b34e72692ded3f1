"""What `sops` and `age` do when they encrypt, written for tests from their formats. The command itself is tried in tests/integration/sealing."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import os
import random
import re
from decimal import Decimal
from typing import Any

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reconciler.sealing.age import encode

MODIFIED = "2026-01-02T03:04:05Z"
ONLY = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")


class Person:
    """An age identity: `secret` as a key file holds it, `recipient` as one encrypts for it."""

    def __init__(self) -> None:
        self.key = X25519PrivateKey.generate()
        self.secret = encode("age-secret-key-", self.key.private_bytes_raw()).upper()
        self.recipient = encode("age", self.key.public_key().public_bytes_raw())


def age(data: bytes, *people: Person) -> str:
    key = os.urandom(16)
    lines = [b"age-encryption.org/v1"]
    for person in people:
        own = X25519PrivateKey.generate()
        share, public = own.public_key().public_bytes_raw(), person.key.public_key().public_bytes_raw()
        wrap = derive(own.exchange(X25519PublicKey.from_public_bytes(public)), share + public, b"age-encryption.org/v1/X25519")
        lines += [b"-> X25519 " + plain64(share), plain64(ChaCha20Poly1305(wrap).encrypt(bytes(12), key, None))]
    header = b"\n".join(lines) + b"\n---"
    mac = hmac.new(derive(key, b"", b"header"), header, hashlib.sha256).digest()
    nonce = os.urandom(16)
    payload = ChaCha20Poly1305(derive(key, nonce, b"payload")).encrypt(bytes(11) + b"\1", data, None)
    whole = header + b" " + plain64(mac) + b"\n" + nonce + payload
    text = base64.b64encode(whole).decode()
    rows = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN AGE ENCRYPTED FILE-----", *rows, "-----END AGE ENCRYPTED FILE-----", ""])


def plain64(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


def seal_value(value: Any, key: bytes, place: str) -> str:
    kind = {bool: "bool", int: "int", float: "float", str: "str"}[type(value)]
    nonce = os.urandom(32)
    sealed = AESGCM(key).encrypt(nonce, as_bytes(value), place.encode())
    parts = [base64.b64encode(part).decode() for part in (sealed[:-16], nonce, sealed[-16:])]
    return f"ENC[AES256_GCM,data:{parts[0]},iv:{parts[1]},tag:{parts[2]},type:{kind}]"


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        plain = format(Decimal(repr(value)), "f")
        return (plain.rstrip("0").rstrip(".") if "." in plain else plain).encode()
    return str(value).encode("utf-8", "surrogatepass")


def seal(
    document: dict[str, Any], *people: Person, regex: str = "", only: bool = False, others: dict[str, Any] | None = None, key: bytes = b""
) -> dict[str, Any]:
    """The document as SOPS encrypts it for those people. `others`: more of its metadata. `key`: one that is known."""
    key = key or os.urandom(32)
    checksum = hashlib.sha512(ONLY if only else b"")

    def walk(node: Any, place: tuple[str, ...]) -> Any:
        if isinstance(node, dict):
            return {name: walk(item, (*place, name)) for name, item in node.items()}
        if isinstance(node, list):
            return [walk(item, place) for item in node]
        encrypted = any(re.search(regex, part) for part in place) if regex else not any(part.endswith("_unencrypted") for part in place)
        if node is None:
            return None
        if encrypted or not only:
            checksum.update(as_bytes(node))
        return seal_value(node, key, "".join(f"{part}:" for part in place)) if encrypted and node != "" else node

    sealed = walk(copy.deepcopy(document), ())
    sealed["sops"] = {
        "age": [{"recipient": person.recipient, "enc": age(key, *people)} for person in people],
        "lastmodified": MODIFIED,
        "mac": seal_value(checksum.hexdigest().upper(), key, MODIFIED),
        **({"encrypted_regex": regex} if regex else {"unencrypted_suffix": "_unencrypted"}),
        **({"mac_only_encrypted": True} if only else {}),
        "version": "3.13.3",
        **(others or {}),
    }
    return sealed


def share_out(key: bytes, count: int, threshold: int) -> list[bytes]:
    """Shamir's shares of a key as SOPS makes them: y for each byte, and x behind them."""
    polynomials = [[byte, *os.urandom(threshold - 1)] for byte in key]
    places = random.sample(range(1, 256), count)
    return [bytes([*(evaluate(one, place) for one in polynomials), place]) for place in places]


def evaluate(coefficients: list[int], place: int) -> int:
    """By the powers of the field's generator 3 instead of its polynomial."""
    powers = [1]
    while len(powers) < 255:
        last = powers[-1]
        doubled = last << 1
        powers.append((doubled ^ 0x11B if doubled > 255 else doubled) ^ last)
    value = 0
    for coefficient in reversed(coefficients):
        product = powers[(powers.index(value) + powers.index(place)) % 255] if value else 0
        value = product ^ coefficient
    return value


def in_groups(document: dict[str, Any], key: bytes, threshold: int, *groups: dict[str, Any] | list[Person]) -> dict[str, Any]:
    """A document whose key is shared out: to groups of people, or as their metadata stands."""
    shares = share_out(key, len(groups), threshold)
    found = [
        {"age": [{"recipient": one.recipient, "enc": age(share, *group)} for one in group]} if isinstance(group, list) else group
        for group, share in zip(groups, shares, strict=True)
    ]
    sops = {name: value for name, value in document["sops"].items() if name != "age"}
    return {**document, "sops": {"shamir_threshold": threshold, "key_groups": found, **sops}}


def sealed_secret(name: str, values: dict[str, str], *people: Person, namespace: str = "", field: str = "stringData") -> dict[str, Any]:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return seal({"apiVersion": "v1", "kind": "Secret", "metadata": meta, field: values}, *people, regex="^(data|stringData)$")


def as_yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100_000)
