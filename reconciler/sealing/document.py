"""
Documents that SOPS encrypted, found and decrypted: whole files, mappings within one, and files that stand as text in one.

Each value is authenticated with its place, and all of them together by the checksum (MAC) that SOPS keeps beside them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from reconciler.dialects.documents import line_of
from reconciler.dialects.fieldpath import FieldPath, format_path
from reconciler.model.sealed import FIELD, MARK, is_metadata, is_token, should_be_encrypted
from reconciler.model.text import one_line
from reconciler.sealing.cipher import BrokenValueError, open_value
from reconciler.sealing.protocol import SealError
from reconciler.sealing.tree import Node, Plain, TreeError, read_trees

# SOPS begins the checksum so where only encrypted values are in it (mac_only_encrypted).
_ENCRYPTED_ONLY = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
_FRACTION = re.compile(r"\.\d+")
_MOST_DOCUMENTS: Final = 200
_DEEPEST_TEXT: Final = 3

SERVICES: Final = ("kms", "gcp_kms", "azure_kv", "hc_vault", "hckms")
HOLDERS: Final = ("age", "pgp", *SERVICES)
GROUPS: Final = "key_groups"
THRESHOLD: Final = "shamir_threshold"

Leaf = tuple[FieldPath, str | None]


class Sealed(NamedTuple):
    """
    One encrypted document. `branches`: its YAML documents, without their metadata, each with where it stands in the file. `place`: of a
    field in it, (file, line).
    """

    branches: list[tuple[FieldPath, dict[str, Any]]]
    metadata: dict[str, Any]
    at: FieldPath
    fault: Callable[[FieldPath, str], SealError]


class Clear(NamedTuple):
    """What a document was decrypted to: clear texts by encrypted value."""

    values: dict[str, str]


Opener = Callable[[Sealed], "bytes | Clear"]
"""The data key of a document, or its values where a command decrypted all of it. Raises SealError."""


def unseal(path: str, text: str, opener: Opener) -> dict[str, str]:
    """Every encrypted value of a file to its clear text. Raises SealError for the first that is wrong."""
    if MARK not in text:
        return {}
    values: dict[str, str] = {}
    for sealed in find_sealed(path, text):
        opened = opener(sealed)
        values |= opened.values if isinstance(opened, Clear) else open_document(sealed, opened)
    return values


def find_sealed(path: str, text: str) -> list[Sealed]:
    """The encrypted documents of a file. An encrypted value outside of them is an error: it was pasted, and nothing vouches for its place."""
    return list(_find_in_text(path, text, lambda position, at: line_of(text, position, at), (), 0))


def _find_in_text(path: str, text: str, line: Callable[[int, FieldPath], int], above: FieldPath, depth: int) -> Iterator[Sealed]:
    try:
        trees = read_trees(text)
    except TreeError as error:
        raise SealError(f"it cannot be decrypted: {error}", path, error.line if not depth else line(0, ()), format_path(above)) from None

    def fault_in(position: int) -> Callable[[FieldPath, str], SealError]:
        return lambda at, message: SealError(message, path, line(position, at), format_path((*above, *at)))

    whole = trees[0] if trees else None
    if isinstance(whole, dict) and is_metadata(whole.get(FIELD)):
        branches: list[tuple[FieldPath, dict[str, Any]]] = []
        for position, tree in enumerate(trees):
            if isinstance(tree, dict):
                branches.append(((position,), {key: value for key, value in tree.items() if key != FIELD}))
        yield Sealed(branches, whole[FIELD], (0,), lambda at, message: fault_in(int(at[0]))(at[1:], message))
        return
    for position, tree in enumerate(trees):
        yield from _find_in_tree(tree, (), path, fault_in(position), above, depth)


def _find_in_tree(
    node: Node, at: FieldPath, path: str, fault: Callable[[FieldPath, str], SealError], above: FieldPath, depth: int
) -> Iterator[Sealed]:
    if isinstance(node, dict) and is_metadata(node.get(FIELD)):
        yield Sealed([(at, {key: value for key, value in node.items() if key != FIELD})], node[FIELD], at, fault)
    elif isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _find_in_tree(value, (*at, key), path, fault, above, depth)
    elif isinstance(node, str) and MARK in node:
        if "\n" not in node or depth >= _DEEPEST_TEXT:
            raise fault(at, "an encrypted value outside of an encrypted document: it can't be decrypted here (encrypt the document that it is in)")
        here = fault(at, "")
        yield from _find_in_text(path, node, lambda _position, _at: here.line, (*above, *at), depth + 1)


def open_document(sealed: Sealed, key: bytes) -> dict[str, str]:
    """Decrypts every value and checks the checksum. Raises SealError."""
    metadata, only = sealed.metadata, _is_true(sealed.metadata.get("mac_only_encrypted"))
    checksum = hashlib.sha512(_ENCRYPTED_ONLY if only else b"")
    values: dict[str, str] = {}
    for at, branch in sealed.branches:
        for place, leaf in leaves(branch, ()):
            encrypted = should_be_encrypted(metadata, [part for part in place if isinstance(part, str)])
            if leaf is None:
                continue
            plain: bytes | None = leaf.encode("utf-8", "surrogatepass")
            if is_token(leaf) and encrypted is not False:
                plain = _open_one(sealed, (*at, *place), leaf, key, place, values)
            elif encrypted and leaf != "":
                raise sealed.fault((*at, *place), "stands in clear text, and by the document's own rule it is to be encrypted")
            elif only and encrypted is not True:
                continue
            if plain is not None:
                checksum.update(plain)
    _check_mac(sealed, key, checksum.hexdigest())
    return values


def _open_one(sealed: Sealed, at: FieldPath, token: str, key: bytes, place: FieldPath, values: dict[str, str]) -> bytes | None:
    """The value's bytes as they count in the checksum; None for a comment, which does not. Its text goes into `values`."""
    try:
        plain, kind = open_value(token, key, aad(place))
        if kind == "comment":
            return None
        values[token] = _as_text(plain.decode("utf-8"), kind)
    except BrokenValueError as error:
        raise sealed.fault(at, str(error)) from None
    except UnicodeDecodeError:
        raise sealed.fault(at, "is binary and no text: encode it in base64 before it is encrypted") from None
    return plain


def _as_text(text: str, kind: str) -> str:
    return text.lower() if kind == "bool" else text


def _check_mac(sealed: Sealed, key: bytes, computed: str) -> None:
    written = sealed.metadata.get("mac")
    try:
        moment = _FRACTION.sub("", str(sealed.metadata.get("lastmodified")))
        told = open_value(str(written), key, moment)[0].decode("ascii", "replace") if written else ""
    except BrokenValueError:
        told = ""
    if not hmac.compare_digest(told.upper().encode(), computed.upper().encode()):
        raise sealed.fault(
            (*sealed.at, FIELD, "mac"), "the checksum (MAC) does not fit: a value was added, changed or removed after it was encrypted"
        )


def leaves(node: Node, at: FieldPath) -> Iterator[tuple[FieldPath, str | None]]:
    """Scalars in the order of the file, each with its path."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*at, key))
    else:
        yield at, node


def aad(place: FieldPath) -> str:
    """What a value is authenticated with: its keys from the top, places in lists left out."""
    return "".join(f"{part}:" for part in place if isinstance(part, str)) or ":"


def groups_of(metadata: Mapping[str, Any]) -> list[tuple[FieldPath, Mapping[str, Any]]]:
    """
    Groups of those who can decrypt it, each with its place in the metadata: one, the metadata itself, unless the key is shared out. As for
    SOPS, `key_groups` count only where nobody is named beside them.
    """
    groups = entries(metadata, GROUPS)
    if not groups or any(entries(metadata, name) for name in HOLDERS):
        return [((), metadata)]
    return [((GROUPS, number), group) for number, group in enumerate(groups)]


def describe(metadata: Mapping[str, Any]) -> str:
    """For whom a document is encrypted, for people."""
    groups = groups_of(metadata)
    told = [_describe_group(group) for _, group in groups]
    if len(told) == 1:
        return told[0]
    more = f"; and {len(told) - 3} more" if len(told) > 3 else ""
    return f"{one_line(metadata.get(THRESHOLD, 'all'), 20)} of {len(told)} key groups ({'; '.join(told[:3])}{more})"


def _describe_group(group: Mapping[str, Any]) -> str:
    found = [f"age {one_line(item.get('recipient'), 70)}" for item in entries(group, "age")]
    found += [f"PGP {one_line(item.get('fp'), 50)}" for item in entries(group, "pgp")]
    found += [name for name in SERVICES if entries(group, name)]
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "") or "nobody"


def entries(metadata: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Those who can decrypt it, of one kind."""
    value = metadata.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_true(value: Any) -> bool:
    return isinstance(value, Plain) and value == "True"
