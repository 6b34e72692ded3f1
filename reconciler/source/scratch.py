"""A throw-away repository that reads another one's objects: what is committed and moved in it, the other one never sees."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pygit2

from reconciler.model.text import one_line
from reconciler.source import trees
from reconciler.source.git import GitSource
from reconciler.source.objects import readable
from reconciler.source.protocol import EmptyRepositoryError, RefMissingError
from reconciler.source.refs import common_folder, open_in_place

BRANCH = "refs/heads/main"


class Scratch:
    """
    `source` follows the one branch of a bare repository in `folder`, which is empty and the caller's to remove. Objects of the
    repository at `path` are read where they are; new ones are written to `folder` alone.
    """

    def __init__(self, path: str | Path, folder: Path, paths: Iterable[str] = ()) -> None:
        """Raises NotARepositoryError, UnreadableError, and ValueError for one of `paths` that leads out of the repository."""
        scope = trees.normalise(paths)
        self._path = Path(path).absolute()
        self._origin = open_in_place(self._path)
        common = common_folder(self._origin)
        with readable(f"{self._path} cannot be read"):
            pygit2.init_repository(str(folder), bare=True, initial_head=BRANCH)
            if (common / "shallow").is_file():  # where its history ends, ours does; read when a repository is opened
                shutil.copyfile(common / "shallow", folder / "shallow")
            self._repository = open_in_place(folder)
            self._repository.odb.add_disk_alternate(str(common / "objects"))
        self.source = GitSource(folder, self._repository, BRANCH, scope)

    def resolve(self, name: str) -> str:
        """
        The id of the commit that a branch, a tag, an id or an expression such as `main~1` names in the repository at `path`.

        Raises EmptyRepositoryError, RefMissingError.
        """
        if self._origin.is_empty or (name == "HEAD" and self._origin.head_is_unborn):
            raise EmptyRepositoryError(f"{self._path} has no commit yet" if self._origin.is_empty else f"HEAD of {self._path} has no commit yet")
        try:
            return str(self._origin.revparse_single(name).peel(pygit2.Commit).id)
        except (pygit2.GitError, KeyError, ValueError) as error:
            raise RefMissingError(f"{one_line(name)!r} names no commit of {self._path}; name a branch, a tag or a commit id") from error

    def move(self, commit: str) -> None:
        """Puts the branch on a commit, wherever it was. Raises UnreadableError."""
        with readable(f"commit {commit} cannot be read"):
            self._repository.references.create(BRANCH, commit, force=True)


def make_source(folder: Path) -> GitSource:
    """A source of a new bare repository in `folder`, which is empty and the caller's to remove: one commit without files."""
    with readable(f"{folder} can't become a repository"):
        repository = pygit2.init_repository(str(folder), bare=True, initial_head=BRANCH)
        author = pygit2.Signature("Bench", "bench@localhost", 0, 0)
        repository.create_commit(BRANCH, author, author, "Begin", repository.TreeBuilder().write(), [])
    return GitSource(folder, open_in_place(folder), BRANCH, trees.normalise(()))
