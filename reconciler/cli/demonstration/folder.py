"""The demo's folder: a bare origin, a clone of it, the daemon's state and log. Git alone says how far somebody came."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import reconciler
from reconciler.cli.errors import UsageError
from reconciler.source import worktree
from reconciler.source.worktree import WorktreeError, run_git

BRANCH: Final = "main"
LOG_FORMAT: Final = "%h %an: %s"
_NAME: Final = "reconciler-demo"
# In the origin's own configuration, and the last thing that is written: the folder is a demo's, made whole, and not moved since.
_MARK: Final = "reconciler.demo"
# The person's templates, hooks and signing are theirs, not this folder's.
_OWN: Final = {"core.hooksPath": "/dev/null", "commit.gpgSign": "false"}


class Tree:
    """Implements the dialects' `Files` over one commit, by the git command. Raises WorktreeError where git refuses."""

    def __init__(self, repository: Path, commit: str) -> None:
        self._repository = repository
        entries = (entry.partition("\t") for entry in run_git(repository, "ls-tree", "-r", "-z", commit).split("\0") if entry)
        # Mode, type and id before the tab; only ordinary files are read.
        self._oids = {path: words.split(" ")[2] for words, _, path in entries if words.startswith("100")}

    def oid(self, path: str) -> str | None:
        return self._oids.get(path)

    def folder(self, path: str) -> dict[str, str]:
        prefix = path.rstrip("/") + "/" if path else ""
        return {name: oid for name, oid in self._oids.items() if name.startswith(prefix)}

    def read(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        if path not in self._oids:
            raise FileNotFoundError(path)
        return run_git(self._repository, "cat-file", "blob", self._oids[path]).encode()


class Folder:
    """The places in it. Use `open_folder`, which makes what is not there yet. Methods raise WorktreeError where git refuses."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.origin, self.clone = root / "origin.git", root / "clone"
        self.state, self.log = root / "state.sqlite", root / "daemon.log"

    @property
    def head(self) -> str:
        """The commit at the tip of the origin's branch."""
        return run_git(self.origin, "rev-parse", "--verify", "--quiet", f"refs/heads/{BRANCH}").strip()

    def tree(self, commit: str) -> Tree:
        """The files of that commit of the origin."""
        return Tree(self.origin, commit)

    def log_lines(self, *words: str) -> list[str]:
        """`git log` of the origin's branch, newest first, a line a commit. `words`: further options; after `--` paths."""
        return run_git(self.origin, "log", f"--format={LOG_FORMAT}", "--no-color", "--no-show-signature", BRANCH, *words).splitlines()

    def lacks(self, commit: str) -> bool:
        """Whether the clone's branch does not hold that commit of the origin yet."""
        try:
            run_git(self.clone, "merge-base", "--is-ancestor", commit, "HEAD")
        except WorktreeError:
            return True
        return False

    def unfinished(self) -> list[tuple[str, ...]]:
        """The git commands that finish what stands in the clone: an edit that is not committed, a commit that is not pushed."""
        edited = bool(run_git(self.clone, "status", "--porcelain", "--untracked-files=no").strip())
        ahead = bool(run_git(self.clone, "rev-list", "@{upstream}..HEAD").strip())
        commit = [("commit", "-am", "Change")] if edited else []
        return [*commit, ("push",)] if edited or ahead else []


def open_folder(named: Path | None) -> Folder:
    """
    The demo's folder of that name, made where it is new or empty; a new one in the temporary folder where none is named.

    Raises UsageError where something else is in it, WorktreeError where git is missing or refuses.
    """
    root = _choose_new() if named is None else named.expanduser().resolve()
    folder = Folder(root)
    try:
        filled = root.exists() and any(root.iterdir())
        if not filled:
            root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{root} cannot be the demo's folder: {error.strerror}; name another one with --folder") from None
    if not filled:
        _make(folder)
    elif _marked(folder) != str(root):
        moved = "was moved or copied since it was made" if _marked(folder) else "is not empty, and no demo was begun there"
        raise UsageError(f"{root} {moved}; name a new folder with --folder")
    return folder


def _choose_new() -> Path:
    """The first of `reconciler-demo`, `reconciler-demo-2`, … in the temporary folder that is new, made for this user alone."""
    for number in range(1, 1000):
        root = Path(tempfile.gettempdir()).resolve() / (_NAME if number == 1 else f"{_NAME}-{number}")
        try:
            root.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return root
    return Path(tempfile.mkdtemp(prefix=f"{_NAME}-")).resolve()


def find_example() -> Path:
    """The example repository: in the package of a wheel, beside the package in a source tree."""
    package = Path(reconciler.__file__).parent
    return next(place for place in (package / "examples", package.parent / "examples" / "repo") if place.is_dir())


def _make(folder: Folder) -> None:
    """A bare origin with one commit, the example repository, and a clone of it. What was made goes again where that fails."""
    try:
        run_git(folder.root, "init", "--quiet", "--template=", "--bare", f"--initial-branch={BRANCH}", str(folder.origin))
        run_git(folder.root, "clone", "--quiet", "--template=", str(folder.origin), str(folder.clone))
        for name, value in _OWN.items():
            run_git(folder.origin, "config", name, value)
            run_git(folder.clone, "config", name, value)
        if not worktree.knows_person(folder.clone):
            run_git(folder.clone, "config", "user.name", "You")
            run_git(folder.clone, "config", "user.email", "you@localhost")
        shutil.copytree(find_example(), folder.clone, dirs_exist_ok=True)
        run_git(folder.clone, "checkout", "--quiet", "-B", BRANCH)
        run_git(folder.clone, "add", "--all")
        run_git(folder.clone, "commit", "--quiet", "--message", "The example repository")
        run_git(folder.clone, "push", "--quiet", "--set-upstream", "origin", BRANCH)
        run_git(folder.origin, "config", _MARK, str(folder.root))
    except BaseException:
        shutil.rmtree(folder.origin, ignore_errors=True)
        shutil.rmtree(folder.clone, ignore_errors=True)
        raise


def _marked(folder: Folder) -> str:
    """Where the demo was made; empty where none was."""
    if not (folder.origin / "config").is_file() or not folder.clone.is_dir():
        return ""
    try:
        return run_git(folder.origin, "config", "--local", _MARK).strip()
    except WorktreeError:
        return ""
