"""The repository at one commit, as dialects and renderers see it: ordinary files only, read from git objects by path."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from reconciler.dialects.in_cluster import PREFIX, SETTING
from reconciler.model.names import IGNORE_FILE
from reconciler.model.problem import Problem
from reconciler.model.text import one_line
from reconciler.render.protocol import RenderError
from reconciler.source.ignore import Ignore
from reconciler.source.protocol import Blob, SourceError, TooLargeError

ORDINARY = (0o100644, 0o100755)
FILE_LIMIT = 1024 * 1024
FOLDER_LIMIT = 2000
TREE_LIMIT = 16 * 1024 * 1024


class Trees(Protocol):
    """What of a `Source` is read here."""

    def blob(self, commit: str, path: str) -> Blob | None: ...
    def tree(self, commit: str, path: str) -> dict[str, Blob]: ...
    def read(self, oid: str, limit: int) -> bytes: ...


class ServedFile(NamedTuple):
    """A definition that the cluster has. `oid`: of what is read of it; `refusal`: why that is not kept, empty where it is `data`."""

    oid: str
    data: bytes = b""
    refusal: str = ""


class Served(NamedTuple):
    """The definitions of the cluster that were known at one moment, by path. `unread`: why those of a kind are not all known, by their folder."""

    files: Mapping[str, ServedFile] = MappingProxyType({})
    unread: Mapping[str, str] = MappingProxyType({})

    def blob(self, path: str) -> Blob | None:
        found = self.files.get(path)
        return Blob(found.oid, ORDINARY[0]) if found is not None else None

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError where there is none, ValueError where it is not known or too large."""
        found, reason = self.files.get(path), self.unread.get(f"{path.rpartition('/')[0]}/", "")
        if found is not None and not found.refusal:
            return found.data
        if found is not None or reason:
            raise ValueError(found.refusal if found is not None else reason)
        raise FileNotFoundError(path)

    def differing(self, other: Served) -> set[str]:
        """Paths of the definitions that are not the same in both."""
        return {path for path in self.files.keys() | other.files.keys() if self.blob(path) != other.blob(path)}

    def problems(self) -> list[Problem]:
        message = f"these definitions, which {SETTING} asks for, can't be listed"
        return [Problem(folder, 0, f"{message}: {reason}") for folder, reason in self.unread.items()]


NOTHING: Final = Served()


class TreeFiles:
    """
    `Files` over a source at a commit. Looks each path up once: many manifests ask for the same few. `archives`: charts by component id. `served`:
    definitions that stand in the cluster.
    """

    def __init__(self, source: Trees, commit: str, archives: Mapping[str, bytes] = MappingProxyType({}), served: Served = NOTHING) -> None:
        self._source, self.commit, self._archives, self._served = source, commit, archives, served
        self._blobs: dict[str, Blob | None] = {}
        self._folders: dict[str, tuple[dict[str, str], str]] = {}
        self._bytes: dict[str, bytes] = {}

    def blob(self, path: str) -> Blob | None:
        if path not in self._blobs:
            self._blobs[path] = self._served.blob(path) if path.startswith(PREFIX) else self._source.blob(self.commit, path)
        return self._blobs[path]

    def oid(self, path: str) -> str | None:
        blob = self.blob(path)
        return blob.oid if blob is not None and blob.mode in ORDINARY else None

    def folder(self, path: str) -> dict[str, str]:
        if path not in self._folders:
            self._folders[path] = self._list(path)
        found, refusal = self._folders[path]
        if refusal:
            raise ValueError(refusal)
        return found

    def _list(self, path: str) -> tuple[dict[str, str], str]:
        """The files below a folder, or why it is not read: to leave one out would be to prune what it declares (rule 1)."""
        found = self._source.tree(self.commit, path.rstrip("/"))
        if len(found) > FOLDER_LIMIT:
            return {}, f"the folder {one_line(path, 80)} has more than {FOLDER_LIMIT} files"
        odd = next((name for name, blob in found.items() if blob.mode not in ORDINARY), None)
        if odd is not None:
            return {}, f"{one_line(odd, 200)} is a link or a submodule; neither is read"
        return {name: blob.oid for name, blob in found.items()}, ""

    def read(self, path: str) -> bytes:
        if path.startswith(PREFIX):
            return self._served.read(path)
        oid = self.oid(path)
        if oid is None:
            raise FileNotFoundError(path)
        if oid not in self._bytes:
            try:
                self._bytes[oid] = self._source.read(oid, FILE_LIMIT)
            except TooLargeError as error:
                raise ValueError(f"{path} is larger than {FILE_LIMIT} bytes") from error
            except SourceError as error:
                raise FileNotFoundError(path) from error
        return self._bytes[oid]

    def tree(self, path: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        left = TREE_LIMIT
        for name in self.folder(path):
            found[name] = self.read(name)
            left -= len(found[name])
            if left < 0:
                raise ValueError(f"the files below {one_line(path, 80)} are larger than {TREE_LIMIT} bytes together")
        return found

    def archive(self, component: str) -> bytes:
        if component in self._archives:
            return self._archives[component]
        raise RenderError(f"component {one_line(component, 80)}: there is no chart for it")


def read_ignore(files: TreeFiles) -> Ignore:
    """What the repository's ignore file says. Raises SourceError where it can't be read."""
    try:
        return Ignore.parse(files.read(IGNORE_FILE).decode("utf-8", "replace"))
    except FileNotFoundError:
        return Ignore.parse("")
    except ValueError as error:
        raise SourceError(f"{IGNORE_FILE}: {error}: until it is mended everything stays as it is") from error
