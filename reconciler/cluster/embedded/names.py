"""What the API server accepts as names, label keys and label values (RFC 1123, RFC 1035, qualified names)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from reconciler.cluster.protocol import InvalidError

# None of these patterns backtracks: each character has one way to match, or the text is bounded first.
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_LABEL_1035 = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
_LONGEST_KEY = 253 + 1 + 63
_MOST_ANNOTATION_BYTES = 256 * 1024


def is_label(text: str) -> bool:
    """RFC 1123 label, at most 63 characters."""
    return len(text) <= 63 and _LABEL.fullmatch(text) is not None


def is_label_1035(text: str) -> bool:
    """RFC 1035 label: as the above, and it begins with a letter."""
    return len(text) <= 63 and _LABEL_1035.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """RFC 1123 subdomain, at most 253 characters."""
    return 0 < len(text) <= 253 and all(part and _LABEL.fullmatch(part) is not None for part in text.split("."))


def is_path_segment(text: str) -> bool:
    """What RBAC names may be: anything that is one segment of a URL's path."""
    return 0 < len(text) <= 253 and text not in (".", "..") and "/" not in text and "%" not in text


def is_qualified(text: str) -> bool:
    """`name` or `prefix/name`, as label and annotation keys are."""
    return len(text) <= _LONGEST_KEY and _is_qualified(text)


@lru_cache(maxsize=1024)  # the same few keys stand on every object
def _is_qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_subdomain(prefix)) and len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def is_label_value(text: str) -> bool:
    return not text or (len(text) <= 63 and _QUALIFIED.fullmatch(text) is not None)


def is_data_key(text: str) -> bool:
    """Keys of ConfigMap and Secret data."""
    return len(text) <= 253 and text not in (".", "..") and _DATA_KEY.fullmatch(text) is not None


_RULES: dict[tuple[str, str], tuple[Callable[[str], bool], str]] = {
    ("", "Namespace"): (is_label, "a lower-case RFC 1123 label of at most 63 characters"),
    ("", "Service"): (is_label_1035, "a lower-case RFC 1035 label of at most 63 characters"),
}
_RBAC_RULE = (is_path_segment, "a path segment")
_RULE = (is_subdomain, "a lower-case RFC 1123 subdomain of at most 253 characters")


def check_name(group: str, kind: str, name: Any) -> None:
    """Raises InvalidError."""
    if not isinstance(name, str) or not name:
        raise InvalidError(f"{kind}: metadata.name: required")
    accepts, words = _RBAC_RULE if group == "rbac.authorization.k8s.io" else _RULES.get((group, kind), _RULE)
    if not accepts(name):
        raise InvalidError(f"{kind}: metadata.name: {name!r:.280} is not {words}")


def check_labels(labels: Any, path: str) -> None:
    """Raises InvalidError."""
    if not isinstance(labels, dict):
        raise InvalidError(f"{path}: must be a map of strings")
    for key, value in labels.items():
        if not isinstance(value, str):
            raise InvalidError(f"{path}[{key!r:.100}]: must be a string (quote it)")
        if not is_qualified(key):
            raise InvalidError(f"{path}: {key!r:.100} is not a label key")
        if not is_label_value(value):
            raise InvalidError(f"{path}[{key!r:.100}]: {value!r:.100} is not a label value (at most 63 of letters, digits, '-', '_', '.')")


def check_annotations(annotations: Any, path: str) -> None:
    """Raises InvalidError. Values are not repeated in it."""
    if not isinstance(annotations, dict):
        raise InvalidError(f"{path}: must be a map of strings")
    size = 0
    for key, value in annotations.items():
        if not isinstance(value, str):
            raise InvalidError(f"{path}[{key!r:.100}]: must be a string (quote it)")
        if not is_qualified(key.lower()):
            raise InvalidError(f"{path}: {key!r:.100} is not an annotation key")
        size += len(key) + len(value.encode("utf-8", "surrogatepass"))
    if size > _MOST_ANNOTATION_BYTES:
        raise InvalidError(f"{path}: {size} bytes are too many; at most {_MOST_ANNOTATION_BYTES}")
