"""
Commits in a person's clone, for the command line.

All goes through the `git` command, so that the person's name, hooks and signing apply as if they had typed it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pygit2

from reconciler.model.text import one_line
from reconciler.source.protocol import NotARepositoryError
from reconciler.source.trees import checked

# Left over from a hook or a script, they would point git at another repository than the one that was named.
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_PREFIX")
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


class WorktreeError(Exception):
    """What a person must do before it can go on, in a sentence."""


def find_repository(path: str | Path) -> Path:
    """The top of the work tree that holds `path`. Raises NotARepositoryError, also for a bare repository."""
    place = Path(path).absolute()
    try:
        found = pygit2.discover_repository(str(place))
        top = pygit2.Repository(found).workdir if found else None
    except (pygit2.GitError, OSError) as error:
        raise NotARepositoryError(f"{place} cannot be opened as a git repository: {one_line(error)}") from error
    if top is None:
        raise NotARepositoryError(f"{place} is in no clone with a work tree; name one (git clone makes it)")
    return Path(top)


def name_person(folder: str | Path) -> str:
    """`Name <mail>` of who works in that folder, as git is set up there; empty where it is not."""
    try:
        name, mail = (_git(folder, "config", key).stdout.decode("utf-8", "replace").strip() for key in ("user.name", "user.email"))
    except WorktreeError:
        return ""
    return f"{name} <{mail}>" if name and mail else name


def head_text(repository: str | Path, path: str) -> str:
    """The text of a file as HEAD has it. Raises WorktreeError where it is not there or not UTF-8."""
    done = _git(repository, "cat-file", "blob", f"HEAD:{checked(path)}")
    if done.returncode:
        raise WorktreeError(f"{path} is not committed in {repository}")
    try:
        return done.stdout.decode()
    except UnicodeDecodeError as error:
        raise WorktreeError(f"{path} is not UTF-8 text") from error


def commit_files(repository: str | Path, files: Mapping[str, bytes], message: str) -> str:
    """
    Writes `files` (path to content) and commits them and nothing else, whatever else is staged; answers the commit's id.

    Raises WorktreeError, with everything as it was, where one of them has uncommitted changes, HEAD is on no branch, a merge or
    the like is unfinished, nothing would change, or git or a hook refuses. Raises ValueError for a path that no commit may write.
    """
    top = Path(repository).resolve()
    paths = [checked(path) for path in files]
    _refuse_unfinished(top)
    for path in paths:
        _refuse_foreign(top, path)
    try:
        for path in paths:
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(files[path])
        _must(_git(top, "add", "--", *paths), "git add")
        if not _git(top, "diff", "--cached", "--quiet", "HEAD", "--", *paths).returncode:
            raise WorktreeError("nothing would change")
        _must(_git(top, "commit", "--quiet", "--only", "--file=-", "--", *paths, stdin=message.encode()), "git commit")
    except OSError as error:
        _restore(top, paths)
        raise WorktreeError(f"cannot write in {top}: {one_line(error)}") from error
    except BaseException:
        _restore(top, paths)
        raise
    return _must(_git(top, "rev-parse", "HEAD"), "git rev-parse").strip()


def push(repository: str | Path) -> str:
    """Pushes the branch to its upstream; answers where it went (`main to origin`). Raises WorktreeError."""
    branch = _branch(Path(repository))
    remote = _git(repository, "config", f"branch.{branch}.remote").stdout.decode().strip()
    upstream = _git(repository, "config", f"branch.{branch}.merge").stdout.decode().strip()
    if not remote or not upstream:
        raise WorktreeError(f"the branch {branch} has no upstream to push to (git push -u origin {branch})")
    done = _git(repository, "push", "--porcelain", "--", remote, f"refs/heads/{branch}:{upstream}")
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode and ("fetch first" in said or "non-fast-forward" in said):
        raise WorktreeError(f"{remote} has commits that this clone lacks; the commit is made but not pushed (git pull --rebase, then git push)")
    if done.returncode:
        raise WorktreeError(f"{remote} refused the push; the commit is made but not pushed: {one_line(_reason(said), 400)}")
    return f"{branch} to {remote}"


def show(repository: str | Path, commit: str) -> str:
    """Author, date, message and diff of a commit, as `git show` prints them without colours."""
    arguments = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--end-of-options", commit, "--")
    return _must(_git(repository, "show", *arguments), "git show")


def run_git(repository: str | Path, *arguments: str) -> str:
    """What a git command in that folder prints. Raises WorktreeError with git's own reason where it fails."""
    return _must(_git(repository, *arguments), f"git {arguments[0]}")


def knows_person(repository: str | Path) -> bool:
    """Whether git has been told a name and an address to commit by."""
    return all(_git(repository, "config", key).stdout.strip() for key in ("user.name", "user.email"))


def _refuse_unfinished(top: Path) -> None:
    folder = Path(_must(_git(top, "rev-parse", "--absolute-git-dir"), "git rev-parse").strip())
    for name, what in _UNFINISHED.items():
        if (folder / name).exists():
            raise WorktreeError(f"a {what} is unfinished in {top}; finish or abort it first (git status)")
    _branch(top)


def _branch(top: Path) -> str:
    done = _git(top, "symbolic-ref", "--quiet", "--short", "HEAD")
    if done.returncode:
        raise WorktreeError(f"HEAD of {top} is on no branch; switch to one first (git switch)")
    return done.stdout.decode().strip()


def _refuse_foreign(top: Path, path: str) -> None:
    """Refuses a file that holds somebody's uncommitted work, and one that a link leads out of the clone."""
    place = top / path
    if place.resolve() != place:
        raise WorktreeError(f"{path} is, or is behind, a symbolic link; it is left alone")
    changed = _must(_git(top, "status", "--porcelain", "--untracked-files=all", "--ignored", "--", path), "git status")
    if changed.strip():
        raise WorktreeError(f"{path} has uncommitted changes; commit or stash them first (git status)")


def _restore(top: Path, paths: list[str]) -> None:
    for path in paths:
        if _git(top, "cat-file", "-e", f"HEAD:{path}").returncode:
            _git(top, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", path)
            with suppress(OSError):  # what could not be made need not go
                (top / path).unlink()
        else:
            _git(top, "restore", "--source=HEAD", "--staged", "--worktree", "--", path)


def _git(repository: str | Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment |= {"LC_ALL": "C", "GIT_LITERAL_PATHSPECS": "1"}
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)  # noqa: S603 - argv, no shell
    except FileNotFoundError as error:
        raise WorktreeError("the git command is not installed") from error


def _must(done: subprocess.CompletedProcess[bytes], what: str) -> str:
    if done.returncode:
        raise WorktreeError(f"{what} failed: {one_line(_reason(done.stderr.decode('utf-8', 'replace')), 400)}")
    return done.stdout.decode("utf-8", "replace")


def _reason(said: str) -> str:
    """The line of git's output that says why."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:", "!"))]
    return "; ".join(telling or lines[-3:])
