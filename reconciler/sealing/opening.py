"""All encrypted files of one application, with the keys that are its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.dialects.fieldpath import FieldPath
from reconciler.model.sealed import FIELD
from reconciler.sealing.age import AgeError, Identity, decrypt, read_identities
from reconciler.sealing.command import Command, run_command
from reconciler.sealing.document import GROUPS, THRESHOLD, Clear, Sealed, describe, entries, groups_of, unseal
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.shares import SharesError, combine

_LARGEST_KEY_FILE = 256 * 1024
_WHOLE = re.compile(r"\d{1,3}", re.ASCII)
_NO_COMMAND = "the operator allows the sops command with --sops-command"


class Place(NamedTuple):
    """Whose keys: those of the manifests below one folder. `secret`: `NAMESPACE/NAME`. Both empty: there is no key."""

    path: str = ""
    age_key_file: str = ""
    secret: str = ""

    def holds(self, path: str) -> bool:
        folder = self.path.strip("/")
        return folder in ("", ".") or path == folder or path.startswith(folder + "/")


def place_of(path: str, places: list[Place]) -> Place:
    """The one with the longest folder that holds the path; one without keys where there is none."""
    return max((place for place in places if place.holds(path)), key=lambda place: len(place.path.strip("/")), default=Place())


def unseal_files(texts: Mapping[str, str], keys: Keys, command: Command) -> dict[str, str]:
    """Every encrypted value of those files (path to text) to its clear text. Blocks. Raises SealError."""
    identities, others = _identities(keys)
    values: dict[str, str] = {}
    for path, text in texts.items():
        values |= unseal(path, text, lambda sealed: _open(sealed, keys, identities, command, more=bool(others)))
    return values


def _open(sealed: Sealed, keys: Keys, identities: list[Identity], command: Command, *, more: bool) -> bytes | Clear:
    metadata = sealed.metadata
    key = _data_key(sealed, identities)
    if key is not None:
        return key
    given = f"keys of {keys.source}" if keys.source else "no key is given: --sops-age-key-file or --sops-secret"
    beyond = more or any(entries(group, name) for _, group in groups_of(metadata) for name in group if name not in ("age", GROUPS))
    if beyond and command.path:
        return run_command(command, sealed, keys, os.environ)
    also = f"; {_NO_COMMAND}" if beyond else ""
    fault = sealed.fault((*sealed.at, FIELD), f"no key to decrypt it with: it is for {describe(metadata)} ({given}{also})")
    raise fault.again()


def _data_key(sealed: Sealed, identities: list[Identity]) -> bytes | None:
    """By age; None where it is for none of these identities, or for too few groups of them."""
    groups, needed = groups_of(sealed.metadata), _threshold(sealed)
    shares: list[bytes] = []
    for at, group in groups:
        share = _share(sealed, (*sealed.at, FIELD, *at, "age"), group, identities)
        if share is not None:
            shares.append(share)
        if len(shares) == needed:
            break
    if len(shares) < needed:
        return None
    try:
        return combine(shares) if len(groups) > 1 else shares[0]
    except SharesError as error:
        raise sealed.fault((*sealed.at, FIELD, GROUPS), str(error)) from None


def _threshold(sealed: Sealed) -> int:
    """How many of the groups have the key together; all of them unless it says so."""
    count = len(groups_of(sealed.metadata))
    written = sealed.metadata.get(THRESHOLD)
    if count == 1 or written is None:
        return count
    needed = int(written) if isinstance(written, str) and _WHOLE.fullmatch(written) else 0
    if not 2 <= needed <= count:
        raise sealed.fault((*sealed.at, FIELD, THRESHOLD), f"must be from 2 to {count}, the number of its key groups")
    return needed


def _share(sealed: Sealed, at: FieldPath, group: Mapping[str, Any], identities: list[Identity]) -> bytes | None:
    """What a group holds, where one of the identities is of it."""
    own = {identity.recipient: identity for identity in identities}
    for number, entry in enumerate(entries(group, "age")):
        mine = own.get(str(entry.get("recipient")))
        if mine is not None:
            try:
                return decrypt(str(entry.get("enc")), [mine])
            except AgeError as error:
                raise sealed.fault((*at, number, "enc"), f"it can't be decrypted with age: {error}") from None
    return None


def _identities(keys: Keys) -> tuple[list[Identity], list[str]]:
    found: list[Identity] = []
    others: list[str] = []
    for text in keys.age:
        try:
            mine, more = read_identities(text, keys.source)
        except AgeError as error:
            raise SealError(str(error), retry=True) from None
        found += mine
        others += more
    return found, others


def read_key_file(path: str) -> str:
    """The operator's file of age identities. Blocks. Raises SealError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST_KEY_FILE + 1)
    except OSError as error:
        raise SealError(f"the key file of --sops-age-key-file cannot be read: {error.strerror}", retry=True) from None
    if len(data) > _LARGEST_KEY_FILE:
        raise SealError(f"the key file of --sops-age-key-file is larger than {_LARGEST_KEY_FILE} bytes", retry=True)
    return data.decode("utf-8", "replace")
