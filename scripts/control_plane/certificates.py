"""
Keys and certificates for a control plane that lives on loopback for minutes: X.509 (RFC 5280) over P-256 (FIPS 186-5).

Written out here because the standard library makes none. It is slow and not safe against who measures its time: for tests, nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
import textwrap
import time
from typing import NamedTuple

# The curve y² = x³ - 3x + B over the integers modulo PRIME; the point (GX, GY) has the order ORDER (FIPS 186-5, SP 800-186 3.2.1.3).
PRIME = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)

EC_PUBLIC_KEY, P256, ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2"
COMMON_NAME, BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_USAGE, ALTERNATIVE_NAMES = "2.5.4.3", "2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"
AUTHORITY_KEY, SUBJECT_KEY, SERVER_AUTH = "2.5.29.35", "2.5.29.14", "1.3.6.1.5.5.7.3.1"
DAY = 86400

Point = tuple[int, int] | None
"""None is the point at infinity."""


class Key(NamedTuple):
    secret: int
    public: tuple[int, int]

    @property
    def pem(self) -> str:
        """As SEC 1 (RFC 5915) says it."""
        parts = integer(1), octets(self.secret.to_bytes(32, "big")), tagged(0, oid(P256)), tagged(1, bits(encode_point(self.public)))
        return pem("EC PRIVATE KEY", sequence(*parts))


class Authority(NamedTuple):
    """A key that signs, with the certificate that says so."""

    name: str
    key: Key
    certificate: str


def new_key() -> Key:
    secret = secrets.randbelow(ORDER - 1) + 1
    public = multiply(secret, GENERATOR)
    assert public
    return Key(secret, public)


def new_authority(name: str) -> Authority:
    key = new_key()
    extensions = (
        extension(BASIC_CONSTRAINTS, sequence(boolean(value=True)), critical=True),
        extension(KEY_USAGE, bits(b"\x06", unused=1), critical=True),
    )
    return Authority(name, key, certificate(name, key.public, name, key, (*extensions, *key_names(key.public, key.public))))


def server_certificate(authority: Authority, public: tuple[int, int], names: tuple[str, ...]) -> str:
    """For a server that is reached by these DNS names and addresses. PEM."""
    alternatives = sequence(*(alternative(name) for name in names))
    extensions = (
        extension(KEY_USAGE, bits(b"\x80", unused=7), critical=True),
        extension(EXTENDED_USAGE, sequence(oid(SERVER_AUTH))),
        extension(ALTERNATIVE_NAMES, alternatives),
        *key_names(public, authority.key.public),
    )
    return certificate(names[0], public, authority.name, authority.key, extensions)


# --- X.509


def certificate(subject: str, public: tuple[int, int], issuer: str, signer: Key, extensions: tuple[bytes, ...]) -> str:
    algorithm = sequence(oid(ECDSA_SHA256))
    now = time.time()
    signed = sequence(
        tagged(0, integer(2)),
        integer(secrets.randbits(63) + 1),
        algorithm,
        distinguished_name(issuer),
        sequence(generalized_time(now - DAY), generalized_time(now + 30 * DAY)),
        distinguished_name(subject),
        public_key(public),
        tagged(3, sequence(*extensions)),
    )
    return pem("CERTIFICATE", sequence(signed, algorithm, bits(sign(signer, signed))))


def key_names(public: tuple[int, int], signer: tuple[int, int]) -> tuple[bytes, bytes]:
    """The two extensions that link a certificate to the one that signed it."""
    own, above = (hashlib.sha1(encode_point(point), usedforsecurity=False).digest() for point in (public, signer))
    return extension(SUBJECT_KEY, octets(own)), extension(AUTHORITY_KEY, sequence(element(0x80, above)))


def distinguished_name(name: str) -> bytes:
    return sequence(element(0x31, sequence(oid(COMMON_NAME), element(0x0C, name.encode()))))


def alternative(name: str) -> bytes:
    try:
        return element(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return element(0x82, name.encode())


def extension(number: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(number), *((boolean(value=True),) if critical else ()), octets(value))


def public_key(point: tuple[int, int]) -> bytes:
    return sequence(sequence(oid(EC_PUBLIC_KEY), oid(P256)), bits(encode_point(point)))


def generalized_time(moment: float) -> bytes:
    """UTCTime, as RFC 5280 wants it up to the year 2049."""
    return element(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(moment)).encode())


# --- DER (X.690)


def element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return element(0x30, b"".join(parts))


def tagged(number: int, content: bytes) -> bytes:
    return element(0xA0 | number, content)


def integer(value: int) -> bytes:
    return element(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def boolean(*, value: bool) -> bytes:
    return element(0x01, b"\xff" if value else b"\x00")


def octets(content: bytes) -> bytes:
    return element(0x04, content)


def bits(content: bytes, unused: int = 0) -> bytes:
    return element(0x03, bytes((unused,)) + content)


def oid(text: str) -> bytes:
    first, second, *rest = (int(word) for word in text.split("."))
    out = bytearray((first * 40 + second,))
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        out += bytes(reversed(digits))
    return element(0x06, bytes(out))


def pem(label: str, content: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


# --- ECDSA


def sign(key: Key, message: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(ORDER - 1) + 1
        point = multiply(nonce, GENERATOR)
        assert point
        left = point[0] % ORDER
        right = pow(nonce, -1, ORDER) * (digest + left * key.secret) % ORDER
        if left and right:
            return sequence(integer(left), integer(right))


def encode_point(point: tuple[int, int]) -> bytes:
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def multiply(number: int, point: Point) -> Point:
    found: Point = None
    while number:
        if number & 1:
            found = add(found, point)
        point = add(point, point)
        number >>= 1
    return found


def add(left: Point, right: Point) -> Point:
    if left is None or right is None:
        return left or right
    if left[0] == right[0]:
        if (left[1] + right[1]) % PRIME == 0:
            return None
        slope = (3 * left[0] * left[0] - 3) * pow(2 * left[1], -1, PRIME)
    else:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, PRIME)
    x = (slope * slope - left[0] - right[0]) % PRIME
    return x, (slope * (left[0] - x) - left[1]) % PRIME
