"""What a manifest family gives: documents compiled to the model, and the model's words in the family's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from reconciler.dialects.fieldpath import FieldPath
from reconciler.model.application import Application
from reconciler.model.problem import Problem
from reconciler.model.run import Run


class Document(NamedTuple):
    """
    One YAML or JSON document. `position` counts all documents of the file from 0, `line` is its first line from 1.

    `text` is the document's own part of the file and begins at `line`. `lines`: where its fields stand in the file, for what was not written
    in YAML or JSON; None: the text says it.
    """

    path: str
    position: int
    line: int
    content: dict[str, Any]
    text: str
    lines: Mapping[FieldPath, int] | None = None

    @property
    def kind(self) -> tuple[Any, Any]:
        """As written, apiVersion first: None or of any type where they are missing or wrong."""
        return self.content.get("apiVersion"), self.content.get("kind")

    @property
    def name(self) -> str:
        """metadata.name; empty where that is no text."""
        metadata = self.content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else ""


class Files(Protocol):
    """The repository at one commit, read-only; only ordinary files exist. Paths are relative to its top, `/`-separated, never `..`."""

    def oid(self, path: str) -> str | None:
        """The blob id of the file at that path, or None."""
        ...

    def folder(self, path: str) -> dict[str, str]:
        """Blob ids by full path of all files below a folder; empty where there is none. Raises ValueError where one can't be read."""
        ...

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError, ValueError (too large)."""
        ...


class Compiled(NamedTuple):
    """`application` None: the document has errors; `problems` then holds at least one. Warnings may stand beside an application."""

    application: Application | None
    problems: list[Problem]


class Dialect(Protocol):
    """`definition`: the name of the CustomResourceDefinition by which a cluster's API knows the family's manifests."""

    family: str
    definition: str

    def recognises(self, document: Document) -> bool:
        """Whether the document is an application of this family."""
        ...

    def compile(self, document: Document, files: Files) -> Compiled:
        """Finds every error in one pass. Never raises for what a document holds."""
        ...

    def words(self, run: Run) -> dict[str, Any]:
        """The run's status in the family's own words."""
        ...
