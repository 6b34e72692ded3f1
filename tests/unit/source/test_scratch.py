"""A scratch repository reads another one and never writes to it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.source.protocol import EmptyRepositoryError, NotARepositoryError, Pushed, RefMissingError
from reconciler.source.scratch import Scratch
from tests.integration.harness import Clone


def contents(folder):
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in Path(folder).rglob("*")}


@pytest.fixture
def clone(tmp_path):
    clone = Clone(tmp_path)
    clone.push({"a.yaml": "a: 1\n"}, "one")
    clone.push({"a.yaml": "a: 2\n"}, "two")
    return clone


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def test_commits_are_made_on_top_of_the_other_ones_and_stay_in_the_folder(clone, folder):
    before = contents(clone.path), contents(clone.origin)
    scratch = Scratch(clone.path, folder)
    scratch.move(scratch.resolve("main~1"))
    source = scratch.source
    head = source.head().id
    made = source.build(head, {"a.yaml": b"a: 3\n"}, "three", datetime(2000, 1, 1, tzinfo=UTC))
    assert source.push(made, head) == Pushed(made)
    assert source.head().id == made
    assert source.read(source.blob(made, "a.yaml").oid, 100) == b"a: 3\n"
    assert [commit.message for commit in source.log("a.yaml", "", made)] == ["three", "one"]
    assert (contents(clone.path), contents(clone.origin)) == before


def test_a_commit_has_every_name_that_git_gives_it(clone, folder):
    clone.git("tag", "-a", "-m", "v1", "v1", "HEAD~1")
    clone.git("checkout", "-q", "--detach")
    scratch = Scratch(clone.path, folder)
    one, two = clone.git("rev-parse", "main~1"), clone.git("rev-parse", "main")
    assert [scratch.resolve(name) for name in ("HEAD", "main", two, two[:8], "origin/main")] == [two] * 5
    assert [scratch.resolve(name) for name in ("main~1", "v1", "HEAD^", one)] == [one] * 4


@pytest.mark.parametrize("name", ["nobody", "main~7", "0" * 40, "main:a.yaml", "", "--all", "a b", "@{"])
def test_what_names_no_commit_is_an_error_that_quotes_it(clone, folder, name):
    with pytest.raises(RefMissingError, match="names no commit"):
        Scratch(clone.path, folder).resolve(name)


def test_a_repository_without_commits_and_a_folder_without_repository_say_so(tmp_path, folder):
    subprocess.run(["git", "init", "-q", str(tmp_path / "empty")], check=True)
    with pytest.raises(EmptyRepositoryError, match="no commit yet"):
        Scratch(tmp_path / "empty", folder).resolve("HEAD")
    with pytest.raises(NotARepositoryError):
        Scratch(tmp_path, folder)


def test_a_shallow_clone_ends_where_it_ends(clone, folder, tmp_path):
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{clone.origin}", str(tmp_path / "shallow")], check=True)
    scratch = Scratch(tmp_path / "shallow", folder)
    scratch.move(scratch.resolve("HEAD"))
    assert [commit.message for commit in scratch.source.log("a.yaml", "", scratch.source.head().id)] == ["two"]
