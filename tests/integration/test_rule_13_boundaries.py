"""Rules 13d and 13f at the edge of the process: what the API answers to whom, and what lint opens."""

from __future__ import annotations

import json
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.integration.harness import Clone, config_map_app
from tests.integration.process import Process

# Ends the program at the first socket, and lists every file that is opened for reading.
WATCHED = """
import sys
opened = []
def hook(event, args):
    if event.startswith("socket."):
        raise SystemExit(f"{event} {args!r}")
    if event in ("open", "os.listdir", "os.scandir"):
        opened.append(str(args[0]))
from reconciler.cli.main import execute
sys.addaudithook(hook)
code = execute(None, sys.argv[1:])
sys.stderr.write("\\n".join(opened))
sys.exit(code)
"""


def ask(process: Process, method: str, path: str, host: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(process.url).netloc, timeout=5)
    try:
        connection.request(method, path, body, {"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_rule_13d_the_api_answers_reads_by_the_machines_own_names_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    with Process(tmp_path, clone.origin).ready() as process:
        before = process.until("web", lambda status: status["gate"], "the gate")
        port = urlsplit(process.url).port
        for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
            assert ask(process, "GET", "/v1/applications", host)[0] == 200, host
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "0.0.0.0", ""):
            status, body = ask(process, "GET", "/v1/applications", host)
            assert (status, json.loads(body)["error"]["code"]) == (421, "HostNotAllowed"), host
            assert b"web" not in body
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for path in ("/v1/applications", "/v1/applications/default/web", "/v1/objects?kind=configmap", "/metrics", "/nothing"):
                assert ask(process, method, path, "localhost", Origin="http://evil.example")[0] == 405, (method, path)
        assert ask(process, "GET", "/v1/applications", "localhost", b'{"approve": true}')[0] == 413
        assert process.status("web") == before


def lint(folder: Path, *args: str) -> tuple[int, list[dict[str, Any]], list[str]]:
    """The exit code, what it found, and every file and folder that it opened."""
    command = [sys.executable, "-c", WATCHED, "lint", str(folder), "--output", "json", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr.splitlines()


def test_rule_13f_lint_opens_no_socket_and_nothing_outside_its_path(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "bad.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: Aplication\n"})
    secret = tmp_path / "outside" / "secret.yaml"
    secret.parent.mkdir()
    secret.write_text("apiVersion: core.oam.dev/v1beta1\nkind: Application\nspec: hunter2\n")
    (clone.path / "link.yaml").symlink_to(secret)
    (clone.path / "folder").symlink_to(secret.parent)
    (clone.path / "reconciler.yaml").write_text("listen: 0.0.0.0:1\n")
    (clone.path / "sitecustomize.py").write_text("raise SystemExit('code of the working folder ran')\n")
    code, found, opened = lint(clone.path)
    assert code == 1
    assert {problem["path"] for problem in found if problem["severity"] == "error"} >= {"bad.yaml"}
    assert "hunter2" not in json.dumps(found)
    assert str(clone.path / "web.yaml") in opened
    outside = (str(secret.parent), str(clone.path / "folder"), str(clone.path / "link.yaml"))
    assert [path for path in opened if path.startswith(outside)] == []
