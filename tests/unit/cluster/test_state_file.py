"""What is in the file survives; who may open it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from reconciler.cluster.embedded.storage import StateError, StateLockedError
from reconciler.cluster.protocol import ExpiredError, NotFoundError
from reconciler.model.identity import GVK, ObjectRef

ROOT = Path(__file__).parents[3]


async def test_objects_and_versions_survive_a_restart(make_cluster, tmp_path, config_map):
    first = await make_cluster(tmp_path / "state")
    made = await first.cluster.create(config_map(color="green"))
    await first.cluster.close()
    second = await make_cluster(tmp_path / "state")
    assert await second.cluster.get(ObjectRef.of(made)) == made
    later = await second.cluster.create(config_map("two"))
    assert int(later["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


async def test_versions_are_never_given_twice_even_when_the_newest_object_is_gone(make_cluster, tmp_path, config_map):
    first = await make_cluster(tmp_path / "state")
    made = await first.cluster.create(config_map())
    await first.cluster.delete(ObjectRef.of(made))
    await first.cluster.close()
    second = await make_cluster(tmp_path / "state")
    again = await second.cluster.create(config_map())
    assert int(again["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"]) + 1
    assert again["metadata"]["uid"] != made["metadata"]["uid"]


async def test_a_watch_from_before_a_restart_expires(make_cluster, tmp_path, config_map):
    first = await make_cluster(tmp_path / "state")
    made = await first.cluster.create(config_map())
    await first.cluster.create(config_map("two"))
    await first.cluster.close()
    second = await make_cluster(tmp_path / "state")
    watch = second.cluster.watch(GVK("", "v1", "ConfigMap"), since=made["metadata"]["resourceVersion"])
    with pytest.raises(ExpiredError):
        await anext(watch)


async def test_rule_3h_a_second_daemon_is_refused_and_told_why(make_cluster, tmp_path):
    path = tmp_path / "state"
    first = await make_cluster(path)
    with pytest.raises(StateLockedError, match="in use by another"):
        await make_cluster(path)
    link = tmp_path / "other-name"
    link.symlink_to(path)
    with pytest.raises(StateLockedError):
        await make_cluster(link)
    await first.cluster.close()
    await make_cluster(path)


async def test_rule_3h_the_lock_holds_against_another_process(make_cluster, tmp_path):
    path = tmp_path / "state"
    await make_cluster(path)
    code = "import sys; from reconciler.cluster.embedded.storage import *\ntry: Storage(sys.argv[1])\nexcept StateLockedError: print('refused')"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "refused"


async def test_rule_12_the_state_file_is_its_owners_alone(make_cluster, tmp_path, config_map):
    turned = await make_cluster(tmp_path / "folder" / "state")
    await turned.cluster.create(config_map())
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "folder").iterdir()}
    assert set(modes.values()) == {0}, modes


@pytest.mark.parametrize("content", [b"not a database, by far" * 50, None])
async def test_a_file_that_is_not_ours_is_refused_and_left_alone(make_cluster, tmp_path, content):
    path = tmp_path / "other"
    if content is None:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE theirs (a)")
        db.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(StateError, match="other"):
        await make_cluster(path)
    assert path.read_bytes() == before


async def test_rule_3g_a_newer_layout_is_refused(make_cluster, tmp_path):
    path = tmp_path / "state"
    first = await make_cluster(path)
    await first.cluster.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="newer"):
        await make_cluster(path)


async def test_a_folder_as_state_file_is_refused(make_cluster, tmp_path):
    with pytest.raises(StateError, match="cannot be opened"):
        await make_cluster(tmp_path)


WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from reconciler.cluster.embedded.cluster import EmbeddedCluster
    from datetime import UTC, datetime

    class Clock:
        now = staticmethod(lambda: datetime.now(UTC))
        monotonic = staticmethod(lambda: 0.0)
        sleep = staticmethod(asyncio.sleep)

    async def main():
        cluster = EmbeddedCluster(sys.argv[1], Clock())
        await cluster.start()
        number = 0
        while True:
            obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"n{number}", "namespace": "default"}}
            stored = await cluster.create(obj)
            print(stored["metadata"]["name"], stored["metadata"]["resourceVersion"], flush=True)
            number += 1

    asyncio.run(main())
    """
)


async def test_rule_2_every_answered_write_survives_kill_9(make_cluster, tmp_path):
    path = tmp_path / "state"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(path), cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    answered = [await process.stdout.readline() for _ in range(200)]
    os.kill(process.pid, signal.SIGKILL)
    rest = await process.stdout.read()
    await process.wait()
    lines = [line.split() for line in (b"".join(answered) + rest).splitlines() if line.count(b" ") == 1]
    turned = await make_cluster(path)
    for name, version in lines[:-1]:
        stored = await turned.cluster.get(ObjectRef("v1", "ConfigMap", "default", name.decode()))
        assert stored["metadata"]["resourceVersion"] == version.decode()


async def test_controllers_and_collection_go_on_after_a_restart(make_cluster, tmp_path, workload, config_map):
    first = await make_cluster(tmp_path / "state")
    await first.cluster.apply(workload("StatefulSet", replicas=2), "team")
    owner = await first.cluster.create(config_map("owner"))
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}]
    await first.cluster.create(child)
    await first.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}})
    first.turn(0.7)
    await first.cluster.delete(ObjectRef.of(owner))
    await first.cluster.delete(ObjectRef("v1", "Namespace", "", "going"))
    await first.cluster.close()  # with the work still queued
    second = await make_cluster(tmp_path / "state")
    second.turn(10)
    assert (await second.cluster.get(ObjectRef("apps/v1", "StatefulSet", "default", "web")))["status"]["readyReplicas"] == 2
    for ref in (ObjectRef.of(child), ObjectRef("v1", "Namespace", "", "going")):
        with pytest.raises(NotFoundError):
            await second.cluster.get(ref)
