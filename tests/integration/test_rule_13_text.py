"""Rule 13e through the daemon as a process: whatever git says, people see one line with control characters escaped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import ENVIRONMENT, Clone
from tests.integration.process import Process

EVIL = "ok\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2066 \x9b31m\u200b end"
GATE = "gates.reconciler.dev/approve"


def app(value: str, **annotations: str) -> str:
    """An application whose every free text is hostile; JSON, which YAML reads, can say any character."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"value": value}}
    steps: list[dict[str, Any]] = [
        {"type": "print-message-in-status", "name": "tell", "properties": {"message": f"{EVIL}\nSigned-off-by: Eve"}},
        {"type": "suspend", "name": "approve", "properties": {"message": f"{EVIL}\nReady: True"}},
        {"type": "apply-component", "name": "apply", "properties": {"component": "c"}},
    ]
    spec = {"components": [{"name": "c", "type": "k8s-objects", "properties": {"objects": [obj]}}], "workflow": {"steps": steps}}
    metadata = {
        "name": "web",
        "labels": {"note": "x"},
        "annotations": {"note": f"{EVIL}\n", **{k.replace("__", "/"): v for k, v in annotations.items()}},
    }
    return json.dumps({"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata, "spec": spec}, indent=1)


def hostile(text: str) -> list[str]:
    """The characters in it that may not reach a person."""
    return [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def texts(value: Any) -> list[str]:
    """Every text in a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in texts(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


class Evil(Clone):
    """A clone whose author and messages are hostile."""

    def push_evil(self, files: dict[str, str | None]) -> None:
        for name, content in files.items():
            (self.path / name).write_text(content or "")
        self.git("add", "-A")
        environ = {**ENVIRONMENT, "GIT_AUTHOR_NAME": f"Eve {EVIL}", "GIT_AUTHOR_EMAIL": "e\x1b[1m@x"}
        message = f"{EVIL}\nSubject\u2028line\n\nApproved-by: root\n"
        command = ["git", "-C", str(self.path), "commit", "-q", "--cleanup=verbatim", "-m", message]
        subprocess.run(command, check=True, env=environ)
        self.git("push", "-q", "origin", "main")


def run_cli(process: Process, *args: str) -> str:
    command = [sys.executable, "-m", "reconciler", *args, "--server", process.url]
    done = subprocess.run(command, capture_output=True, check=False, text=True, env={**os.environ, "COLUMNS": "200"})
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("style", ["human", "json"])
def test_rule_13e_hostile_authors_messages_and_manifests_stay_on_one_line_in_status_logs_and_commits(tmp_path: Path, style: str) -> None:
    clone = Evil(tmp_path)
    clone.push_evil({"web.yaml": app("1")})
    with Process(tmp_path, clone.origin, "--log-format", style, "--log-level", "debug").ready() as process:
        gate = process.until("web", lambda status: status["gate"], "the gate")["gate"]
        shown = run_cli(process, "status") + run_cli(process, "why", "web") + run_cli(process, "status", "web")
        clone.push_evil({"web.yaml": app("1", **{gate["key"]: gate["continue"]})})
        status = process.until("web", lambda status: status["sync"] == "Synced", "promoted")
        [decision] = status["run"]["decisions"]
        assert decision["author"].startswith("Eve ok")
        clone.push_evil({"web.yaml": app("2")})
        gate = process.until("web", lambda status: status["gate"] and status["gate"]["revision"] == "web-v2", "the second gate")["gate"]
        clone.push_evil({"web.yaml": app("2", **{gate["key"]: gate["rollback"]})})
        status = process.until("web", lambda status: status["sync"] == "Synced", "back")
        shown += run_cli(process, "status") + run_cli(process, "why", "web") + run_cli(process, "status", "web")
        assert hostile(shown) == []
        assert "Signed-off-by" not in [line.strip().partition(":")[0] for line in shown.splitlines()]
        for text in texts([status["run"], status["conditions"], status["gates"], process.ask("/v1/problems")]):
            assert text.isprintable() or "\n" not in text, text
            assert hostile(text) == []
    assert hostile(process.said) == []
    if style == "json":
        told = [line for line in process.said.split("\n") if line and not line.startswith(("reconciler: ", "state: ", "token: ", "read API"))]
        assert told
        assert all(line.startswith("{") and json.loads(line) for line in told), f"one event is one line: {told}"
    clone.git("fetch", "-q")
    written = clone.git("log", "-1", "--format=%an%n%B%n%(trailers)", "origin/main")
    assert written.splitlines()[0] == "Reconciler"
    assert hostile(written) == []
    assert "Eve" not in written
