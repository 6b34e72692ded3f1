"""`simulate` on real repositories: what it tells is what the daemon would do, and nothing else happens."""

from __future__ import annotations

import html
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from reconciler.simulation.answers import parse_answer
from reconciler.simulation.report import Application, Report
from reconciler.simulation.simulate import Request, SimulationError, simulate
from tests.integration.harness import Clone, config_map_app
from tests.integration.sequences import canary_app

EXAMPLES = Path(__file__).parents[2] / "examples" / "repo"


def run(clone: Clone, *decisions: str, **parts: Any) -> Report:
    return simulate(Request(str(clone.path), answers=tuple(map(parse_answer, decisions)), **parts))


def app_of(report: Report, name: str) -> Application:
    return next(app for app in report.applications if app.application == name)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in folder.rglob("*")}


def web(image: str, *, replicas: int = 1) -> str:
    lines = ["apiVersion: core.oam.dev/v1beta1", "kind: Application", "metadata: {name: web}", "spec:", "  components:"]
    lines += ["    - name: web", "      type: webservice", f"      properties: {{image: {image}, ports: [{{port: 80, expose: true}}]}}"]
    lines += [f"      traits: [{{type: scaler, properties: {{replicas: {replicas}}}}}]"]
    lines += ["  workflow:", "    steps:", "      - {type: apply-component, name: apply, properties: {component: web}}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Two commits of an application with a canary, the second behind a gate."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": canary_app("web", "1"), "api.yaml": config_map_app("api", "1")})
    clone.push({"web.yaml": canary_app("web", "2"), "api.yaml": config_map_app("api", "1")})
    return clone


def test_it_stops_at_the_gate_and_says_for_whom_and_what_is_behind_it(clone: Clone) -> None:
    report = run(clone)
    assert [(app.application, app.phase, app.before, app.after) for app in report.applications] == [
        ("api", "Succeeded", "", "api-v1"),
        ("web", "Waiting", "", "web-v1"),
    ]
    stopped = app_of(report, "web")
    assert [(change.object, change.change, change.applied) for change in stopped.changes] == [
        ("ConfigMap default/web-canary", "added", True),
        ("ConfigMap default/web-rest", "added", False),
    ]
    assert [(gate.step, gate.revision, gate.decision) for gate in stopped.gates] == [("approve", "web-v1", "")]
    assert stopped.gates[0].rollback.target == ""
    assert not report.failed
    assert [(row.step, row.phase) for row in report.timeline if row.application == "web" and row.step][-1] == ("approve", "Waiting")


def test_from_a_commit_only_what_the_other_changes_is_told_and_the_rollback_has_a_target(clone: Clone) -> None:
    report = run(clone, start="HEAD~1")
    assert report.unchanged == 1
    (found,) = report.applications
    assert (found.application, found.before, found.after) == ("web", "web-v1", "web-v2")
    fields = [(change.object, change.change, change.applied, change.fields) for change in found.changes]
    value = [{"path": "data.value", "from": "1", "to": "2"}]
    assert fields == [("ConfigMap default/web-canary", "changed", True, value), ("ConfigMap default/web-rest", "changed", False, value)]
    rollback = found.gates[0].rollback
    assert rollback.target == "web-v1"
    assert [(change.object, change.change, change.fields) for change in rollback.objects] == [
        ("ConfigMap default/web-canary", "changed", [{"path": "data.value", "from": "2", "to": "1"}])
    ]
    assert {row.application for row in report.timeline} == {"web"}


@pytest.mark.parametrize(
    ("verb", "phase", "applied"),
    [("continue", "Succeeded", [True, True]), ("rollback", "RolledBack", [False, False]), ("end", "Terminated", [True, False])],
)
@pytest.mark.parametrize("gate", ["approve", "web/approve", "default/web/approve"])
def test_a_gate_is_answered_each_way(clone: Clone, gate: str, verb: str, phase: str, applied: list[bool]) -> None:
    report = run(clone, f"{gate}={verb}", start="HEAD~1")
    found = app_of(report, "web")
    assert (found.phase, [change.applied for change in found.changes]) == (phase, applied)
    assert [(stop.decision, stop.by) for stop in found.gates] == [(verb, "decide")]
    assert [row.message for row in report.timeline if row.message.startswith("decided")] == [f"decided: {verb}"]
    assert not report.failed
    assert report.warnings == []


def test_a_rollback_without_a_target_fails_as_it_would(clone: Clone) -> None:
    report = run(clone, "approve=rollback")
    assert (app_of(report, "web").phase, app_of(report, "web").reason) == ("Failed", "NoRollbackTarget")
    assert report.failed


def test_a_gate_with_a_duration_opens_when_its_time_has_come(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": canary_app("web", "1", gate="{type: suspend, name: approve, properties: {duration: 48h}}")})
    report = run(clone)
    found = app_of(report, "web")
    assert (found.phase, found.gates[0].decision, found.gates[0].by) == ("Succeeded", "continue", "timer")
    assert report.timeline[-1].at == 48 * 3600
    short = run(clone, seconds=3600.0)
    assert (short.limit, short.seconds, app_of(short, "web").phase) == ("until", 3600, "Waiting")
    assert short.failed


def test_an_image_that_never_starts_fails_the_run_at_its_deadline(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web("nginx:1")})
    clone.push({"web.yaml": web("nginx:never-ready")})
    report = run(clone, start="HEAD~1")
    found = app_of(report, "web")
    assert (found.phase, found.reason, found.health) == ("Failed", "HealthTimeout", "Degraded")
    assert [(row.at, row.phase) for row in report.timeline][-1] == (600, "Failed")
    assert report.failed


def test_what_fails_before_the_commit_is_a_warning_and_nothing_more(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": web("nginx:never-ready")})
    clone.push({"web.yaml": web("nginx:2")})
    report = run(clone, start="HEAD~1")
    assert app_of(report, "web").phase == "Succeeded"
    assert len(report.warnings) == 1
    assert "default/web: Failed" in report.warnings[0]
    assert not report.failed


def test_a_removed_application_is_told_with_its_objects(clone: Clone) -> None:
    clone.push({"api.yaml": None})
    report = run(clone, start="HEAD~1")
    found = app_of(report, "api")
    assert (found.phase, found.before, found.after) == ("Removed", "api-v1", "")
    assert [(change.object, change.change) for change in found.changes] == [("ConfigMap default/api", "removed")]


def test_a_document_with_errors_fails_and_is_named_by_line(clone: Clone) -> None:
    clone.push({"api.yaml": config_map_app("api", "2").replace("k8s-objects", "nothing-known")})
    report = run(clone, start="HEAD~1")
    assert report.failed
    assert [(problem["path"], problem["severity"]) for problem in report.problems] == [("api.yaml", "error")]
    assert report.problems[0]["line"] > 0
    assert app_of(report, "api").phase == "Invalid"


def test_a_manifest_whose_text_cannot_be_edited_says_so_and_waits(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    shared = "metadata: {name: web, annotations: &both {a: b}, labels: *both}\n"
    clone.push({"web.yaml": canary_app("web", "1").replace("metadata:\n  name: web\n", shared)})
    report = run(clone, "approve=continue")
    assert app_of(report, "web").phase == "Waiting"
    assert any("cannot be edited" in warning for warning in report.warnings)


SECRET = """apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: vault}
spec:
  components:
    - name: login
      type: k8s-objects
      properties:
        objects:
          - apiVersion: v1
            kind: Secret
            metadata: {name: login}
            stringData: {password: PASSWORD, url: "https://user:PASSWORD@db.example.org"}
  workflow:
    steps:
      - {type: suspend, name: approve, properties: {message: "see https://user:hunter@db.example.org"}}
      - {type: apply-component, name: apply, properties: {component: login}}
"""


@pytest.mark.parametrize("output", ["human", "json", "markdown"])
def test_rule_12_no_secret_is_in_any_output(tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str) -> None:
    from reconciler.cli.main import execute

    clone = Clone(tmp_path)
    clone.push({"vault.yaml": SECRET.replace("PASSWORD", "hunter1")})
    clone.push({"vault.yaml": SECRET.replace("PASSWORD", "hunter2")})
    assert execute(lambda _: 0, ["simulate", str(clone.path), "--from", "HEAD~1", "--decide", "approve=continue", "-o", output]) == 0
    out = "".join(capsys.readouterr())
    assert "password" in out, "it is told that it changes"
    assert "db.example.org" in html.unescape(out), "what the gate says is told"
    assert "hunter" not in out


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    """In processes of their own, with other hashes: no order of a set, no random name, no clock of the machine shows."""
    clone = Clone(tmp_path)
    files = {f"{name}.yaml": canary_app(name, "1") for name in "abcdefgh"}
    clone.push({**files, "web.yaml": web("nginx:1", replicas=7)})
    clone.push({"web.yaml": web("nginx:never-ready", replicas=5), "a.yaml": canary_app("a", "2"), "b.yaml": canary_app("b", "2")})
    command = [sys.executable, "-m", "reconciler", "simulate", str(clone.origin), "--from", "HEAD~1", "--output", "json", "--decide", "a/approve=end"]
    found = [subprocess.run(command, capture_output=True, check=False, env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in "12"]
    assert found[0] == found[1]
    assert b'"HealthTimeout"' in found[0]


# Ends the program at the first connection; afterwards lists what was opened or run.
WATCHED = """
import sys
opened = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        raise SystemExit(f"{event} {args!r}")
    if event in ("open", "os.listdir", "os.scandir", "import"):
        opened.append(f"{event} {args[0]}")
from reconciler.cli.main import execute
sys.addaudithook(hook)
code = execute(None, sys.argv[1:])
sys.stderr.write("\\n".join(opened))
sys.exit(code)
"""


def test_rule_13f_it_connects_to_nothing_and_opens_nothing_of_the_working_folder(clone: Clone, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "reconciler.yaml").write_text("listen: 0.0.0.0:1\n")
    (here / ".env").write_text("RECONCILER_REPO=/nowhere\n")
    for module in ("sitecustomize", "yaml", "structlog", "deepdiff"):
        (here / f"{module}.py").write_text("raise SystemExit('code of the working folder ran')\n")
    command = [sys.executable, "-P", "-c", WATCHED, "simulate", str(clone.path), "--from", "HEAD~1", "--decide", "approve=continue"]
    environ = {**os.environ, "RECONCILER_CONFIG": str(here / "reconciler.yaml"), "RECONCILER_SERVER": "http://127.0.0.1:1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here, env=environ)
    assert done.returncode == 0, done.stderr
    assert "Succeeded" in done.stdout
    opened = done.stderr.splitlines()
    assert opened
    assert not {"import aiohttp", "import apscheduler", "import urllib.request", "import watchfiles"} & set(opened), "what only a daemon needs"
    assert not [line for line in opened if str(here) in line or line.startswith(("open .", "open reconciler.yaml"))]


def test_the_repository_stays_as_it_is_to_the_byte_and_no_folder_is_left(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    before = contents(clone.path), contents(clone.origin)
    for repo in (clone.path, clone.origin):
        report = simulate(Request(str(repo), start="HEAD~1", answers=(parse_answer("approve=rollback"),)))
        assert app_of(report, "web").phase == "RolledBack"
    assert (contents(clone.path), contents(clone.origin)) == before
    assert list(room.iterdir()) == []


def test_ctrl_c_ends_it_and_leaves_nothing_behind(clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    from reconciler.cli.main import execute
    from reconciler.simulation import world

    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    answer = world.World._answer

    async def interrupt(self: world.World, answers: Any) -> bool:
        assert list(room.iterdir())
        signal.raise_signal(signal.SIGINT)
        return await answer(self, answers)

    monkeypatch.setattr(world.World, "_answer", interrupt)
    assert execute(lambda _: 0, ["simulate", str(clone.path)]) == 130
    assert list(room.iterdir()) == []


def test_a_repository_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({".reconcilerignore": "x" * 2_000_000, "web.yaml": config_map_app("web", "1")})
    with pytest.raises(SimulationError, match="reconcilerignore"):
        run(clone)


def test_what_never_ends_is_ended_by_the_limit_of_its_turns(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time that stands still reaches no deadline."""
    from reconciler.engine.engine import Engine
    from reconciler.simulation import world

    work = Engine._work

    async def again(self: Engine, key: Any) -> None:
        await work(self, key)
        self._queue.add(key)

    monkeypatch.setattr(Engine, "_work", again)
    monkeypatch.setattr(world, "_TURNS", 500)
    monkeypatch.setattr(world, "_TURNS_EACH", 10)
    report = run(clone)
    assert (report.limit, report.failed) == ("turns", True)


def test_the_examples_simulate_without_an_error(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({str(path.relative_to(EXAMPLES)): path.read_text() for path in EXAMPLES.rglob("*") if path.is_file()})
    report = run(clone)
    assert not report.failed
    assert report.warnings == []
    assert {app.phase for app in report.applications} == {"Succeeded", "Waiting"}
    opened = ("approve", "rollout-promotion-3", "suspend-2", "one-pod", "watch-one-pod", "half-of-them", "watch-half")
    everything = run(clone, *(f"{gate}=continue" for gate in opened))
    assert {app.phase for app in everything.applications} == {"Succeeded"}


def test_a_shallow_clone_of_a_pull_request_can_be_simulated(clone: Clone, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{clone.origin}", str(tmp_path / "shallow")], check=True)
    report = simulate(Request(str(tmp_path / "shallow"), answers=(parse_answer("approve=continue"),)))
    assert app_of(report, "web").phase == "Succeeded"


def test_a_folder_alone_and_a_cluster_scoped_kind_are_as_for_run(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    role = config_map_app("role", "1").replace("kind: ConfigMap", "kind: Namespace").replace('            data: {value: "1"}\n', "")
    clone.push({"a/role.yaml": role, "b/web.yaml": config_map_app("web", "1")})
    assert [app.application for app in run(clone, paths=("b",)).applications] == ["web"]
    assert app_of(run(clone), "role").reason == "NotAllowed"
    assert app_of(run(clone, cluster_scoped=("Namespace",)), "role").phase == "Succeeded"


def test_rule_10_four_times_the_applications_cost_at_most_five_times_the_calls(tmp_path: Path) -> None:
    """Counts of calls, because a busy machine does not change them."""

    def cost(count: int) -> int:
        (tmp_path / str(count)).mkdir()
        clone = Clone(tmp_path / str(count))
        clone.push({f"{number:03}.yaml": canary_app(f"app-{number:03}", "1") for number in range(count)})
        calls = [0]

        def note(_frame: FrameType, event: str, _argument: object) -> None:
            calls[0] += event in ("call", "c_call")

        sys.setprofile(note)
        try:
            report = run(clone, "approve=continue")
        finally:
            sys.setprofile(None)
        assert {app.phase for app in report.applications} == {"Succeeded"}
        return calls[0]

    cost(1)  # imports and caches
    assert cost(80) <= 5 * cost(20)


def test_the_answer_holds_no_code_or_uid_of_the_simulation(clone: Clone) -> None:
    text = msgspec.json.encode(run(clone, start="HEAD~1")).decode()
    assert "@" not in text


def depending(name: str, needs: str, **more: bool) -> str:
    return config_map_app(name, "1", annotations={"reconciler.dev/depends-on": needs}, **more)


def test_what_waits_for_another_application_is_held_and_goes_on_behind_it(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": depending("web", "db"), "db.yaml": config_map_app("db", "1", gate=True)})
    held = {app.application: app for app in run(clone).applications}
    assert (held["web"].phase, held["web"].after, held["web"].failed) == ("Held", "web-v1", False)
    assert "default/db waits at a gate of run db-v1-1" in held["web"].message
    assert [(change.object, change.applied) for change in held["web"].changes] == [("ConfigMap default/web", False)]
    assert {app.phase for app in run(clone, "approve=continue").applications} == {"Succeeded"}


def test_what_can_never_go_on_fails_the_simulation(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": depending("web", "db, gone"), "db.yaml": config_map_app("db", "1")})
    report = run(clone)
    web = next(app for app in report.applications if app.application == "web")
    assert (web.phase, web.reason, report.failed) == ("Held", "Missing", True)
    assert "default/gone is declared nowhere" in web.message
