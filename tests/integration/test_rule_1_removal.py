"""Rules 1a and 1d on real commits: when an application surely left git, and what is kept on doubt."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cluster.embedded.cluster import EmbeddedCluster
from reconciler.cluster.protocol import UnavailableError
from reconciler.daemon import SystemClock
from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.removals import PRUNE, code_of, doubted, gone, is_there, two
from tests.integration.sequences import push, taken


async def test_rule_1a_what_surely_left_git_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        clone.push({"web.yaml": None})
        await gone(daemon, "web")
        await daemon.synced("api")
        assert await is_there(daemon, "api")


async def test_rule_1a_a_document_that_moves_to_another_file_keeps_its_application(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        uid = (await daemon.get("ConfigMap", "web"))["metadata"]["uid"]
        await push(daemon, clone, {"web.yaml": None, "apps/moved.yaml": config_map_app("web", "1")})
        status = await daemon.synced("web")
        assert (status.path, status.run.id if status.run else "") == ("apps/moved.yaml", "web-v1-1")
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["uid"] == uid


def _remove(clone: Clone, *paths: str) -> None:
    for path in paths:
        (clone.path / path).unlink()


def _typo_elsewhere(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / "moved.yaml").write_text(config_map_app("web", "1").replace("metadata:", "metadata"))


def _wrong_kind(clone: Clone) -> None:
    (clone.path / "apps/web.yaml").write_text(config_map_app("web", "1").replace("kind: Application", "kind: Aplication"))


def _wrong_kind_elsewhere(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / "moved.yaml").write_text(config_map_app("web", "1").replace("kind: Application", "kind: Aplication"))


def _oversize(clone: Clone) -> None:
    (clone.path / "apps/web.yaml").write_text(config_map_app("web", "1") + "# " + "x" * (1024 * 1024 + 1) + "\n")


def _oversize_elsewhere(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / "moved.yaml").write_text(config_map_app("web", "1") + "# " + "x" * (1024 * 1024 + 1) + "\n")


def _symlink_for_the_file(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / "hidden.txt").write_text(config_map_app("web", "1"))
    (clone.path / "apps/web.yaml").symlink_to("../hidden.txt")


def _symlink_for_the_folder(clone: Clone) -> None:
    (clone.path / "apps").rename(clone.path / ".elsewhere")
    (clone.path / ".elsewhere/web.yaml").rename(clone.path / ".elsewhere/web.txt")
    (clone.path / "apps").symlink_to(".elsewhere")


def _ignored(clone: Clone) -> None:
    (clone.path / ".reconcilerignore").write_text("apps/\n")


def _removed_and_ignore_file_changed(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / ".reconcilerignore").write_text("docs/\n")


def _foreign_in_the_last_file(clone: Clone) -> None:
    (clone.path / "apps/web.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: something}\n")


def _foreign_with_its_name(clone: Clone) -> None:
    _remove(clone, "apps/web.yaml")
    (clone.path / "other.yaml").write_text("apiVersion: core.oam.dev.example.org/v1beta1\nkind: Application\nmetadata: {name: web}\n")


DOUBTS: list[Callable[[Clone], None]] = [
    _typo_elsewhere,
    _wrong_kind,
    _wrong_kind_elsewhere,
    _oversize,
    _oversize_elsewhere,
    _symlink_for_the_file,
    _symlink_for_the_folder,
    _ignored,
    _removed_and_ignore_file_changed,
    _foreign_in_the_last_file,
    _foreign_with_its_name,
]


def kept(daemon: Daemon) -> str:
    """Why `web` is not simply running: the condition that says so."""
    conditions = daemon.conditions("web")
    return conditions.get("RemovalInDoubt") or conditions.get("ManifestInvalid", "")


@pytest.mark.parametrize("change", DOUBTS, ids=lambda change: change.__name__.strip("_"))
async def test_rule_1a_on_any_doubt_the_application_is_kept_and_says_why(tmp_path: Path, change: Callable[[Clone], None]) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone, "apps/web.yaml")
        change(clone)
        clone.commit({})
        await taken(daemon, clone.push())
        assert await daemon.until(lambda: kept(daemon), "web is kept and says so")
        assert await is_there(daemon, "web")
        await push(daemon, clone, {"README.md": "an unrelated commit later"})
        assert kept(daemon)
        assert await is_there(daemon, "web")
        assert daemon.status("web").sync == "Unknown"


async def test_rule_1a_a_typo_in_a_folder_that_another_application_refers_to_removes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    other = "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: other}\nspec:\n  components:\n    - {name: all, type: manifests, properties: {path: m/plain}}\n"
    plain = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n"
    async with running(clone) as daemon:
        await two(daemon, clone, "m/web.yaml")
        await push(daemon, clone, {"other.yaml": other, "m/plain/plain.yaml": plain})
        await daemon.synced("other")
        wrong = config_map_app("web", "1").replace("kind: Application", "kind: Aplication")
        await push(daemon, clone, {"other.yaml": other.replace("m/plain}", "m}"), "m/web.yaml": wrong})
        assert kept(daemon)
        assert await is_there(daemon, "web")
        await push(daemon, clone, {"README.md": "more"})
        assert kept(daemon)
        assert await is_there(daemon, "web")


async def test_rule_1a_a_typo_that_is_mended_ends_the_doubt_either_way(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        await push(daemon, clone, {"web.yaml": None, "moved.yaml": config_map_app("web", "1").replace("metadata:", "metadata")})
        await doubted(daemon, "web")
        await push(daemon, clone, {"moved.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        assert "RemovalInDoubt" not in daemon.conditions("web")
        await push(daemon, clone, {"moved.yaml": None, "bad.yaml": "a: [\n"})
        await doubted(daemon, "web")
        clone.push({"bad.yaml": None})
        await gone(daemon, "web")


async def test_rule_1a_a_force_push_back_keeps_what_the_older_commit_lacks(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        first = await push(daemon, clone, {"api.yaml": config_map_app("api", "1")})
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        clone.git("reset", "-q", "--hard", first)
        clone.push(force=True)
        await taken(daemon, first)
        assert "force-push" in await doubted(daemon, "web")
        await push(daemon, clone, {"README.md": "more"})
        await doubted(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        assert "RemovalInDoubt" not in daemon.conditions("web")


async def test_rule_1a_other_paths_or_another_branch_on_the_same_state_remove_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    cluster = EmbeddedCluster(":memory:", SystemClock(), speed=1000.0)
    await cluster.start()
    async with running(clone, cluster=cluster) as daemon:
        await push(daemon, clone, {"a/web.yaml": config_map_app("web", "1"), "b/api.yaml": config_map_app("api", "1")})
        await daemon.synced("web")
        await daemon.synced("api")
    async with running(clone, cluster=cluster, paths=("b",)) as daemon:
        await daemon.synced("api")
        await daemon.looked()
        await doubted(daemon, "web")
        await push(daemon, clone, {"b/notes.md": "still nothing of web here"})
        await doubted(daemon, "web")
    clone.git("checkout", "-q", "-b", "other")
    clone.commit({"a/web.yaml": None})
    clone.git("push", "-q", "origin", "other")
    clone.git("checkout", "-q", "main")
    async with running(clone, cluster=cluster, ref="other") as daemon:
        await daemon.synced("api")
        await doubted(daemon, "web")
    await cluster.close()


async def test_rule_1a_a_removal_while_the_daemon_was_down_is_one(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await two(daemon, clone)
    clone.push({"web.yaml": None})
    async with running(clone, state) as daemon:
        await gone(daemon, "web")
        await daemon.synced("api")


async def test_rule_1a_doubt_outlives_a_restart_and_ends_by_approval_of_the_printed_digest(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await two(daemon, clone)
        await push(daemon, clone, {".reconcilerignore": "web.yaml\n"})
        said = await doubted(daemon, "web")
    async with running(clone, state) as daemon:
        await daemon.looked()
        assert code_of(await doubted(daemon, "web")) == code_of(said)
        await push(daemon, clone, {PRUNE: "approved: [0123456789ab, {}, 7]\n"})
        await doubted(daemon, "web")
        clone.push({PRUNE: f"approved: [{code_of(said)}]\n"})
        await gone(daemon, "web")
        await daemon.synced("api")


@pytest.mark.parametrize("prune", ["approved: CODE\n", "approved: {CODE: true}\n", "CODE\n", "- CODE\n", "approved: [\n", "approved:\n"])
async def test_rule_1d_an_approval_file_that_is_no_list_of_digests_approves_nothing(tmp_path: Path, prune: str) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        await push(daemon, clone, {".reconcilerignore": "web.yaml\n"})
        said = await doubted(daemon, "web")
        await push(daemon, clone, {PRUNE: prune.replace("CODE", code_of(said))})
        await doubted(daemon, "web")


async def test_rule_1a_a_deleted_branch_keeps_everything_and_says_so(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        clone.git("push", "-q", "origin", "main:other")
        clone.git("--git-dir", str(clone.origin), "update-ref", "-d", "refs/heads/main")
        failed = await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "look-failed"], "the look fails")
        assert failed[-1].fields["reason"] == "RefMissing"
        assert "main" in failed[-1].fields["message"]
        assert daemon.status("web").sync == "Synced"
        assert await is_there(daemon, "web")
        clone.git("push", "-q", "origin", "main")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
        await daemon.synced("web")
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "2"}


async def test_rule_1a_a_repository_that_cannot_be_read_keeps_everything_and_says_so(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        clone.origin.rename(tmp_path / "away")
        failed = await daemon.until(lambda: [event for event in daemon.sink.events if event.kind == "look-failed"], "the look fails")
        assert failed[-1].fields["message"]
        assert daemon.status("web").sync == "Synced"
        assert await is_there(daemon, "web")
        (tmp_path / "away").rename(clone.origin)
        await push(daemon, clone, {"web.yaml": config_map_app("web", "2")})
        await daemon.synced("web")


async def test_rule_1a_a_blob_that_is_missing_from_the_repository_removes_nothing(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        clone.commit({"web.yaml": config_map_app("web", "2")})
        blob = clone.git("rev-parse", "HEAD:web.yaml")
        clone.push()
        clone.git("--git-dir", str(clone.origin), "unpack-objects", check=False)
        (clone.origin / "objects" / blob[:2] / blob[2:]).unlink()
        await daemon.until(lambda: daemon.status("web").sync == "Unknown", "the manifest can't be read")
        assert await is_there(daemon, "web")


async def test_rule_1a_a_deletion_that_a_crash_cut_off_goes_on_after_the_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    more = "          - {apiVersion: v1, kind: ConfigMap, metadata: {name: web-second}}\n"
    delete, broken = EmbeddedCluster.delete, True

    async def fail_on_first(self, ref, *args, **kwargs):
        if broken and ref.name == "web":
            raise UnavailableError("the API server is away")
        await delete(self, ref, *args, **kwargs)

    monkeypatch.setattr(EmbeddedCluster, "delete", fail_on_first)
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1") + more, "api.yaml": config_map_app("api", "1")})
        await daemon.synced("web")
        await daemon.synced("api")
        clone.push({"web.yaml": None})
        said = await daemon.until(lambda: daemon.conditions("web").get("PruneFailed"), "it says what could not be deleted")
        assert "ConfigMap default/web: the API server is away" in said
        assert not await is_there(daemon, "web-second"), "last applied, first deleted"
        assert await is_there(daemon, "web")
    broken = False
    async with running(clone, state) as daemon:
        await gone(daemon, "web")
        await daemon.synced("api")


async def test_rule_1a_an_application_that_comes_back_while_it_is_in_doubt_goes_on_as_it_was(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        await two(daemon, clone)
        uid = (await daemon.get("ConfigMap", "web"))["metadata"]["uid"]
        await push(daemon, clone, {"web.yaml": None, "api.yaml": None})
        await doubted(daemon, "web")
        await push(daemon, clone, {"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
        status = await daemon.synced("web")
        assert status.run.id == "web-v1-1"
        assert "RemovalInDoubt" not in daemon.conditions("web")
        assert (await daemon.get("ConfigMap", "web"))["metadata"]["uid"] == uid
