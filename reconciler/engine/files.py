"""The repository at one commit, as dialects and renderers see it: ordinary files only, read from git objects by path."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from reconciler.model.text import one_line
from reconciler.render.protocol import RenderError
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


class TreeFiles:
    """`Files` over a source at a commit. Looks each path up once: many manifests ask for the same few. `archives`: charts by component id."""

    def __init__(self, source: Trees, commit: str, archives: Mapping[str, bytes] = MappingProxyType({})) -> None:
        self._source, self.commit, self._archives = source, commit, archives
        self._blobs: dict[str, Blob | None] = {}
        self._folders: dict[str, tuple[dict[str, str], str]] = {}
        self._bytes: dict[str, bytes] = {}

    def blob(self, path: str) -> Blob | None:
        if path not in self._blobs:
            self._blobs[path] = self._source.blob(self.commit, path)
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
