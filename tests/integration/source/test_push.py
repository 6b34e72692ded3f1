import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from reconciler.source.git import GitSource
from reconciler.source.protocol import Lost, Pushed, UnreadableError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def source(clone, origin):
    return GitSource.open(origin.folder)


def built(source, **edit):
    head = source.head().id
    commit = source.build(head, {path.replace("_", "/") + ".yaml": content for path, content in edit.items()} or {"new": b"1"}, "Roll back", NOW)
    return commit, head


# ---- building


def test_rule_7d_building_moves_nothing_and_the_same_arguments_give_the_same_id(source, origin):
    head = source.head().id
    edit = {"apps/web.yaml": b"a: 2\n", "new/deep/x.yaml": b"x", "README.md": None, "apps/copy.yaml": source.tree(head)["README.md"].oid}
    commit = source.build(head, edit, "Roll back", NOW)
    assert source.build(head, dict(reversed(edit.items())), "Roll back", NOW.astimezone(timezone(timedelta(hours=5)))) == commit
    assert source.head().id == head
    assert not source.contains(commit)
    assert sorted(source.tree(commit)) == ["apps/api.yaml", "apps/copy.yaml", "apps/web.yaml", "new/deep/x.yaml"]
    assert origin("log", "-1", "--format=%an <%ae>|%cn <%ce>|%ad|%s|%P", "--date=raw", commit) == (
        f"Reconciler <reconciler@localhost>|Reconciler <reconciler@localhost>|{int(NOW.timestamp())} +0000|Roll back|{head}"
    )
    origin("fsck", "--strict", commit)


def test_only_touched_folders_are_written(clone, origin, source):
    clone.commit({f"d{i}/f": "x" for i in range(50)})
    clone("push", "--quiet")
    before = int(origin("count-objects").split()[0])
    source.build(source.head().id, {"d7/f": b"y"}, "m", NOW)
    assert int(origin("count-objects").split()[0]) - before == 4  # blob, folder, top, commit


def test_an_edit_that_changes_nothing_is_no_commit(source):
    head = source.head().id
    assert source.build(head, {"apps/web.yaml": b"a: 1\n"}, "m", NOW) is None
    assert source.build(head, {"nowhere/at/all": None}, "m", NOW) is None
    assert source.build(head, {}, "m", NOW) is None


def test_modes_stay_and_an_emptied_folder_goes(clone, source):
    (clone.folder / "run").write_text("#!")
    (clone.folder / "run").chmod(0o755)
    clone.commit({"only/one": "1"})
    clone("push", "--quiet")
    head = source.head().id
    commit = source.build(head, {"run": b"#!/bin/sh", "only/one": None}, "m", NOW)
    assert source.tree(commit)["run"].mode == 0o100755
    assert "only/one" not in source.tree(commit)
    assert source.blob(commit, "only") is None


def test_hostile_neighbours_are_kept_byte_for_byte(clone, origin, source):
    oid = clone.blob(b"1")
    tree = clone.tree([(b"100644", name, oid) for name in (b"..", b"a", b"no\xfft", b"x.y")])
    commit = clone.land(clone.tree([(b"40000", b"d", tree)]))
    clone("push", "--quiet", "--force", "origin", "main")
    new = source.build(commit, {"d/a": b"2", "d/new": b"3"}, "m", NOW)
    raw = origin.run("cat-file", "tree", f"{new}:d").stdout
    assert [part in raw for part in (b"100644 ..\0", b"100644 no\xfft\0", b"100644 new\0")] == [True] * 3


@pytest.mark.parametrize("path", ["", "/a", "a//b", "a/../b", "..", ".git/config", "a/.GIT/b", "a\nb", "a\\b", "a/", "\udcff", "a\0"])
def test_a_path_that_no_work_tree_should_hold_is_refused(source, path):
    with pytest.raises(ValueError, match="not a path"):
        source.build(source.head().id, {path: b"1"}, "m", NOW)


def test_what_is_no_ordinary_file_is_left_alone(clone, source):
    (clone.folder / "link").symlink_to("/etc/passwd")
    clone.commit({})
    clone("push", "--quiet")
    for path in ("link", "apps", "link/x", "README.md/x"):
        with pytest.raises(UnreadableError):
            source.build(source.head().id, {path: b"1"}, "m", NOW)
    for content in ("f" * 40, "HEAD", source.head().id):
        with pytest.raises(UnreadableError, match="no blob"):
            source.build(source.head().id, {"x": content}, "m", NOW)


def test_rule_13e_an_author_cannot_forge_headers(source):
    head = source.head().id
    commit = source.build(head, {"x": b"1"}, "m", NOW, "Eve <eve@example.com>")
    assert source.commit(commit).author == "Eve <eve@example.com>"
    for author in ("Eve", "<e@x>", "Eve <>", "Eve\n<e@x>", "Eve <e@x> 1 +0000\nparent 0", "a <b> <c>"):
        with pytest.raises(ValueError, match="author"):
            source.build(head, {"x": b"1"}, "m", NOW, author)
    with pytest.raises(ValueError, match="time zone"):
        source.build(head, {"x": b"1"}, "m", NOW.replace(tzinfo=None))


# ---- pushing


def test_rule_7d_a_push_moves_the_ref_from_what_was_expected_only(source, clone, origin):
    commit, head = built(source)
    assert source.push(commit, head) == Pushed(commit)
    assert source.contains(commit)
    assert origin("rev-parse", "main") == commit
    assert clone("fetch", "--quiet") == ""
    other = source.build(head, {"other": b"1"}, "m", NOW)
    lost = source.push(other, head)
    assert (lost.reason, commit in lost.message) == ("Moved", True)
    assert origin("rev-parse", "main") == commit


def test_rule_7d_pushing_again_what_has_landed_is_pushed_even_below_newer_commits(source, clone):
    commit, head = built(source)
    source.push(commit, head)
    clone("pull", "--quiet")
    clone.commit({"apps/web.yaml": "a: 9\n"})
    clone("push", "--quiet")
    assert source.push(commit, head) == Pushed(commit)


def test_rule_7d_a_commit_that_was_forced_away_is_not_contained(source, clone):
    commit, head = built(source)
    source.push(commit, head)
    clone.commit({"x": "1"})
    clone("push", "--quiet", "--force")
    assert not source.contains(commit)
    assert not source.contains("f" * 40)


def test_a_commit_that_is_not_built_on_what_was_expected_is_refused(source, clone):
    head = source.head().id
    side = source.build(head, {"a": b"1"}, "m", NOW)
    tree = clone("rev-parse", "HEAD^{tree}")
    orphan = clone("commit-tree", tree, "-m", "orphan")
    clone("push", "--quiet", "origin", f"{orphan}:refs/heads/orphan")
    assert source.push(orphan, head).reason == "PushRefused"
    assert source.push(side, orphan).reason == "PushRefused"
    assert source.head().id == head


def test_the_push_works_on_packed_refs_and_is_noted_in_the_reflog_where_there_is_one(source, origin):
    origin("config", "core.logAllRefUpdates", "true")
    source = GitSource.open(origin.folder)
    origin("pack-refs", "--all")
    commit, head = built(source)
    assert source.push(commit, head) == Pushed(commit)
    assert "write-back" in origin("reflog", "show", "main")
    assert origin("rev-parse", "main") == commit


def test_rule_7e_a_branch_that_is_checked_out_is_never_moved(clone, origin, tmp_path):
    own = GitSource.open(clone.folder)
    commit, head = built(own)
    lost = own.push(commit, head)
    assert lost.reason == "BranchCheckedOut"
    assert str(clone.folder) in lost.message
    clone("switch", "--quiet", "-c", "elsewhere")
    assert GitSource.open(clone.folder, "main").push(commit, head) == Pushed(commit)


def test_rule_7e_a_linked_work_tree_holds_its_branch_also_of_a_bare_repository(source, origin, tmp_path):
    origin("worktree", "add", "--quiet", str(tmp_path / "linked"), "main")
    commit, head = built(source)
    assert source.push(commit, head).reason == "BranchCheckedOut"
    assert GitSource.open(tmp_path / "linked", "main").push(commit, head).reason == "BranchCheckedOut"
    origin("worktree", "remove", str(tmp_path / "linked"))
    assert source.push(commit, head) == Pushed(commit)


def test_rule_7e_a_branch_that_is_being_rebased_is_held(clone):
    clone("switch", "--quiet", "-c", "side")
    clone.commit({"apps/web.yaml": "side\n"})
    clone("switch", "--quiet", "main")
    clone.commit({"apps/web.yaml": "main\n"})
    assert clone.run("rebase", "side", check=False).returncode
    source = GitSource.open(clone.folder, "main")
    commit, head = built(source)
    assert source.push(commit, head).reason == "BranchCheckedOut"


@pytest.mark.timeout(20)
def test_locks_that_a_killed_process_left_are_refused_with_a_sentence_not_waited_for(source, origin):
    commit, head = built(source)
    (origin.folder / "index.lock").touch()
    lock = origin.folder / "refs/heads/main.lock"
    lock.touch()
    lost = source.push(commit, head)
    assert lost.reason == "PushRefused"
    assert "main.lock" in lost.message
    assert "remove it" in lost.message
    assert source.head().id == head
    lock.unlink()
    assert source.push(commit, head) == Pushed(commit)


def test_rule_2_a_lock_that_this_very_push_left_when_it_was_killed_is_taken_away(source, origin):
    commit, head = built(source)
    lock = origin.folder / "refs/heads/main.lock"
    for foreign in (f"{head}\n", f"{commit}\n\n", commit, "x" * 41):
        lock.write_text(foreign)
        assert source.push(commit, head).reason == "PushRefused"
        assert lock.read_text() == foreign, "what somebody else holds is left alone"
    lock.write_text(f"{commit}\n")
    assert source.push(commit, head) == Pushed(commit)
    assert not lock.exists()
    assert source.head().id == commit


def test_a_symbolic_branch_is_not_written_through(source, origin):
    origin("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    alias = GitSource.open(origin.folder, "alias")
    commit, head = built(alias)
    assert alias.push(commit, head).reason == "PushRefused"
    assert source.head().id == head


def test_a_branch_that_was_deleted_meanwhile_is_not_made_again(source, origin):
    from reconciler.source.protocol import RefMissingError

    commit, head = built(source)
    origin("branch", "other", "main")
    origin("update-ref", "-d", "refs/heads/main")
    with pytest.raises(RefMissingError):
        source.push(commit, head)
    assert "main" not in origin("for-each-ref")


def test_rule_7d_a_ref_that_moves_between_the_look_and_the_swap_is_never_overwritten(source, origin, clone, monkeypatch):
    from reconciler.source import refs

    theirs = clone.commit({"theirs": "1"})
    commit, head = built(source)
    real = refs.pygit2.Reference.target

    class Late:
        """The ref as it was read, before somebody else's push lands."""

        def __init__(self, reference):
            self._reference = reference
            self.target = real.__get__(reference)

        def set_target(self, *arguments):
            clone("push", "--quiet")
            return self._reference.set_target(*arguments)

    class References:
        def __getitem__(self, name):
            return Late(repository.references[name])

    class Repository:
        references = References()

        def __getattr__(self, name):
            return getattr(repository, name)

    repository = source._objects.repository()
    monkeypatch.setattr(refs, "holder", lambda *_: monkeypatch.setattr(source._objects, "repository", Repository) or None)
    lost = source.push(commit, head)
    assert isinstance(lost, Lost)
    assert lost.reason == "Moved"
    assert origin("rev-parse", "main") == theirs


def test_rule_7d_in_a_race_with_git_push_no_commit_of_either_side_is_lost(source, origin, git):
    """Both push from the same head at nearly the same time, now one and now the other first."""
    person = git("person", "clone", "--quiet", str(origin.folder), ".")
    first, ours, theirs = source.head().id, [], []
    for turn in range(20):
        person("fetch", "--quiet")
        person("reset", "--quiet", "--hard", "origin/main")
        commit, head = built(source, **{f"ours_{turn}": b"x"})
        by_hand = person.commit({f"theirs/{turn}": "x"})
        pushes = threading.Thread(target=lambda: None if person.run("push", "--quiet", check=False).returncode else theirs.append(by_hand))  # noqa: B023
        pushes.start()
        pushes.join(0.002 * turn)  # only to meet at another instant each time
        if isinstance(source.push(commit, head), Pushed):
            ours.append(commit)
        pushes.join()
        assert len(ours) + len(theirs) == turn + 1  # one of them landed, never both, never none
    assert set(origin("rev-list", f"{first}..main").split()) == {*ours, *theirs}
    origin("fsck", "--strict")
