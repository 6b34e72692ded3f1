"""Plug-ins as their authors and operators meet them: a package that is installed, and a daemon that is told its name."""

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.integration.harness import Clone
from tests.integration.process import Process

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example is installed, by pip and from its sources alone."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(TOP / "examples" / "plugin", folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(folder / "source")], check=True, cwd=folder, timeout=50)
    return folder / "site"


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package), str(TOP)]))


@pytest.mark.usefixtures("installed")
def test_the_tests_of_the_example_pass_with_the_package_as_it_is_installed(tmp_path: Path) -> None:
    shutil.copy(TOP / "examples" / "plugin" / "test_change_ticket.py", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_the_documentation_is_the_package() -> None:
    page = (TOP / "docs" / "plugins.md").read_text()
    blocks = [block.partition("\n")[2] for block in page.split("```")[1::2] if block.startswith("python")]
    sources = (TOP / "examples" / "plugin" / "change_ticket.py").read_text() + (TOP / "examples" / "plugin" / "test_change_ticket.py").read_text()
    assert len(blocks) >= 2
    for block in blocks:
        for part in block.strip().split("\n...\n"):
            assert part.strip("\n") in sources, part


class Approved(BaseHTTPRequestHandler):
    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.keys.append(self.headers.get("Idempotency-Key"))
        data = b'{"id": "7", "state": "approved"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Nothing is to be said."""


def manifest(url: str) -> str:
    return f"""\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{name: shop}}
spec:
  components:
    - name: settings
      type: k8s-objects
      properties: {{objects: [{{apiVersion: v1, kind: ConfigMap, metadata: {{name: shop}}}}]}}
  workflow:
    steps:
      - {{name: ticket, type: change-ticket, properties: {{url: "{url}", title: Deploy the shop}}}}
      - {{name: deploy, type: deploy}}
"""


@pytest.mark.usefixtures("installed")
def test_rule_13f_the_daemon_runs_the_plug_in_that_it_is_told_to_and_only_then(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Approved)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        clone.push({"shop.yaml": manifest(f"http://127.0.0.1:{server.server_port}")})
        state = tmp_path / "state.db"
        with Process(tmp_path, clone.origin, "--state", state) as daemon:
            daemon.ready()
            problems = daemon.wait_for(lambda: daemon.ask("/v1/problems"), "the manifest is refused")
            assert "unknown step type change-ticket" in str(problems)
            assert Approved.keys == []
        with Process(tmp_path, clone.origin, "--state", state, "--step-plugin", "change-ticket") as daemon:
            daemon.ready().until("shop", lambda app: app["sync"] == "Synced", "it runs")
            [step] = [step for step in daemon.status("shop")["run"]["steps"] if step["name"] == "ticket"]
            assert step["message"] == "ticket 7 is approved"
            metrics = daemon.text("/metrics")
            assert 'reconciler_steps_total{phase="Succeeded",type="change-ticket"} 1.0' in metrics
        [key] = Approved.keys
        assert key is not None
        assert key.endswith("/shop-v1-1/0/ticket/run")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "said"), [("change-tikcet", "did you mean change-ticket?"), ("suspend", "built in")])
def test_rule_13f_a_plug_in_that_can_not_be_had_is_an_error_at_the_start(tmp_path: Path, name: str, said: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"README.md": "nothing"})
    with Process(tmp_path, clone.origin, "--step-plugin", name) as daemon:
        assert daemon.ended() == 2
        assert f"step plug-in {name}" in daemon.said
        assert said in daemon.said
        assert "Traceback" not in daemon.said
