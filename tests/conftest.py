"""What every test may use: bounded, repeatable property tests and real git repositories that heed no one's configuration."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# The default shows every local variable of every frame: thousands of lines, and seconds, for an error that a test has made on purpose.
structlog.configure(
    [structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it to what it starts behind itself, and that to its children
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.control_plane", "tests.rendering"]

EPOCH = 1_700_000_000


class GitRepo:
    """
    A git repository, driven by the git command with a fixed identity, no configuration but its own, and dates that grow by
    a second with each commit: the same calls make the same commit ids.
    """

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self._home = home
        self._commits = 0

    @property
    def environment(self) -> dict[str, str]:
        date = f"{EPOCH + self._commits} +0000"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_AUTHOR_NAME": "Ada Example",
            "GIT_AUTHOR_EMAIL": "ada@example.com",
            "GIT_COMMITTER_NAME": "Ada Example",
            "GIT_COMMITTER_EMAIL": "ada@example.com",
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
        }

    def git(self, *words: str, check: bool = True) -> str:
        """Standard output without the last newline. Raises AssertionError with git's own words where it fails."""
        done = subprocess.run(["git", *words], cwd=self.path, env=self.environment, capture_output=True, text=True, check=False, timeout=30)
        assert not check or done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
        return done.stdout.removesuffix("\n")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Path to content; None removes the file."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes | None] | None = None, message: str = "Change") -> str:
        """Writes the files, commits all that is in the work tree (an empty commit where nothing changed), answers the id."""
        self.write(files or {})
        self._commits += 1
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def push(self, *words: str) -> None:
        self.git("push", "--quiet", *(words or ("origin", "HEAD")))

    def clone(self, path: Path) -> "GitRepo":
        """A clone with a work tree; its `origin` is this repository."""
        self.git("clone", "--quiet", str(self.path), str(path))
        return GitRepo(path, self._home)


@pytest.fixture
def git_repo(tmp_path: Path) -> Callable[..., GitRepo]:
    """
    Makes repositories below the test's folder: `git_repo()`, `git_repo("other")`, `git_repo("origin.git", bare=True)`,
    `git_repo(files={"a.yaml": "…"})` for one with a first commit. The branch is `main`.
    """
    home = tmp_path / ".git-home"
    home.mkdir()

    def make(name: str = "repo", *, bare: bool = False, files: Mapping[str, str | bytes | None] | None = None) -> GitRepo:
        path = tmp_path / name
        path.mkdir(parents=True)
        repo = GitRepo(path, home)
        repo.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))
        if files:
            repo.commit(files, "First")
        return repo

    return make
