import pytest

from reconciler.source.git import GitSource
from reconciler.source.protocol import (
    EmptyRepositoryError,
    NotARepositoryError,
    RefMissingError,
    UnreadableError,
)


def names(changes):
    return [change.path for change in changes]


# ---- opening


def test_a_work_tree_and_a_bare_repository_are_opened_in_place(clone, origin):
    for place in (clone, origin):
        source = GitSource.open(place.folder)
        assert source.head().id == clone("rev-parse", "HEAD")
        assert source.head().ref == "refs/heads/main"
        assert source.head().commit.author == "Ann <ann@example.com>"
        assert source.head().commit.message == "first"


def test_only_the_top_of_a_repository_is_taken_and_the_message_names_it(clone, origin, tmp_path):
    for wrong, hint in ((clone.folder / "apps", clone.folder), (clone.folder / ".git", clone.folder), (origin.folder / "refs", origin.folder)):
        with pytest.raises(NotARepositoryError, match=str(hint)):
            GitSource.open(wrong)
    with pytest.raises(NotARepositoryError, match="does not exist"):
        GitSource.open(tmp_path / "nowhere")
    with pytest.raises(NotARepositoryError, match="not a git repository"):
        GitSource.open(tmp_path)
    with pytest.raises(NotARepositoryError, match="not a folder"):
        GitSource.open(clone.folder / "README.md")


def test_a_repository_that_git_does_not_trust_says_what_to_do(clone, monkeypatch):
    import pygit2

    def refuse(*_):
        raise pygit2.GitError(f"repository path '{clone.folder}' is not owned by current user")

    monkeypatch.setattr(pygit2, "Repository", refuse)
    with pytest.raises(UnreadableError, match=r"safe\.directory"):
        GitSource.open(clone.folder)


def test_a_linked_work_tree_is_opened_with_its_own_branch(clone, tmp_path):
    clone("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "linked"))
    source = GitSource.open(tmp_path / "linked")
    assert source.head().ref == "refs/heads/side"
    assert source.git_folder == clone.folder / ".git"


@pytest.mark.parametrize("paths", [["/etc"], ["a/../.."], [".."]])
def test_a_path_that_leads_out_is_refused(clone, paths):
    with pytest.raises(ValueError, match="within the repository"):
        GitSource.open(clone.folder, paths=paths)


def test_rule_1a_the_identity_holds_path_ref_and_normalised_paths(clone):
    def identity(ref, paths):
        return GitSource.open(clone.folder, ref, paths).identity

    assert identity("", []) == identity("main", ["."]) == identity("refs/heads/main", ["", "apps"])
    assert identity("main", ["apps"]) == identity("main", ["./apps/", "apps/web"])
    assert identity("main", ["apps"]) != identity("main", [])
    clone("branch", "other")
    assert identity("other", []) != identity("main", [])


# ---- refs


def test_a_branch_wins_over_a_tag_and_tags_are_peeled(clone):
    first = clone("rev-parse", "HEAD")
    clone("tag", "-a", "v1", "-m", "one")
    clone("tag", "main")
    second = clone.commit({"x": "1"})
    assert GitSource.open(clone.folder, "main").head().id == second
    assert GitSource.open(clone.folder, "v1").head()[:2] == (first, "refs/tags/v1")
    assert GitSource.open(clone.folder, "refs/tags/main").head().id == first


def test_a_commit_id_pins_whatever_the_branch_does(clone):
    first = clone("rev-parse", "HEAD")
    sources = [GitSource.open(clone.folder, name) for name in (first, first[:8], first[:8].upper())]
    clone.commit({"x": "1"})
    assert [source.head()[:2] for source in sources] == [(first, "")] * 3
    assert {source.push(first, first).reason for source in sources} == {"PushRefused"}


@pytest.mark.parametrize("ref", ["../../etc/passwd", "main~1", "a b", "main@{0}", "-x", "refs/heads/../x", "\n"])
def test_what_can_be_no_name_is_refused_or_missing(clone, ref):
    with pytest.raises((UnreadableError, RefMissingError)):
        GitSource.open(clone.folder, ref).head()


def test_rule_2_an_empty_repository_and_a_missing_branch_are_told_apart_and_may_come_to_be(origin, clone, git):
    empty = git("empty.git", "init", "--quiet", "--bare")
    source = GitSource.open(empty.folder)
    with pytest.raises(EmptyRepositoryError):
        source.head()
    clone("push", "--quiet", str(empty.folder), "main")
    assert source.head().id == clone("rev-parse", "HEAD")
    later = GitSource.open(origin.folder, "later")
    with pytest.raises(RefMissingError, match="later"):
        later.head()
    clone("push", "--quiet", "origin", "main:later")
    assert later.head().ref == "refs/heads/later"


def test_rule_2_a_deleted_branch_is_missing_and_never_becomes_the_tag_of_its_name(origin, clone):
    source = GitSource.open(origin.folder, "main")
    clone("push", "--quiet", "origin", "HEAD:refs/tags/main")
    origin("update-ref", "-d", "refs/heads/main")
    with pytest.raises(RefMissingError):
        source.head()
    with pytest.raises(RefMissingError):
        source.contains("0" * 40)


def test_a_detached_head_asks_for_a_name(clone):
    clone("checkout", "--quiet", "--detach")
    with pytest.raises(UnreadableError, match="detached"):
        GitSource.open(clone.folder)


def test_head_is_right_after_gc_and_pack_refs_and_a_push_into_packed_refs(origin, clone):
    source = GitSource.open(origin.folder)
    old = source.head().id
    origin("gc", "--quiet", "--prune=now")
    assert source.head().id == old
    new = clone.commit({"apps/web.yaml": "a: 2\n"})
    clone("push", "--quiet")
    origin("pack-refs", "--all")
    origin("repack", "-adq")
    assert source.head().id == new
    assert names(source.changes(old, new)) == ["apps/web.yaml"]


def test_rule_2_a_repository_that_goes_away_is_unreadable_and_one_that_comes_back_is_read_anew(origin, clone, tmp_path):
    source = GitSource.open(origin.folder)
    old = source.head().id
    origin.folder.rename(tmp_path / "away")
    with pytest.raises(UnreadableError):
        source.head()
    (tmp_path / "away").rename(origin.folder)
    assert source.head().id == old


def test_rule_1a_another_repository_in_the_place_of_the_first_is_not_mixed_up_with_it(origin, clone, git, tmp_path):
    origin("gc", "--quiet")
    source = GitSource.open(origin.folder)
    old = source.head().id
    assert source.has(old)
    origin.folder.rename(tmp_path / "away")
    git("origin.git", "init", "--quiet", "--bare")
    with pytest.raises(EmptyRepositoryError):
        source.head()
    assert not source.has(old)


def test_rule_2_corrupt_objects_are_errors_not_absences(origin, clone):
    source = GitSource.open(origin.folder)
    blob = source.tree(source.head().id)["apps/web.yaml"].oid
    tree = clone("rev-parse", "HEAD:apps")
    for oid, what in ((blob, lambda: source.read(blob, 100)), (tree, lambda: GitSource.open(origin.folder).changes("", source.head().id))):
        place = origin.folder / "objects" / oid[:2] / oid[2:]
        place.chmod(0o644)
        kept = place.read_bytes()
        place.write_bytes(b"rubbish")
        with pytest.raises(UnreadableError):
            what()
        place.unlink()
        with pytest.raises(UnreadableError):
            what()
        place.write_bytes(kept)


# ---- history


def test_rule_1a_descends_tells_a_fast_forward_from_a_forced_push(clone):
    first = clone("rev-parse", "HEAD")
    second = clone.commit({"x": "1"})
    clone("reset", "--quiet", "--hard", first)
    forced = clone.commit({"x": "2"})
    source = GitSource.open(clone.folder)
    assert source.descends(second, first)
    assert source.descends(first, first)
    assert not source.descends(first, second)
    assert not source.descends(forced, second)
    assert not source.descends(forced, "f" * 40)
    assert not source.descends(forced, "")
    with pytest.raises(UnreadableError):
        source.descends("f" * 40, first)


def test_log_names_the_commits_that_changed_a_path_newest_first(clone):
    first = clone("rev-parse", "HEAD")
    second = clone.commit({"apps/web.yaml": "a: 2\n"}, "second")
    clone.commit({"README.md": "x"}, "other")
    third = clone.commit({"apps/web.yaml": None}, "removed")
    fourth = clone.commit({"apps/web.yaml": "a: 3\n"}, "again")
    source = GitSource.open(clone.folder)
    assert [commit.id for commit in source.log("apps/web.yaml", "", fourth)] == [fourth, third, second, first]
    assert [commit.id for commit in source.log("apps/web.yaml", second, fourth)] == [fourth, third]
    assert [commit.id for commit in source.log("apps", "", fourth, limit=1)] == [fourth]
    assert len(source.log("", first, fourth)) == 4
    assert source.log("nothing", "", fourth) == []
    assert source.log("apps/web.yaml", fourth, fourth) == []
    assert len(source.log("", "f" * 40, fourth)) == 5


def test_log_is_what_git_log_says_over_merges(clone):
    clone("checkout", "--quiet", "-b", "side")
    clone.commit({"apps/web.yaml": "side\n"}, "side")
    clone.commit({"apps/api.yaml": "side\n"}, "side too")
    clone("checkout", "--quiet", "main")
    clone.commit({"other": "1"}, "main")
    clone("merge", "--quiet", "--no-ff", "-m", "taken", "side")
    clone("checkout", "--quiet", "-b", "lost")
    clone.commit({"apps/web.yaml": "lost\n"}, "lost")
    clone("checkout", "--quiet", "main")
    clone.commit({"apps/web.yaml": "won\n"}, "won")
    clone("merge", "--quiet", "--no-ff", "-s", "ours", "-m", "ours", "lost")
    head = clone("rev-parse", "HEAD")
    source = GitSource.open(clone.folder)
    for path in ("apps/web.yaml", "apps", "README.md", "other"):
        said = clone("log", "--topo-order", "--format=%H", "--", path).split()
        assert [commit.id for commit in source.log(path, "", head)] == said
    assert {commit.id for commit in source.log("", "", head)} == set(clone("log", "--format=%H").split())


def test_the_history_of_a_shallow_clone_ends_at_its_edge(clone, git, origin):
    clone.commit({"apps/web.yaml": "a: 2\n"}, "second")
    clone("push", "--quiet")
    shallow = git("shallow", "clone", "--quiet", "--depth=1", f"file://{origin.folder}", ".")
    source = GitSource.open(shallow.folder)
    head = source.head()
    assert [commit.id for commit in source.log("apps/web.yaml", "", head.id)] == [head.id]


def test_rule_13e_author_and_message_are_one_line_of_printable_text(clone):
    raw = b"tree %s\nauthor E\xffve\x1b[31m <e@x> 99999999999999 +0000\ncommitter E <e@x> 99999999999999 +0000\n\n\n hi\xe2\x80\xae\x1b there\nSigned-off-by: root\n"
    tree = clone("rev-parse", "HEAD^{tree}").encode()
    commit = clone("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw % tree)
    shown = GitSource.open(clone.folder).commit(commit)
    assert shown.author.isprintable()
    assert shown.message == "hi\\u202e\\x1b there"
    assert shown.time is None


# ---- trees
