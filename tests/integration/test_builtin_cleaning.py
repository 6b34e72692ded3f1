"""`clean-jobs` and `delete-config`: what this application made goes and is not healed, and nothing else (rules 1c, 7g)."""

from pathlib import Path

from reconciler.cluster.protocol import NotFoundError
from tests.integration.builtins import ended, stands, step_of, workflow
from tests.integration.harness import Clone, Daemon, running, virtual


def job(name: str, colour: str) -> str:
    meta = f"{{name: {name}, labels: {{colour: {colour}}}}}"
    spec = "{template: {spec: {restartPolicy: Never, containers: [{name: m, image: m}]}}}"
    return f"{{name: {name}, type: apply-job, properties: {{value: {{apiVersion: batch/v1, kind: Job, metadata: {meta}, spec: {spec}}}}}}}"


async def jobs(daemon: Daemon) -> set[str]:
    listed = await daemon.cluster.list((await daemon.cluster.lookup("job")).served, "default")
    return {item["metadata"]["name"] for item in listed.items if not item["metadata"].get("deletionTimestamp")}


@virtual
async def test_jobs_with_the_labels_go_those_of_others_stay_and_nothing_is_healed(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "m"}]}}}
        meta = {"name": "foreign", "namespace": "default", "labels": {"colour": "green"}}
        await daemon.cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})
        clean = "{name: clean, type: clean-jobs, properties: {labelselector: {colour: green}}}"
        clone.push({"flow.yaml": workflow(job("one", "green"), job("two", "blue"), clean)})
        daemon.engine.look()
        run = await ended(daemon)
        assert set(stands(run).values()) == {"Succeeded"}, stands(run)
        assert step_of(run, "clean").message == "deleted Job default/one"
        await daemon.until(daemon.idle, "idle")
        assert await jobs(daemon) == {"foreign", "two"}
    async with running(clone, state) as daemon:  # also not by who reads the state anew
        await daemon.synced("flow")
        await daemon.looked()
        await daemon.until(daemon.idle, "idle")
        assert await jobs(daemon) == {"foreign", "two"}
        clone.push({"flow.yaml": workflow(job("one", "green"), job("two", "blue"))})
        daemon.engine.look()
        await daemon.until(lambda: daemon.status("flow").run.revision == "flow-v2", "the new revision")  # type: ignore[union-attr]
        await daemon.synced("flow")
        assert await jobs(daemon) == {"foreign", "one", "two"}


@virtual
async def test_a_config_goes_and_one_of_others_does_not(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    async with running(clone) as daemon:
        meta = {"name": "theirs", "namespace": "default", "labels": {"config.oam.dev/catalog": "velacore-config"}}
        await daemon.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"input-properties": "{}"}})
        steps = [
            "{name: make, type: create-config, properties: {name: mine, config: {a: 1}}}",
            "{name: drop, type: delete-config, properties: {name: mine}}",
            "{name: again, type: delete-config, properties: {name: mine}}",
            "{name: steal, type: delete-config, properties: {name: theirs}}",
        ]
        clone.push({"flow.yaml": workflow(*steps)})
        daemon.engine.look()
        run = await ended(daemon)
        assert [step.phase.value for step in run.steps] == ["Succeeded", "Succeeded", "Succeeded", "Failed"]
        assert (step_of(run, "again").message, step_of(run, "steal").reason) == ("nothing was there to delete", "NotOurs")
        assert await daemon.get("ConfigMap", "theirs")
        try:
            await daemon.get("ConfigMap", "mine")
        except NotFoundError:
            return
        raise AssertionError("it is still there")
