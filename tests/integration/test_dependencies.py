"""Applications that depend on others: in order from one push, woken by what changes, and never silently stuck."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import Clone, Daemon, config_map_app, running
from tests.integration.sequences import phases, push, runs, taken, value

NEEDS = "reconciler.dev/depends-on"


def app(name: str, value: str = "1", needs: str = "", *, gate: bool = False, **annotations: str) -> str:
    said = ({NEEDS: needs} if needs else {}) | {key.replace("__", "/").replace("_", "."): text for key, text in annotations.items()}
    return config_map_app(name, value, gate=gate, annotations=said)


def begun(daemon: Daemon) -> list[str]:
    """Names of runs in the order in which they began."""
    return [event.fields["run"] for event in daemon.sink.events if event.kind == "run" and event.fields["from"] == ""]


def why(daemon: Daemon, name: str) -> str:
    return daemon.conditions(name).get("DependencyNotReady", "")


async def test_applications_of_one_push_are_run_in_the_order_in_which_they_depend_on_each_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"a.yaml": app("a", needs="b, default/c"), "b.yaml": app("b", needs="c"), "c.yaml": app("c")})
    async with running(clone) as daemon:
        for name in "abc":
            await daemon.synced(name)
        assert begun(daemon) == ["c-v1-1", "b-v1-1", "a-v1-1"]
        await push(daemon, clone, {"a.yaml": app("a", "2", needs="b, default/c"), "b.yaml": app("b", "2", needs="c"), "c.yaml": app("c", "2")})
        for name in "abc":
            await daemon.synced(name)
        assert begun(daemon)[3:] == ["c-v2-1", "b-v2-1", "a-v2-1"]
        assert not any(why(daemon, name) for name in "abc")


async def test_it_waits_while_another_waits_at_its_gate_and_says_so_and_goes_on_when_that_is_done(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", needs="db"), "db.yaml": app("db", gate=True)})
    async with running(clone) as daemon:
        gate = (await daemon.waiting("db")).gate
        assert gate is not None
        await daemon.looked()
        assert runs(daemon, "web") == []
        assert why(daemon, "web").startswith("NotReady: it waits for applications that it depends on: default/db waits at a gate of run db-v1-1")
        status = daemon.status("web")
        assert status is not None
        ready = next(condition for condition in status.conditions if condition.type == "Ready")
        assert (ready.reason, ready.help) == ("NotReady", "reconciler why default/db")
        clone.push({"db.yaml": app("db", gate=True, **{gate.key.replace(".", "_").replace("/", "__"): gate.continue_})})
        await daemon.synced("web")
        assert why(daemon, "web") == ""


async def test_a_run_under_way_is_not_held_up_and_one_that_has_nothing_new_never_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", needs="db"), "db.yaml": app("db")})
    async with running(clone) as daemon:
        await daemon.synced("web")
        await push(daemon, clone, {"db.yaml": app("db", "2", gate=True)})
        await daemon.waiting("db")
        assert (why(daemon, "web"), phases(daemon, "web")) == ("", ["web-v1-1 Succeeded"])
        await push(daemon, clone, {"web.yaml": app("web", "2", needs="db")})
        assert "default/db waits at a gate of run db-v2-1" in why(daemon, "web")
        assert len(runs(daemon, "web")) == 1


async def test_an_application_that_is_declared_nowhere_is_named_and_waited_for_until_it_comes(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", needs="db")})
    async with running(clone) as daemon:
        await daemon.until(lambda: why(daemon, "web"))
        assert why(daemon, "web").startswith("Missing: it waits for applications that it depends on: default/db is declared nowhere")
        await push(daemon, clone, {"db.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: db}\nspec: {}\n"})
        assert runs(daemon, "web") == []
        clone.push({"db.yaml": app("db")})
        await daemon.synced("web")


async def test_applications_that_wait_for_each_other_say_so_and_taking_one_out_frees_them(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"a.yaml": app("a", needs="b"), "b.yaml": app("b", needs="c"), "c.yaml": app("c", needs="a"), "d.yaml": app("d", needs="a")})
    async with running(clone) as daemon:
        await daemon.until(lambda: all(why(daemon, name) for name in "abcd"))
        await daemon.looked()
        assert "default/b waits for this one too: default/a → default/b → default/c → default/a" in why(daemon, "a")
        assert [why(daemon, name).partition(":")[0] for name in "abcd"] == ["Cycle", "Cycle", "Cycle", "NotReady"]
        turns = len(daemon.sink.events)
        await daemon.looked()
        assert len([event for event in daemon.sink.events[turns:] if event.kind == "application"]) == 0, "they don't wake each other"
        clone.push({"c.yaml": app("c")})
        for name in "abcd":
            await daemon.synced(name)


async def test_a_dependency_that_failed_was_rolled_back_or_is_suspended_is_told_as_that(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", needs="db"), "db.yaml": app("db", reconciler_dev__suspend="closed")})
    async with running(clone) as daemon:
        await daemon.until(lambda: "default/db is suspended" in why(daemon, "web"))
        head = clone.push({"db.yaml": app("db", gate=True, gates_reconciler_dev__approve="end")})
        await taken(daemon, head)
        clone.push({"db.yaml": app("db", gate=True)})
        gate = (await daemon.waiting("db")).gate
        assert gate is not None
        await push(daemon, clone, {"db.yaml": app("db", gate=True, gates_reconciler_dev__approve=gate.end)})
        await daemon.until(lambda: "default/db has not come through its last run (Terminated)" in why(daemon, "web"))
        assert runs(daemon, "web") == []


async def test_health_counts_and_its_change_wakes_who_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"db.yaml": workload("db", "nginx:1")})
    async with running(clone) as daemon:
        await daemon.synced("db")
        pods = (await daemon.engine.reader.objects("pods", "", ""))[0]["metadata"]
        ref = await daemon.get("Pod", pods["name"])
        assert ref["status"]["phase"] == "Running"
        daemon.engine._context.observations.health = lambda refs: ("Degraded", "")  # type: ignore[method-assign]
        await push(daemon, clone, {"web.yaml": app("web", needs="db")})
        assert "default/db is Degraded" in why(daemon, "web")
        del daemon.engine._context.observations.health
        daemon.engine._context.hint(next(key for key in daemon.engine._context.apps if key.name == "db"))
        await daemon.synced("web")


def workload(name: str, image: str) -> str:
    return f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: {name}}}
spec:
  components:
    - {{name: {name}, type: webservice, properties: {{image: "{image}"}}}}
"""


STEP = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: web}
spec:
  components:
    - name: web
      type: k8s-objects
      properties: {objects: [{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: {a: b}}]}
  workflow:
    steps:
      - {name: wait, type: depends-on-app, properties: {name: db}}
      - {name: apply, type: apply-component, properties: {component: web}}
"""


async def test_a_step_waits_in_the_middle_of_a_workflow_and_goes_on_when_the_other_is_ready(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": STEP})
    async with running(clone) as daemon:
        await daemon.until(lambda: why(daemon, "web"))
        status = daemon.status("web")
        assert status is not None
        assert status.run is not None
        assert [step.phase for step in status.run.steps] == ["Running", "Pending"]
        assert status.run.steps[0].message == "waiting for default/db, which is declared nowhere"
        assert why(daemon, "web").startswith("Missing:")
        clone.push({"db.yaml": app("db")})
        await daemon.synced("web")
        assert why(daemon, "web") == ""


async def test_a_rollback_waits_for_nobody(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": app("web", needs="db", gate=True), "db.yaml": app("db")})
    async with running(clone) as daemon:
        gate = (await daemon.waiting("web")).gate
        assert gate is not None
        await push(daemon, clone, {"web.yaml": app("web", needs="db", gate=True, gates_reconciler_dev__approve=gate.continue_)})
        await daemon.synced("web")
        await push(daemon, clone, {"web.yaml": app("web", "2", needs="db", gate=True)})
        await daemon.waiting("web", revision="web-v2")
        gone = app("web", "2", needs="db", gate=True, gates_reconciler_dev__approve="rollback")
        await push(daemon, clone, {"db.yaml": app("db", "2", gate=True), "web.yaml": gone})
        await daemon.until(lambda: "web-v2-1 RolledBack" in phases(daemon, "web"))
        assert await value(daemon, "web") == "1"
        assert why(daemon, "web") == "", "git is set back, and there is nothing to wait for"


async def test_who_waits_has_its_turn_after_a_restart(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    state = str(tmp_path / "state.db")
    clone.push({"web.yaml": app("web", needs="db"), "db.yaml": app("db", gate=True)})
    async with running(clone, state) as daemon:
        await daemon.waiting("db")
        await daemon.until(lambda: why(daemon, "web"))
    async with running(clone, state) as daemon:
        gate = (await daemon.waiting("db")).gate
        assert gate is not None
        await daemon.until(lambda: why(daemon, "web"))
        clone.push({"db.yaml": app("db", gate=True, gates_reconciler_dev__approve=gate.continue_)})
        await daemon.synced("web")


async def test_steps_that_wait_for_each_other_say_so_and_do_not_wake_each_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": STEP, "db.yaml": STEP.replace("name: db", "name: WEB").replace("web", "db").replace("WEB", "web")})
    async with running(clone) as daemon:
        await daemon.until(lambda: all(why(daemon, name).startswith("Cycle: it waits for itself: ") for name in ("web", "db")))
        assert "default/db waits for this one too: default/web → default/db → default/web" in why(daemon, "web")
        seen = len(daemon.sink.events)
        await daemon.looked()
        assert [event for event in daemon.sink.events[seen:] if event.kind == "application"] == []
        clone.push({"db.yaml": app("db")})
        await daemon.synced("web")
        await daemon.synced("db")
