"""Encrypted values as SOPS writes them: in place of each value its ciphertext, and beside them who can decrypt it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model.pattern import found, is_readable

MARK: Final = "ENC[AES256_GCM,"
"""How every encrypted value begins: what does not hold this holds none."""
FIELD: Final = "sops"
TOKEN: Final = re.compile(r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]+),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]", re.ASCII)
_LIVE: Final = "Secret"  # the tag of what comes from a Secret of the cluster; shorter than any of SOPS
_DEFAULT_SUFFIX: Final = "_unencrypted"
_RULES: Final = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_OURS: Final = frozenset({"apps", "batch", "autoscaling", "policy", "extensions"})


def make_token(value: str, salt: str, namespace: str) -> str:
    """What stands for a value of a Secret of that namespace as long as templates are rendered. Without the salt it can't be told by trying values."""
    mark = hmac.new(salt.encode(), value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{MARK}data:{mark},iv:{base64.b64encode(namespace.encode()).decode()},tag:{_LIVE},type:str]"


def homes_of(value: Any) -> set[str]:
    """The namespaces of the Secrets that values in plain data come from: they may not leave them."""
    parts = [match for token in tokens_of(value) if (match := TOKEN.fullmatch(token)) is not None and match[3] == _LIVE]
    return {base64.b64decode(match[2]).decode("utf-8", "replace") for match in parts}


def is_token(value: Any) -> bool:
    """Whether the value is one encrypted value and nothing else."""
    return isinstance(value, str) and value.startswith(MARK) and TOKEN.fullmatch(value) is not None


def is_metadata(value: Any) -> bool:
    """Whether that is what SOPS writes under `sops`."""
    return isinstance(value, dict) and "mac" in value and "lastmodified" in value


def is_sealed(value: Any) -> bool:
    """Whether that mapping is a document that SOPS encrypted."""
    return isinstance(value, dict) and is_metadata(value.get(FIELD))


def is_others(obj: dict[str, Any]) -> bool:
    """Whether an object is decrypted by an operator in the cluster, if at all: one of a group that is not Kubernetes' own."""
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return bool(group) and group not in _OURS and not group.endswith(".k8s.io")


def without_metadata(value: Any) -> Any:
    """A copy of plain data without the `sops` of the encrypted documents in it, whatever stands in it that is not another operator's. The
    same value where there is none."""
    if isinstance(value, list):
        items = [without_metadata(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if not isinstance(value, dict) or ("apiVersion" in value and is_others(value)):
        return value
    sealed = is_sealed(value)
    plain = {key: without_metadata(item) for key, item in value.items() if not (sealed and key == FIELD)}
    return plain if sealed or any(plain[key] is not value[key] for key in plain) else value


def tokens_of(value: Any) -> Iterator[str]:
    """Every encrypted value in plain data, also within longer texts. Depth is bounded by who parsed it."""
    if isinstance(value, str):
        if MARK in value:
            yield from (found.group(0) for found in TOKEN.finditer(value))
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tokens_of(item)


def should_be_encrypted(rule: Mapping[str, Any], keys: Sequence[str]) -> bool | None:
    """
    Whether a value below those keys is one to encrypt, by a document's metadata or a rule of `.sops.yaml`; None where it can't be told
    (rules by comments, patterns beyond what is read here).
    """
    if rule.get("unencrypted_comment_regex") or rule.get("encrypted_comment_regex"):
        return None
    given = {name: str(rule[name]) for name in _RULES if rule.get(name)} or {"unencrypted_suffix": _DEFAULT_SUFFIX}
    (name, pattern), *more = given.items()
    if more or (name.endswith("regex") and not is_readable(pattern)):
        return None
    hit = any(found(pattern, key) if name.endswith("regex") else key.endswith(pattern) for key in keys)
    return hit if name.startswith("encrypted") else not hit
