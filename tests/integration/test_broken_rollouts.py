"""A rollout that breaks, and how one gets out of it: by a rollback, or by a mended push."""

from pathlib import Path

from reconciler.model.names import GATE_PREFIX
from tests.integration.harness import Clone, Daemon, running


def stateful(image: str, *, gate: bool = False) -> str:
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: db}", "spec:", "  components:"]
    lines += ["    - name: db", "      type: statefulset", f"      properties: {{image: {image}}}"]
    lines += ["      traits: [{type: scaler, properties: {replicas: 2}}]"]
    if gate:
        lines += ["  workflow:", "    steps:", "      - {type: suspend, name: approve}"]
        lines += ["      - {type: apply-component, name: apply, properties: {component: db}}"]
    return "\n".join(lines) + "\n"


async def images(daemon: Daemon) -> list[str]:
    pods = (await daemon.cluster.list((await daemon.cluster.lookup("pod")).served, "default")).items
    return sorted(pod["spec"]["containers"][0]["image"] for pod in pods)


async def broken(daemon: Daemon) -> None:
    """Until the newest Pod of the broken template stands, and does not become ready."""
    while "db:never-ready" not in await images(daemon):
        await daemon.looked()


async def test_a_mended_push_gets_a_stuck_stateful_set_going_again(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"db.yaml": stateful("db:1")})
    async with running(clone) as daemon:
        await daemon.synced("db")
        clone.push({"db.yaml": stateful("db:never-ready")})
        await broken(daemon)
        commit = clone.push({"db.yaml": stateful("db:3")})
        await daemon.synced("db", commit)
        assert await images(daemon) == ["db:3", "db:3"]


async def test_rule_7a_a_rollback_of_a_broken_rollout_brings_all_pods_back(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"db.yaml": stateful("db:1")})
    async with running(clone) as daemon:
        await daemon.synced("db")
        text = stateful("db:never-ready")
        clone.push({"db.yaml": text})

        def stop() -> str:
            status = daemon.status("db")
            run = status.run if status is not None else None
            return run.stop.rollback if run is not None and run.revision == "db-v2" and run.stop is not None else ""

        await broken(daemon)
        line = await daemon.until(stop, "the run can be stopped")
        clone.push({"db.yaml": text.replace("{name: db}", f'{{name: db, annotations: {{{GATE_PREFIX}run: "{line}"}}}}', 1)})
        status = await daemon.synced("db")
        assert status.running is not None
        assert status.running.revision == "db-v1"
        assert status.health == "Healthy"
        assert await images(daemon) == ["db:1", "db:1"]
