"""The main job on real git: a push deploys, a commit promotes or rolls back."""

from pathlib import Path

from tests.integration.harness import Clone, config_map_app, running


async def test_a_push_deploys(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    commit = clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        status = await daemon.synced("web", commit)
        assert status.running is not None
        assert status.running.revision == "web-v1"
        assert status.health == "Healthy"
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}
        commit = clone.push({"web.yaml": config_map_app("web", "2")})
        await daemon.synced("web", commit)
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "2"}


async def test_a_commit_promotes_and_another_rolls_back(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        clone.push({"web.yaml": config_map_app("web", "2", gate=True)})
        status = await daemon.waiting("web")
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "1"}
        assert status.gate is not None
        clone.push({"web.yaml": config_map_app("web", "2", gate=True, annotations={status.gate.key: status.gate.continue_})}, "Approve")
        status = await daemon.synced("web")
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert status.run is not None
        assert [(item.verb, item.author, item.message) for item in status.run.decisions] == [("continue", "Author <author@example.org>", "Approve")]
        clone.push({"web.yaml": config_map_app("web", "3", gate=True)})
        status = await daemon.waiting("web", revision="web-v3")
        assert status.gate is not None
        clone.push({"web.yaml": config_map_app("web", "3", gate=True, annotations={status.gate.key: status.gate.rollback})})
        status = await daemon.synced("web")
        assert status.running is not None
        assert status.running.revision == "web-v2"
        assert (await daemon.get("ConfigMap", "web"))["data"] == {"value": "2"}
        clone.pull()
        assert 'value: "2"' in clone.read("web.yaml")


async def test_rule_3d_a_plain_application_costs_six_writes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"README.md": "nothing of ours"})
    async with running(clone) as daemon:
        await daemon.until(lambda: daemon.engine.reader.ready()[0])
        await daemon.looked()
        before = int((await daemon.cluster.list((await daemon.cluster.lookup("configmap")).served)).version)
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        await daemon.looked()
        after = int((await daemon.cluster.list((await daemon.cluster.lookup("configmap")).served)).version)
        assert after - before <= 6 + 1, "mirror, revision, run, object, run result, mirror status; and one for the source's accepted commit"
