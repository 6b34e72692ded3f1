"""Rules 3 and 10: a restart reads only what changed; the cache that makes it so decides nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from reconciler.engine import index, recall
from tests.integration.harness import Clone, config_map_app, running
from tests.integration.sequences import push

NAMES = ("one", "two", "three")
ENVIRONMENT = "apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {name: prod}\n"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that looks compiled, in order."""
    found: list[str] = []
    right = index.compile_file

    def count(path, *args, **kwargs):
        found.append(path)
        return right(path, *args, **kwargs)

    monkeypatch.setattr(index, "compile_file", count)
    return found


async def ran_once(tmp_path: Path) -> tuple[Clone, str]:
    """A daemon that applied all of `NAMES`, each in a folder of its own, and ended."""
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, {f"{name}/app.yaml": config_map_app(name, "1") for name in NAMES})
        for name in NAMES:
            await daemon.synced(name)
    return clone, state


async def test_rule_10_a_restart_without_news_reads_no_manifest(tmp_path: Path, compiled: list[str]) -> None:
    clone, state = await ran_once(tmp_path)
    compiled.clear()
    async with running(clone, state) as daemon:
        for name in NAMES:
            await daemon.synced(name)
    assert compiled == []


async def test_rule_10_a_restart_reads_what_was_pushed_meanwhile_and_nothing_else(tmp_path: Path, compiled: list[str]) -> None:
    clone, state = await ran_once(tmp_path)
    commit = clone.push({"two/app.yaml": config_map_app("two", "2"), "three/app.yaml": None, "four/app.yaml": config_map_app("four", "1")})
    compiled.clear()
    async with running(clone, state) as daemon:
        assert (await daemon.synced("two", commit)).running.revision == "two-v2"
        await daemon.synced("four", commit)
        assert (await daemon.synced("one")).running.revision == "one-v1"
        await daemon.until(lambda: daemon.status("three") is None, "three is removed")
    assert sorted(compiled) == ["four/app.yaml", "three/app.yaml", "two/app.yaml"], "three as it was in the accepted commit (rule 1a)"


async def test_rule_5a_an_environment_that_appeared_meanwhile_is_read_for_what_stands_below_it(tmp_path: Path, compiled: list[str]) -> None:
    clone, state = await ran_once(tmp_path)
    commit = clone.push({"two/environment.yaml": ENVIRONMENT})
    compiled.clear()
    async with running(clone, state) as daemon:
        assert (await daemon.synced("two", commit)).environment == "prod"
        assert (await daemon.synced("one")).environment == ""
    assert set(compiled) == {"two/app.yaml"}


async def test_rule_1a_what_was_not_recognised_is_read_again(tmp_path: Path, compiled: list[str]) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await push(daemon, clone, {"good.yaml": config_map_app("good", "1"), "bad.yaml": "kind: [\n"})
        await daemon.synced("good")
    compiled.clear()
    async with running(clone, state) as daemon:
        await daemon.synced("good")
        assert [problem["path"] for problem in daemon.engine.reader.problems()] == ["bad.yaml"]
    assert compiled == ["bad.yaml"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def make_nonsense(path: Path) -> None:
    """What nobody could decode, under a right checksum."""
    data = msgspec.msgpack.encode([[], {"one/app.yaml": [7, "nothing"]}])
    magic, program = path.read_bytes().split(b"\n")[:2]
    path.write_bytes(b"\n".join([magic, program, hashlib.sha256(data).hexdigest().encode(), data]))


def point_nowhere(path: Path) -> None:
    """A ground that is not in the file, under a right checksum."""
    magic, program, _, *rest = path.read_bytes().split(b"\n")
    kept = msgspec.msgpack.decode(b"\n".join(rest))
    data = msgspec.msgpack.encode([[], kept[1]])
    path.write_bytes(b"\n".join([magic, program, hashlib.sha256(data).hexdigest().encode(), data]))


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def be_another_program(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(recall.program().encode(), b"0" * 64))


@pytest.mark.parametrize("spoil", [Path.unlink, cut, flip, make_nonsense, point_nowhere, make_a_folder, be_another_program])
async def test_rule_3_a_cache_that_is_lost_broken_or_of_another_program_costs_time_and_changes_nothing(
    tmp_path: Path, compiled: list[str], spoil: Callable[[Path], None]
) -> None:
    clone, state = await ran_once(tmp_path)
    spoil(Path(f"{state}.looks"))
    compiled.clear()
    async with running(clone, state) as daemon:
        for name in NAMES:
            assert (await daemon.synced(name)).running.revision == f"{name}-v1"
        await daemon.looked()
        assert daemon.engine.reader.problems() == []
    assert sorted(compiled) == sorted(f"{name}/app.yaml" for name in NAMES)


async def test_rule_12_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    _, state = await ran_once(tmp_path)
    assert Path(f"{state}.looks").stat().st_mode & 0o777 == 0o600


async def test_rule_10_what_a_push_writes_for_the_next_start_follows_what_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    right = recall.Recall.write

    def count(self, known, files):
        written.append(len(known))
        right(self, known, files)

    monkeypatch.setattr(recall.Recall, "write", count)
    clone = Clone(tmp_path)
    async with running(clone, str(tmp_path / "state.db")) as daemon:
        await push(daemon, clone, {f"app{number}.yaml": config_map_app(f"app{number}", "1") for number in range(20)})
        assert written == [20]
        for turn, writes in enumerate([1, 1, 2, 2], start=2):
            await push(daemon, clone, {f"app{turn}.yaml": config_map_app(f"app{turn}", "2")})
            assert len(written) == writes, "a tenth of them may be read again"
