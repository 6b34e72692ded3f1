from types import SimpleNamespace

import pytest

from reconciler.source import objects, trees
from reconciler.source.git import GitSource
from reconciler.source.protocol import (
    Blob,
    Change,
    TooLargeError,
    UnreadableError,
)


def names(changes):
    return [change.path for change in changes]


# ---- opening


def test_changes_are_those_below_the_paths_by_object_id(clone):
    first = clone("rev-parse", "HEAD")
    second = clone.commit({"apps/web.yaml": "a: 2\n", "apps/api.yaml": None, "apps/new/x.yaml": "n: 1\n", "README.md": "y"})
    source = GitSource.open(clone.folder, paths=["apps"])
    found = source.changes(first, second)
    assert names(found) == ["apps/api.yaml", "apps/new/x.yaml", "apps/web.yaml"]
    assert [(change.old is None, change.new is None) for change in found] == [(False, True), (True, False), (False, False)]
    assert source.read(found[2].new.oid, 100) == b"a: 2\n"
    assert names(source.changes("", second)) == ["apps/new/x.yaml", "apps/web.yaml"]
    assert names(GitSource.open(clone.folder, paths=["README.md", "nowhere"]).changes(first, second)) == ["README.md"]
    assert source.changes(first, first) == []


def test_a_file_that_becomes_a_folder_and_a_mode_are_changes(clone):
    first = clone.commit({"x": "1", "run": "#!"})
    (clone.folder / "x").unlink()
    (clone.folder / "run").chmod(0o755)
    second = clone.commit({"x/y": "1"})
    found = GitSource.open(clone.folder).changes(first, second)
    assert names(found) == ["run", "x", "x/y"]
    assert (found[0].old.mode, found[0].new.mode) == (0o100644, 0o100755)
    assert found[1].new is None


def test_the_cost_of_changes_follows_the_change_not_the_size(clone, monkeypatch):
    first = clone.commit({f"d{i}/e{j}/f{k}.yaml": f"{i}{j}{k}" for i in range(20) for j in range(10) for k in range(5)})
    second = clone.commit({"d7/e7/f3.yaml": "changed"})
    source = GitSource.open(clone.folder)
    opened = []
    real = source._objects.folder
    monkeypatch.setattr(source._objects, "folder", lambda oid: opened.append(oid) or real(oid))
    assert names(source.changes(first, second)) == ["d7/e7/f3.yaml"]
    assert len(opened) <= 8  # root, d7, e7 on both sides, and the way to the scope


def test_tree_and_blob_answer_what_is_there(clone):
    source = GitSource.open(clone.folder)
    head = source.head().id
    assert sorted(source.tree(head)) == ["README.md", "apps/api.yaml", "apps/web.yaml"]
    assert sorted(source.tree(head, "apps/")) == ["apps/api.yaml", "apps/web.yaml"]
    assert source.tree(head, "nowhere") == source.tree(head, "README.md") == {}
    assert source.blob(head, "apps/web.yaml") == Blob(clone("rev-parse", "HEAD:apps/web.yaml"), 0o100644)
    assert source.blob(head, "apps") is source.blob(head, "apps/web.yaml/x") is source.blob(head, "") is None


def test_links_and_submodules_come_with_their_mode_and_are_never_followed(clone):
    (clone.folder / "link.yaml").symlink_to("/etc/passwd")
    (clone.folder / "dir").symlink_to("/etc")
    clone("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    clone("add", "link.yaml", "dir")
    clone("commit", "--quiet", "-m", "links")
    source = GitSource.open(clone.folder)
    head = source.head().id
    tree = source.tree(head)
    assert (tree["link.yaml"].mode, tree["dir"].mode, tree["sub"].mode) == (0o120000, 0o120000, 0o160000)
    assert source.read(tree["link.yaml"].oid, 100) == b"/etc/passwd"
    assert source.tree(head, "dir") == {}
    assert source.blob(head, "dir/passwd") is None
    with pytest.raises(UnreadableError):
        source.read(tree["sub"].oid, 100)


HOSTILE = {
    b"..": "\\x2e\\x2e",
    b".": "\\x2e",
    b"a/b.yaml": "a\\x2fb.yaml",
    b"new\nline.yaml": "new\\nline.yaml",
    b"not\xffutf8.yaml": "not\\udcffutf8.yaml",
    b"back\\slash": "back\\\\slash",
    b"bidi\xe2\x80\xae.yaml": "bidi\\u202e.yaml",
    b".git": ".git",
    b".GIT": ".GIT",
    b"git~1": "git~1",
    b"trailing.": "trailing.",
    "ünï中😀.yaml".encode(): "ünï中😀.yaml",
    b"x" * 5000: "x" * 5000,
}


def test_hostile_names_come_back_escaped_and_different_names_stay_different(clone):
    oid = clone.blob(b"a: 1\n")
    tree = clone.tree([(b"100644", name, oid) for name in HOSTILE])
    commit = clone.land(clone.tree([(b"40000", b"..", tree), (b"40000", b"ok", tree)]), "refs/heads/bad")
    source = GitSource.open(clone.folder, "bad")
    assert set(source.tree(commit)) == {f"{folder}/{name}" for folder in ("\\x2e\\x2e", "ok") for name in HOSTILE.values()}
    assert set(names(source.changes("", commit))) == set(source.tree(commit))
    for path, blob in source.tree(commit).items():
        assert source.blob(commit, path) == blob
        path.encode()


def test_rule_2_a_tree_that_git_calls_corrupt_is_an_error(clone):
    oid = clone.blob(b"a: 1\n")
    good = clone.tree([(b"100644", b"a", oid)])
    twice = clone.tree([(b"100644", b"a", oid), (b"40000", b"a", good)])
    cut = clone("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=b"100644 a\0short")
    for tree in (twice, cut):
        commit = clone.land(clone.tree([(b"40000", b"d", tree)]), "refs/heads/bad")
        with pytest.raises(UnreadableError, match="corrupt"):
            GitSource.open(clone.folder, "bad").changes("", commit)


def test_a_tree_bomb_and_endless_nesting_are_refused(clone, monkeypatch):
    from reconciler.source import trees

    monkeypatch.setattr(trees, "MAX_ENTRIES", 10_000)
    bomb = clone.tree([(b"100644", b"f", clone.blob(b""))])
    for _ in range(12):
        bomb = clone.tree([(b"40000", b"%d" % index, bomb) for index in range(10)])
    deep = clone.tree([(b"100644", b"f", clone.blob(b""))])
    for _ in range(trees.MAX_DEPTH + 5):
        deep = clone.tree([(b"40000", b"d", deep)])
    for tree, why in ((bomb, "more than 10000"), (deep, "nested")):
        commit = clone.land(tree, "refs/heads/bomb")
        with pytest.raises(UnreadableError, match=why):
            GitSource.open(clone.folder, "bomb").changes("", commit)


def test_a_huge_blob_is_refused_by_its_header_before_it_is_read(clone, monkeypatch):
    commit = clone.commit({"big.yaml": b"\0" * 3_000_000})
    source = GitSource.open(clone.folder)
    oid = source.tree(commit)["big.yaml"].oid
    real = source._objects.repository()
    database = SimpleNamespace(read_header=real.odb.read_header, read=lambda _: pytest.fail("it was read"))
    monkeypatch.setattr(source._objects, "_repository", SimpleNamespace(path=real.path, odb=database))
    with pytest.raises(TooLargeError, match="3000000"):
        source.read(oid, 1_000_000)


@pytest.mark.parametrize("oid", ["", "0" * 40, "xyz", "../../etc/passwd", "HEAD", "A" * 40])
def test_ids_that_name_nothing_are_unreadable(clone, oid):
    source = GitSource.open(clone.folder)
    assert not source.has(oid)
    for ask in (lambda: source.read(oid, 10), lambda: source.commit(oid), lambda: source.tree(oid), lambda: source.changes("", oid)):
        with pytest.raises(UnreadableError):
            ask()


def test_a_tree_is_not_a_blob_nor_a_blob_a_commit(clone):
    source = GitSource.open(clone.folder)
    with pytest.raises(UnreadableError, match="not a blob"):
        source.read(clone("rev-parse", "HEAD:apps"), 10_000)
    with pytest.raises(UnreadableError, match="not a commit"):
        source.commit(clone("rev-parse", "HEAD:README.md"))


def test_changes_against_a_commit_that_was_forced_away_and_collected_is_an_error(clone):
    source = GitSource.open(clone.folder)
    with pytest.raises(UnreadableError):
        source.changes("f" * 40, source.head().id)
    assert Change("README.md", None, source.blob(source.head().id, "README.md")) in source.changes("", source.head().id)


@pytest.mark.parametrize(("largest", "parsed"), [(objects.LARGEST_KEPT, 2), (0, 40)])
def test_a_folder_is_opened_once_for_all_its_files_unless_it_is_large(clone, monkeypatch, largest, parsed):
    head = clone.commit({f"apps/a{number}.yaml": f"a: {number}\n" for number in range(20)})
    opened, parse = [], trees.parse
    monkeypatch.setattr(objects, "LARGEST_KEPT", largest)
    monkeypatch.setattr(trees, "parse", lambda data, oid: opened.append(oid) or parse(data, oid))
    source = GitSource.open(clone.folder)
    assert len({source.blob(head, f"apps/a{number}.yaml").oid for number in range(20)}) == 20
    assert len(opened) == parsed


def test_no_more_folders_are_kept_than_fit(clone):
    head = clone.commit({f"f{number}/a.yaml": f"a: {number}\n" for number in range(2 * objects.KEPT_FOLDERS)})
    source = GitSource.open(clone.folder)
    for number in range(2 * objects.KEPT_FOLDERS):
        assert source.blob(head, f"f{number}/a.yaml") is not None
    assert len(source._objects._folders) == objects.KEPT_FOLDERS
