"""Where a repository is and what its refs hold: opening in place, ref names, branches that a work tree has checked out."""

from __future__ import annotations

import re
from pathlib import Path

import pygit2
from pygit2.enums import RepositoryOpenFlag

from reconciler.model.text import one_line
from reconciler.source.protocol import NotARepositoryError, SourceError, UnreadableError

_HEX = re.compile(r"[0-9a-fA-F]{4,40}")


def open_in_place(path: Path) -> pygit2.Repository:
    """
    The repository whose top is `path`, never cloned and never searched for upwards.

    Raises NotARepositoryError with what to name instead, UnreadableError where git refuses it.
    """
    try:
        repository = pygit2.Repository(str(path), RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, OSError) as error:
        raise _refusal(path, error) from error
    top = Path(repository.workdir or repository.path).resolve()
    if top != path.resolve():
        raise NotARepositoryError(f"{path} is the git folder of a work tree; name {top}")
    return repository


def _refusal(path: Path, error: Exception) -> SourceError:
    text = str(error)
    if "not owned" in text:
        return UnreadableError(
            f"{path} belongs to another user, and git does not trust it: run as its owner, "
            f"or allow it with `git config --global --add safe.directory {path}`"
        )
    if not path.is_dir():
        return NotARepositoryError(f"{path} is not a folder" if path.exists() else f"{path} does not exist")
    if (path / ".git").exists() or (path / "HEAD").exists():
        return UnreadableError(f"{path} cannot be opened as a git repository: {one_line(text)}")
    above = _top_above(path)
    if above is not None:
        return NotARepositoryError(f"{path} is a folder inside a repository; name its top, {above}, and the folder by --path")
    return NotARepositoryError(f"{path} is not a git repository (no .git in it, and not a bare one)")


def _top_above(path: Path) -> Path | None:
    try:
        found = pygit2.discover_repository(str(path))
        if found is None:
            return None
        repository = pygit2.Repository(found, RepositoryOpenFlag.NO_SEARCH)
    except (pygit2.GitError, OSError):
        return None
    return Path(repository.workdir or repository.path)


def common_folder(repository: pygit2.Repository) -> Path:
    """The git folder that holds refs and objects: for a linked work tree that of the repository that it is linked to."""
    own = Path(repository.path)
    try:
        return (own / (own / "commondir").read_text().strip()).resolve()
    except OSError:
        return own.resolve()


def full_name(repository: pygit2.Repository, name: str) -> str:
    """
    The full name of the ref that `name` means, or the 40 hex digits of the commit that it pins.

    Empty or `HEAD`: the branch that HEAD names. A branch wins over a tag, a tag over a commit id. A name that means nothing
    yet is taken for a branch to come. Raises UnreadableError for a detached HEAD and for what can be no name.
    """
    if name in {"", "HEAD"}:
        return _head_branch(repository)
    candidates = [name] if name.startswith("refs/") else [f"refs/heads/{name}", f"refs/tags/{name}"]
    if not pygit2.reference_is_valid_name(candidates[0]):
        raise UnreadableError(f"{one_line(name)!r} cannot be a branch, a tag or a commit id")
    for candidate in candidates:
        if candidate in repository.references:
            return candidate
    return _pinned(repository, name) or candidates[0]


def _head_branch(repository: pygit2.Repository) -> str:
    target = repository.references["HEAD"].target
    if isinstance(target, str):
        return target
    raise UnreadableError(f"HEAD of {repository.path} is detached: name a branch, a tag or a commit")


def _pinned(repository: pygit2.Repository, name: str) -> str | None:
    if not _HEX.fullmatch(name):
        return None
    try:
        found = repository.get(name.lower())
        return str(found.peel(pygit2.Commit).id) if found is not None else None
    except (pygit2.GitError, ValueError) as error:
        raise UnreadableError(f"{name} names no single commit: {one_line(error)}") from error


def holder(repository: pygit2.Repository, ref: str) -> str | None:
    """
    The git folder of the work tree that has the branch `ref` checked out (or is rebasing or bisecting it), or None.

    A bare repository's own HEAD holds nothing; its linked work trees do, also those whose folder is gone until git prunes them.
    """
    common = common_folder(repository)
    linked = sorted((common / "worktrees").glob("*"))
    for folder in [*([] if _is_bare(common) else [common]), *linked]:
        if ref in _held(folder):
            return str(folder)
    return None


def _is_bare(common: Path) -> bool:
    return bool(pygit2.Repository(str(common), RepositoryOpenFlag.NO_SEARCH).is_bare)


def _held(folder: Path) -> set[str]:
    held = set()
    for file, prefix in (("HEAD", ""), ("rebase-merge/head-name", ""), ("rebase-apply/head-name", ""), ("BISECT_START", "refs/heads/")):
        try:
            text = (folder / file).read_text("utf-8", "surrogateescape").strip()
        except OSError:
            continue
        held.add(prefix + text.removeprefix("ref: "))
    return held
