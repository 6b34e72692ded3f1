"""Real repositories, made with the git command."""

import os
import subprocess
from pathlib import Path

import pytest


class Git:
    """The git command in one folder, as a person of that name, untouched by the machine's own configuration."""

    def __init__(self, folder, home):
        self.folder = Path(folder)
        self.home = home

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return kept | {
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.com",
            "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "ann@example.com",
        }

    def run(self, *arguments, stdin=None, check=True):
        command = ["git", "-c", "init.defaultBranch=main", *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environment(), input=stdin, capture_output=True, check=check)

    def __call__(self, *arguments, stdin=None):
        return self.run(*arguments, stdin=stdin).stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files, message="change"):
        """Commits files (text; None removes) and answers the id."""
        for path, text in files.items():
            place = self.folder / path
            if text is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(text if isinstance(text, bytes) else text.encode())
        self("add", "--all")
        self("commit", "--quiet", "--allow-empty", "-m", message)
        return self("rev-parse", "HEAD")

    def tree(self, entries):
        """Writes a tree of (mode, name bytes, id) as it is, however hostile, and answers its id."""
        data = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(oid)) for mode, name, oid in entries)
        return self("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)

    def blob(self, data):
        return self("hash-object", "-w", "--stdin", stdin=data)

    def land(self, tree, ref="refs/heads/main"):
        """Commits a tree straight onto a ref."""
        commit = self("commit-tree", tree, "-m", "made")
        self("update-ref", ref, commit)
        return commit


@pytest.fixture
def git(tmp_path):
    """Makes a `Git` for a folder below the test's own."""
    (tmp_path / "home").mkdir()

    def make(name, *init):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        made = Git(folder, tmp_path / "home")
        if init:
            made(*init)
        return made

    return make


@pytest.fixture
def origin(git):
    """A bare repository."""
    return git("origin.git", "init", "--quiet", "--bare")


@pytest.fixture
def clone(git, origin):
    """A clone of `origin` with one commit, pushed."""
    made = git("clone", "clone", "--quiet", str(origin.folder), ".")
    made.commit({"apps/web.yaml": "a: 1\n", "apps/api.yaml": "b: 1\n", "README.md": "hello\n"}, "first")
    made("push", "--quiet", "-u", "origin", "main")
    return made
