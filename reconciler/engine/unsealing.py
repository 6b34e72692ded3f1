"""Encrypted values of a new revision, decrypted when it is made: what is stored needs no key and no command again (rule 3b)."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from reconciler.cluster.protocol import Cluster, ClusterError, NotFoundError
from reconciler.dialects.clear_secrets import check_file
from reconciler.engine.files import TreeFiles
from reconciler.model.application import Application
from reconciler.model.identity import ObjectRef
from reconciler.model.records import Content
from reconciler.model.sealed import MARK, homes_of, is_others, tokens_of
from reconciler.model.text import one_line
from reconciler.render.sealed import put_values
from reconciler.sealing.command import Command
from reconciler.sealing.opening import Place, place_of, read_key_file, unseal_files
from reconciler.sealing.protocol import Keys, SealError
from reconciler.source.protocol import SourceError

AGAIN = 30.0
"""Seconds until a document whose key was missing is tried again."""
_MARK = MARK.encode()
_PRETENCE = base64.b64encode(b"encrypted").decode()


class Unsealer(Protocol):
    async def unseal(self, manifest: str, texts: Mapping[str, str]) -> dict[str, str]:
        """Every encrypted value in those files (path to text) to its clear text, by the keys of the manifest's folder. Raises SealError."""
        ...


class Unsealing:
    """By the operator's keys: those of the folder that holds the manifest. They are read each time, so that a new one counts at once."""

    def __init__(self, cluster: Cluster, places: Sequence[Place] = (), command: Command | None = None) -> None:
        self._cluster, self._places, self._command = cluster, list(places), command or Command()

    async def unseal(self, manifest: str, texts: Mapping[str, str]) -> dict[str, str]:
        place = place_of(manifest, self._places)
        for path in texts:
            if place_of(path, self._places) != place:
                raise SealError(f"{one_line(manifest)} may not have it decrypted: it stands below another folder of the operator's keys", path)
        keys = await self._keys(place)
        return await asyncio.to_thread(unseal_files, texts, keys, self._command)

    async def _keys(self, place: Place) -> Keys:
        age: list[str] = []
        pgp: list[str] = []
        if place.age_key_file:
            age.append(await asyncio.to_thread(read_key_file, place.age_key_file))
        if place.secret:
            for name, text in (await self._secret(place.secret)).items():
                age += [text] if name.endswith(".agekey") else []
                pgp += [text] if name.endswith(".asc") else []
        told = [f"Secret {place.secret}"] if place.secret else []
        return Keys(tuple(age), tuple(pgp), " and ".join(["the operator's key file"] * bool(place.age_key_file) + told))

    async def _secret(self, named: str) -> dict[str, str]:
        namespace, _, name = named.partition("/")
        try:
            data = (await self._cluster.get(ObjectRef("v1", "Secret", namespace, name))).get("data") or {}
            return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
        except NotFoundError:
            raise SealError(f"the Secret {named} of --sops-secret is not there", retry=True) from None
        except (ClusterError, ValueError) as error:
            why = error.reason if isinstance(error, ClusterError) else "its data is no base64"
            raise SealError(f"the Secret {named} of --sops-secret cannot be read: {why}", retry=True) from None


class Pretending:
    """For simulations, which read no key and no Secret (rule 13f): every value is the same one, which is text and base64."""

    async def unseal(self, manifest: str, texts: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        return {token: _PRETENCE for text in texts.values() for token in tokens_of(text)}


def is_sealed(content: Content) -> bool:
    """Whether anything in it is to be decrypted. Costs one pass over it."""
    if _MARK not in msgspec.json.encode(content.rendered) and _MARK not in msgspec.json.encode(content.application.components):
        return False
    objects = [obj for listed in content.rendered.values() for obj in listed if not is_others(obj)]
    later = [component.properties for component in content.application.components if component.id not in content.rendered]
    return any(tokens_of(objects)) or any(tokens_of(later)) or bool(homes_of(content.rendered))


def check_encrypted(content: Content, files: TreeFiles) -> None:
    """Raises SealError for a Secret in clear text where the repository's `.sops.yaml` says that it is to be encrypted."""
    if any(obj.get("kind") == "Secret" for objects in content.rendered.values() for obj in objects):
        for path in files_of(content.application):
            for problem in check_file(path, files, warn=False):
                raise SealError(f"{problem.object}: {problem.message}", problem.path, problem.line, problem.field)


def files_of(application: Application) -> list[str]:
    """The manifest, and what it refers to."""
    return list(dict.fromkeys([application.path, *(reference.path for reference in application.references)]))


def read_texts(files: TreeFiles, paths: Sequence[str]) -> dict[str, str]:
    """Those that hold encrypted values, by path. Raises SourceError."""
    texts: dict[str, str] = {}
    for path in paths:
        try:
            data = files.read(path)
        except (FileNotFoundError, ValueError) as error:
            raise SourceError(f"{path} at {files.commit[:12]}: {error}") from error
        if _MARK in data:
            texts[path] = data.decode("utf-8", "replace").removeprefix("\ufeff")
    return texts


def opened(content: Content, values: Mapping[str, str], salt: str) -> Content:
    """The same with decrypted values in it. Raises RenderError."""
    sealed = dict(values)
    salt = salt or secrets.token_hex(16)
    titles = {component.id: component.title for component in content.application.components}
    rendered = {component: put_values(titles[component], objects, sealed, salt) for component, objects in content.rendered.items()}
    return msgspec.structs.replace(content, rendered=rendered, sealed=sealed, salt=salt)
