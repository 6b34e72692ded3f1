"""KubeVela's workflow from a push to its end: groups with gates, timeouts, what runs after a failure, and Workflows that are referred to."""

from pathlib import Path

from reconciler.model.status import ApplicationStatus
from reconciler.workflow.explain import explain
from tests.integration.harness import Clone, Daemon, running, virtual

STEPS = """\
    - name: prepare
      type: step-group
      subSteps:
      - {name: verify, type: suspend, timeout: 10m, properties: {message: "is it well?"}}
      - {name: first, type: apply-component, properties: {component: first}}
    - {name: second, type: apply-component, properties: {component: second}}
    - {name: tell, type: print-message-in-status, if: status.verify.timeout, properties: {message: nobody came}}
    - name: clean
      type: apply-object
      if: always
      properties: {value: {apiVersion: v1, kind: ConfigMap, metadata: {name: clean}}}
"""


def release(steps: str = STEPS, decision: str = "", workflow: str = "") -> str:
    objects = "".join(
        f"  - {{name: {name}, type: k8s-objects, properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}]}}}}\n"
        for name in ("first", "second")
    )
    annotations = f', annotations: {{gates.reconciler.dev/prepare.verify: "{decision}"}}' if decision else ""
    text = f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: release{annotations}}}\nspec:\n  components:\n{objects}"
    return text + (workflow or f"  workflow:\n    steps:\n{steps}")


def stands(daemon: Daemon, name: str = "release") -> dict[str, str]:
    status = daemon.status(name)
    assert status is not None
    assert status.run is not None
    return {step.name: step.phase for step in status.run.steps}


async def ended(daemon: Daemon, name: str = "release", revision: str = "") -> ApplicationStatus:
    def done() -> ApplicationStatus | None:
        status = daemon.status(name)
        over = (
            status is not None and status.run is not None and status.run.finished_at is not None and not daemon.engine._context.apps[status.key].tasks
        )
        return status if over and status is not None and status.run is not None and revision in ("", status.run.revision) else None

    found: ApplicationStatus = await daemon.until(done, f"{name} ended")
    return found


async def is_there(daemon: Daemon, name: str) -> bool:
    return name in {
        item["metadata"]["name"] for item in (await daemon.cluster.list((await daemon.cluster.lookup("configmap")).served, "default")).items
    }


@virtual
async def test_a_gate_in_a_group_opens_by_its_own_key_and_the_group_is_told_in_kubevelas_words(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"release.yaml": release()})
    async with running(clone) as daemon:
        status = await daemon.waiting("release")
        assert status.gate is not None
        assert (status.gate.step, status.gate.key, status.gate.message) == ("verify", "gates.reconciler.dev/prepare.verify", "is it well?")
        assert status.gate.deadline is not None
        assert "without one it fails at" in explain(status, daemon.engine._context.clock.now()).sentence
        await daemon.until(lambda: stands(daemon)["first"] == "Succeeded", "the other step of the group")
        assert stands(daemon) == {
            "prepare": "Waiting",
            "verify": "Waiting",
            "first": "Succeeded",
            "second": "Pending",
            "tell": "Pending",
            "clean": "Pending",
        }
        clone.push({"release.yaml": release(decision=status.gate.continue_)})
        status = await daemon.synced("release")
        assert stands(daemon) == {name: "Skipped" if name == "tell" else "Succeeded" for name in stands(daemon)}
        assert status.run is not None
        family = status.run.family
        assert (family["mode"], family["status"], family["finished"], family["terminated"]) == ("StepByStep-DAG", "succeeded", True, False)
        assert [step["name"] for step in family["steps"]] == ["prepare", "second", "tell", "clean"]
        group, told = family["steps"][0], family["steps"][2]
        assert [(step["name"], step["phase"]) for step in group["subSteps"]] == [("verify", "succeeded"), ("first", "succeeded")]
        assert (told["phase"], told["reason"]) == ("skipped", "Skip")
        assert len({group["id"], told["id"]}) == 2


@virtual
async def test_rule_9c_a_timeout_ends_a_gate_and_what_always_runs_cleans_up_also_after_a_restart(tmp_path: Path) -> None:
    clone, state = Clone(tmp_path), str(tmp_path / "state.db")
    clone.push({"release.yaml": release()})
    async with running(clone, state) as daemon:
        status = await daemon.waiting("release")
        assert status.gate is not None
        deadline = status.gate.deadline
    async with running(clone, state) as daemon:
        status = await daemon.waiting("release")
        assert status.gate is not None
        assert status.gate.deadline == deadline
        status = await ended(daemon)
        assert stands(daemon) == {
            "prepare": "Failed",
            "verify": "Failed",
            "first": "Succeeded",
            "second": "Skipped",
            "tell": "Succeeded",
            "clean": "Succeeded",
        }
        assert status.run is not None
        assert (status.run.phase, status.run.reason, status.running) == ("Failed", "StepTimeout", None)
        assert deadline is not None
        assert status.run.finished_at is not None
        assert 0 <= (status.run.finished_at - deadline).total_seconds() < 60
        assert (await is_there(daemon, "clean"), await is_there(daemon, "second")) == (True, False)
        assert "step verify: not done within 10m" in explain(status, daemon.engine._context.clock.now()).sentence


@virtual
async def test_what_failed_is_cleaned_up_after_and_stays_as_it_is(tmp_path: Path) -> None:
    bad = "    - {name: bad, type: apply-object, properties: {value: {apiVersion: v1, kind: Node, metadata: {name: node}}}}\n"
    clone = Clone(tmp_path)
    clone.push({"release.yaml": release(bad + STEPS)})
    async with running(clone) as daemon:
        status = await ended(daemon)
        assert stands(daemon) == {
            **dict.fromkeys(("prepare", "verify", "first", "second", "tell"), "Skipped"),
            "bad": "Failed",
            "clean": "Succeeded",
        }
        assert status.run is not None
        assert (status.run.phase, status.run.reason) == ("Failed", "NotAllowed")
        assert await is_there(daemon, "clean")


@virtual
async def test_rule_4g_a_gate_that_gains_a_condition_needs_the_approval_of_that(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"release.yaml": release()})
    async with running(clone) as daemon:
        status = await daemon.waiting("release")
        assert status.gate is not None
        clone.push({"release.yaml": release(decision=status.gate.continue_)})
        await daemon.synced("release")
        clone.push({"release.yaml": release(STEPS.replace("timeout: 10m", "timeout: 10m, if: status.first.failed"))})
        status = await daemon.waiting("release", revision="release-v2")
        assert status.gate is not None
        assert status.gate.step == "workflow-changed"


FLOW = """\
apiVersion: core.oam.dev/v1alpha1
kind: Workflow
metadata: {name: canary}
steps:
- {name: say, type: print-message-in-status, properties: {message: one}}
- {name: verify, type: suspend}
- {name: note, type: apply-object, properties: {value: {apiVersion: v1, kind: ConfigMap, metadata: {name: note}, data: {text: one}}}}
"""
RUN = "apiVersion: core.oam.dev/v1alpha1\nkind: WorkflowRun\nmetadata: {name: job%s}\nspec: {workflowRef: canary, context: {colour: green}}\n"


@virtual
async def test_a_workflow_run_runs_the_workflow_that_it_refers_to_and_a_change_of_that_is_a_new_revision(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"jobs/job.yaml": RUN % "", "workflows/canary.yaml": FLOW})
    async with running(clone) as daemon:
        status = await daemon.waiting("job")
        assert status.gate is not None
        annotations = f', annotations: {{{status.gate.key}: "{status.gate.continue_}"}}'
        clone.push({"jobs/job.yaml": RUN % annotations})
        await daemon.synced("job")
        assert (await daemon.get("ConfigMap", "note"))["data"] == {"text": "one"}
        clone.push({"jobs/job.yaml": RUN % annotations, "workflows/canary.yaml": FLOW.replace("text: one", "text: two")})
        status = await daemon.waiting("job", revision="job-v2")
        assert status.gate is not None
        clone.push({"jobs/job.yaml": RUN % f', annotations: {{{status.gate.key}: "{status.gate.rollback}"}}'})
        status = await daemon.synced("job")
        assert status.running is not None
        assert status.running.revision == "job-v1"
        clone.pull()
        assert clone.read("workflows/canary.yaml") == FLOW
