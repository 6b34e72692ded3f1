"""The repository at one commit: ordinary files only, and each path looked up once."""

from collections import Counter

import pytest

from reconciler.engine.files import FILE_LIMIT, FOLDER_LIMIT, TreeFiles
from reconciler.source.protocol import Blob, TooLargeError, UnreadableError

FILE, RUNNABLE, LINK, MODULE = 0o100644, 0o100755, 0o120000, 0o160000


class Tree:
    """A source with one commit: path to (mode, bytes)."""

    def __init__(self, entries):
        self.entries, self.calls = entries, Counter()

    def blob(self, commit, path):
        self.calls["blob", path] += 1
        return Blob(path, self.entries[path][0]) if path in self.entries else None

    def tree(self, commit, path=""):
        self.calls["tree", path] += 1
        return {name: Blob(name, mode) for name, (mode, _) in self.entries.items() if name.startswith(f"{path}/")}

    def read(self, oid, limit):
        self.calls["read", oid] += 1
        data = self.entries[oid][1]
        if data is None:
            raise UnreadableError(oid)
        if len(data) > limit:
            raise TooLargeError(oid)
        return data


def test_only_ordinary_files_exist():
    files = TreeFiles(Tree({"a/x": (FILE, b"1"), "a/y": (RUNNABLE, b"2"), "b/link": (LINK, b"/etc/passwd"), "c/sub": (MODULE, b"")}), "c")
    assert files.folder("a/") == {"a/x": "a/x", "a/y": "a/y"}
    assert files.oid("a/y") == "a/y"
    for path in ("b/link", "c/sub", "a/none"):
        assert files.oid(path) is None
        with pytest.raises(FileNotFoundError):
            files.read(path)
    for folder in ("b", "c"):
        with pytest.raises(ValueError, match="is a link or a submodule"):
            files.folder(folder)


def test_what_is_too_large_or_unreadable_is_said_in_the_readers_terms():
    files = TreeFiles(Tree({"big": (FILE, b"x" * (FILE_LIMIT + 1)), "lost": (FILE, None)}), "c")
    with pytest.raises(ValueError, match=f"big is larger than {FILE_LIMIT} bytes"):
        files.read("big")
    with pytest.raises(FileNotFoundError):
        files.read("lost")


def test_a_folder_of_too_many_files_is_refused():
    files = TreeFiles(Tree({f"a/{number}": (FILE, b"") for number in range(FOLDER_LIMIT + 1)}), "c")
    with pytest.raises(ValueError, match=f"more than {FOLDER_LIMIT} files"):
        files.folder("a")


def test_each_path_is_looked_up_once_however_often_it_is_asked_for():
    tree = Tree({"a/x": (FILE, b"1")})
    files = TreeFiles(tree, "c")
    for _ in range(5):
        assert files.read("a/x") == b"1"
        assert files.folder("a") == {"a/x": "a/x"}
        assert files.oid("none") is None
    assert set(tree.calls.values()) == {1}
