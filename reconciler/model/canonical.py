"""Canonical JSON and digests: equal values give equal bytes, whatever their key order (rule 5a)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode  # `dumps` makes one each time


def canonical(value: Any) -> bytes:
    """
    JSON with sorted keys, no white space, UTF-8. Raises ValueError on NaN and infinities.

    1 and 1.0 are different texts and so different values, as they are for Kubernetes' typed fields.
    """
    return _encode(value).encode("utf-8", "surrogatepass")


def digest(value: Any) -> str:
    """SHA-256 over `canonical(value)`, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
