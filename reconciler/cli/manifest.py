"""The manifest of an application in a clone: found, edited, committed. Nothing is changed but by that one commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reconciler.cli.disk import DiskFiles
from reconciler.cli.errors import ConflictError, NotFoundError, RefusedError, UsageError
from reconciler.dialects.documents import parse
from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.registry import compile_file, dialects
from reconciler.model.application import Application
from reconciler.model.status import ApplicationStatus
from reconciler.render.definitions import shared
from reconciler.revisions.digest import git_digest
from reconciler.source import worktree
from reconciler.source.edit import EditError, remove_annotation, set_annotation, set_value
from reconciler.source.protocol import SourceError
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.plugin import AnyPlugin, UncheckedStep


class Manifest(NamedTuple):
    """One application's document in a clone. `text`: of the whole file, line ends as they are."""

    files: DiskFiles
    app: Application
    text: str

    @property
    def digest(self) -> str:
        return git_digest(self.app)

    def annotate(self, key: str, value: str) -> Manifest:
        """With that annotation. Raises RefusedError."""
        return self._edit(lambda: set_annotation(self.text, self.app.index, key, value))

    def strip(self, key: str) -> Manifest:
        """Without that annotation. Raises RefusedError."""
        return self._edit(lambda: remove_annotation(self.text, self.app.index, key))

    def restore(self, spec: dict[str, object]) -> Manifest:
        """With that spec. Raises RefusedError."""
        documents, _ = parse(self.app.path, self.text)
        content = next(document.content for document in documents if document.position == self.app.index)
        # The bare body of an ApplicationConfiguration is a spec itself.
        place = ("spec",) if "spec" in content else ()
        return self._edit(lambda: set_value(self.text, self.app.index, self.app.spec, spec, place))

    def _edit(self, edit: Callable[[], str]) -> Manifest:
        try:
            text = edit()
        except EditError as error:
            raise RefusedError(f"{self.app.path} cannot be edited: {error}; make the change by hand") from None
        return _compile(self.files, self.app.path, text, self.app, RefusedError)


def find_manifest(repo: Path, status: ApplicationStatus) -> Manifest:
    """
    The application's document in the clone that `repo` is in, as its HEAD has it, where the daemon saw it.

    Raises UsageError where there is no clone, NotFoundError, ConflictError.
    """
    if not status.path:
        raise NotFoundError(f"the daemon knows no manifest of {status.key}")
    try:
        top = worktree.find_repository(repo)
    except SourceError as error:
        raise UsageError(str(error)) from None
    try:
        text = worktree.head_text(top, status.path)
    except (worktree.WorktreeError, ValueError) as error:
        raise NotFoundError(f"{error}: is this the right clone (--repo), and is it up to date?") from None
    return _compile(DiskFiles(top), status.path, text, status, ConflictError)


def _is_known(app: Application, wanted: ApplicationStatus | Application) -> bool:
    """Whether the daemon has accepted the types that nothing here defines: those are the cluster's, others would be typos."""
    return isinstance(wanted, Application) or (wanted.desired is not None and wanted.desired.digest == git_digest(app))


def _compile(
    files: DiskFiles, path: str, text: str, wanted: ApplicationStatus | Application, failure: type[ConflictError | RefusedError]
) -> Manifest:
    believing = InCluster(unchecked=UncheckedStep)
    for app in compile_file(path, text, files, dialects(STEP_TYPES, AnyPlugin(), shared(), believing)).applications:
        if app.key == wanted.key and (not app.served or _is_known(app, wanted)):
            return Manifest(files, app, text)
    result = compile_file(path, text, files, dialects(STEP_TYPES, AnyPlugin(), shared()))
    problem = next((str(problem) for problem in result.problems if problem.severity == "error"), "")
    raise failure(f"{path} in {files.top} does not declare {wanted.key}" + (f" ({problem})" if problem else ": is the clone up to date?"))
