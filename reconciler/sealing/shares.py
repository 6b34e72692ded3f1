"""
A data key that was shared out among groups, so that some of them together have it: Shamir's scheme, byte by byte in the field of 256
elements that AES uses (FIPS 197, part 4). A share is the key's bytes at one place, and the place in its last byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_REDUCTION: Final = 0x11B  # x⁸ + x⁴ + x³ + x + 1
_ORDER: Final = 255


class SharesError(ValueError):
    """The shares don't belong together. Holds nothing of them."""


def combine(shares: Sequence[bytes]) -> bytes:
    """
    The key: each of its bytes is the value at 0 of the polynomial through those of the shares. With fewer than it was shared out for, or a
    wrong one, it is another key, which opens nothing. Raises SharesError.
    """
    places = [share[-1] for share in shares if share]
    if len({len(share) for share in shares}) != 1 or len(set(places)) != len(shares) or 0 in places:
        raise SharesError("the shares of its groups don't belong together")
    weights = [_weight(place, places) for place in places]
    key = bytearray(len(shares[0]) - 1)
    for share, weight in zip(shares, weights, strict=True):
        for index in range(len(key)):
            key[index] ^= multiply(weight, share[index])
    return bytes(key)


def _weight(place: int, places: Sequence[int]) -> int:
    """By how much the value at that place counts at 0 (Lagrange)."""
    above = below = 1
    for other in places:
        if other != place:
            above, below = multiply(above, other), multiply(below, other ^ place)
    return multiply(above, _invert(below))


def multiply(one: int, other: int) -> int:
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one = one << 1 ^ (_REDUCTION if one & 0x80 else 0)
        other >>= 1
    return product


def _invert(value: int) -> int:
    """Its 254th power: of 255 elements, all but 0 give 1 to the 255th."""
    inverse = 1
    for _ in range(_ORDER - 1):
        inverse = multiply(inverse, value)
    return inverse
