import os

import pytest

from reconciler.source.protocol import NotARepositoryError
from reconciler.source.worktree import WorktreeError, commit_files, find_repository, head_text, push, show


@pytest.fixture(autouse=True)
def person(monkeypatch, git, tmp_path):
    """The environment of a person's shell."""
    for name, value in git("any").environment().items():
        monkeypatch.setenv(name, value)
    for name in [name for name in os.environ if name.startswith("GIT_") and name.endswith(("DIR", "FILE"))]:
        monkeypatch.delenv(name)


def test_the_top_of_the_clone_is_found_from_any_folder_in_it(clone, origin, tmp_path):
    assert find_repository(clone.folder / "apps").resolve() == clone.folder
    for wrong in (tmp_path, origin.folder):
        with pytest.raises(NotARepositoryError, match="clone"):
            find_repository(wrong)


def test_a_commit_holds_the_files_and_nothing_else_that_is_staged(clone):
    (clone.folder / "README.md").write_text("half done\n")
    clone("add", "README.md")
    (clone.folder / "apps/api.yaml").write_text("half done\n")
    commit = commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n", "new/x.yaml": b"x: 1\n"}, "Approve web\n\nbecause")
    assert commit == clone("rev-parse", "main")
    assert clone("show", "--format=%an|%s|%b", "--name-only", commit).split() == ["Ann|Approve", "web|because", "apps/web.yaml", "new/x.yaml"]
    assert clone("status", "--porcelain").split("\n") == ["M  README.md", " M apps/api.yaml"]
    assert (clone.folder / "apps/web.yaml").read_text() == "a: 2\n"
    assert head_text(clone.folder, "apps/web.yaml") == "a: 2\n"


@pytest.mark.parametrize("stage", [True, False])
def test_uncommitted_work_in_the_file_is_never_overwritten(clone, stage):
    (clone.folder / "apps/web.yaml").write_text("mine\n")
    if stage:
        clone("add", "--all")
    with pytest.raises(WorktreeError, match=r"apps/web\.yaml has uncommitted changes"):
        commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "m")
    assert (clone.folder / "apps/web.yaml").read_text() == "mine\n"


@pytest.mark.parametrize("ignored", [True, False])
def test_an_untracked_file_is_never_overwritten(clone, ignored):
    if ignored:
        clone.commit({".gitignore": "x.yaml\n"})
    (clone.folder / "x.yaml").write_text("mine\n")
    with pytest.raises(WorktreeError, match="uncommitted"):
        commit_files(clone.folder, {"x.yaml": b"1"}, "m")
    assert (clone.folder / "x.yaml").read_text() == "mine\n"


def test_an_unfinished_merge_and_a_detached_head_are_refused(clone):
    clone("switch", "--quiet", "-c", "side")
    clone.commit({"apps/web.yaml": "side\n"})
    clone("switch", "--quiet", "main")
    clone.commit({"apps/web.yaml": "main\n"})
    assert clone.run("merge", "side", check=False).returncode
    with pytest.raises(WorktreeError, match="merge is unfinished"):
        commit_files(clone.folder, {"apps/api.yaml": b"2"}, "m")
    clone("merge", "--abort")
    clone("checkout", "--quiet", "--detach")
    with pytest.raises(WorktreeError, match="no branch"):
        commit_files(clone.folder, {"apps/api.yaml": b"2"}, "m")


def test_a_hook_that_refuses_leaves_everything_as_it_was(clone):
    hook = clone.folder / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: not on a Friday' >&2\nexit 1\n")
    hook.chmod(0o755)
    head = clone("rev-parse", "HEAD")
    with pytest.raises(WorktreeError, match="not on a Friday"):
        commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n", "new.yaml": b"1"}, "m")
    assert clone("rev-parse", "HEAD") == head
    assert clone("status", "--porcelain") == ""


def test_an_edit_that_changes_nothing_is_no_commit(clone):
    with pytest.raises(WorktreeError, match="nothing would change"):
        commit_files(clone.folder, {"apps/web.yaml": b"a: 1\n"}, "m")
    assert clone("status", "--porcelain") == ""


def test_links_and_paths_out_of_the_clone_are_refused(clone, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_text("keep")
    (clone.folder / "link").symlink_to(tmp_path / "outside")
    (clone.folder / "file").symlink_to(tmp_path / "outside/f")
    clone.commit({})
    for path in ("link/f", "link/new", "file"):
        with pytest.raises(WorktreeError, match="symbolic link"):
            commit_files(clone.folder, {path: b"gone"}, "m")
    for path in ("../outside/f", "/etc/x", ".git/config"):
        with pytest.raises(ValueError, match="not a path"):
            commit_files(clone.folder, {path: b"gone"}, "m")
    with pytest.raises(WorktreeError):
        commit_files(clone.folder, {"README.md/x": b"1"}, "m")
    assert (tmp_path / "outside/f").read_text() == "keep"
    assert clone("status", "--porcelain") == ""


def test_a_name_with_pathspec_magic_is_only_a_name(clone):
    commit_files(clone.folder, {":(glob)*": b"1", "-x": b"2", "[a]*": b"3"}, "m")
    assert clone("show", "--format=", "--name-only", "-z", "HEAD").strip("\0").split("\0") == ["-x", ":(glob)*", "[a]*"]


def test_a_hook_s_environment_does_not_lead_to_another_repository(clone, git, monkeypatch):
    other = git("other", "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.folder / ".git/index"))
    commit = commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "m")
    assert clone("rev-parse", "HEAD") == commit


def test_a_push_goes_to_the_upstream(clone, origin):
    commit = commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "m")
    assert push(clone.folder) == "main to origin"
    assert origin("rev-parse", "main") == commit


def test_a_push_that_is_behind_says_to_pull_and_one_without_upstream_how_to_set_it(clone, origin, git):
    other = git("other", "clone", "--quiet", str(origin.folder), ".")
    other.commit({"other": "1"})
    other("push", "--quiet")
    commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "m")
    with pytest.raises(WorktreeError, match="git pull"):
        push(clone.folder)
    clone("switch", "--quiet", "-c", "side")
    with pytest.raises(WorktreeError, match="git push -u origin side"):
        push(clone.folder)


def test_a_server_that_refuses_is_quoted_on_one_line(clone, origin):
    hook = origin.folder / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nprintf 'protected\\033[31m branch\\n' >&2\nexit 1\n")
    hook.chmod(0o755)
    commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "m")
    with pytest.raises(WorktreeError, match="protected") as refused:
        push(clone.folder)
    assert str(refused.value).isprintable()


def test_show_prints_the_diff_and_takes_no_option_for_a_commit(clone, tmp_path):
    commit = commit_files(clone.folder, {"apps/web.yaml": b"a: 2\n"}, "why")
    text = show(clone.folder, commit)
    assert [part in text for part in ("Ann", "why", "-a: 1", "+a: 2")] == [True] * 4
    with pytest.raises(WorktreeError):
        show(clone.folder, f"--output={tmp_path}/stolen")
    assert not (tmp_path / "stolen").exists()


def test_a_file_that_is_not_committed_or_no_text_is_refused(clone):
    clone.commit({"binary": b"\xff\xfe"})
    (clone.folder / "later").write_text("x")
    for path, why in (("later", "not committed"), ("apps", "not committed"), ("binary", "UTF-8")):
        with pytest.raises(WorktreeError, match=why):
            head_text(clone.folder, path)
