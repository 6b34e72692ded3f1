"""Commands against a daemon as a process of its own: its token file, its refusals, and a whole round by the command line (RULES 7f, 13d)."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.integration.harness import Clone, config_map_app
from tests.integration.process import Process

PLACE = "/v1/applications/default/web/workflow"


@pytest.fixture
def clone(tmp_path):
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    return clone


def post(daemon, verb, headers):
    """Status and body of what the daemon answers."""
    body = json.dumps({"author": "Ada", "reason": "why", "timeout": 10}).encode()
    request = Request(f"{daemon.url}{PLACE}/{verb}", data=body, headers={"Content-Type": "application/json", **headers}, method="POST")
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def order(daemon, token, *words):
    """The command line in a process of its own; answers its exit code and all that it said."""
    command = [sys.executable, "-m", "reconciler", "workflow", *words, "--server", daemon.url]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RECONCILER_", "GIT_"))} | {
        "RECONCILER_TOKEN_FILE": str(token)
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=50)
    return done.returncode, done.stdout + done.stderr


def test_rule_13d_a_daemon_makes_its_token_for_its_owner_alone_and_takes_commands_only_with_it(clone, tmp_path):
    with Process(tmp_path, clone.origin, "--state", tmp_path / "state.db").ready() as daemon:
        daemon.until("web", lambda status: status["gate"], "at its gate")
        token = tmp_path / "state.db.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert f"token: {token}" in daemon.said
        secret = token.read_text().strip()
        assert post(daemon, "terminate", {})[0] == 401
        assert post(daemon, "terminate", {"Authorization": "Bearer wrong"})[0] == 403
        foreign = post(daemon, "terminate", {"Authorization": f"Bearer {secret}", "Origin": "http://evil.example.com"})
        assert (foreign[0], foreign[1]["error"]["code"]) == (403, "OriginNotAllowed")
        assert daemon.status("web")["run"]["phase"] == "Waiting", "nothing of that was taken"
        status, answer = post(daemon, "terminate", {"Authorization": f"Bearer {secret}"})
        assert (status, answer["result"]) == (200, "Done")
        daemon.until("web", lambda status: status["run"]["phase"] == "Terminated", "ended")
        assert secret not in daemon.said, "a token is never logged"


def test_a_token_that_others_may_read_starts_no_daemon(clone, tmp_path):
    token = tmp_path / "token"
    token.write_text("a-token-that-nobody-guesses\n")
    token.chmod(0o644)
    with Process(tmp_path, clone.origin, "--state", tmp_path / "state.db", "--token-file", token) as daemon:
        assert daemon.ended() == 1
        assert "chmod 600" in daemon.said
        assert "a-token-that-nobody-guesses" not in daemon.said


def test_a_person_suspends_resumes_ends_and_repeats_a_run_from_the_command_line(clone, tmp_path):
    token: Path = tmp_path / "state.db.token"
    who = ("--author", "Ada Lovelace", "--reason", "it looks wrong")
    with Process(tmp_path, clone.origin, "--state", tmp_path / "state.db", "--write-back", "off").ready() as daemon:
        daemon.until("web", lambda status: status["gate"], "at its gate")
        code, said = order(daemon, token, "suspend", "web", *who, "--step", "approve")
        assert (code, "step approve of web-v1-1 stands still" in said) == (0, True)
        code, shown = order(daemon, token, "show", "web")
        assert (code, "‖ approve" in shown, "suspend of step approve by Ada Lovelace: it looks wrong" in shown) == (0, True, True)
        assert order(daemon, token, "resume", "web", *who)[0] == 0
        assert order(daemon, token, "terminate", "web", *who)[0] == 0
        daemon.until("web", lambda status: status["run"]["phase"] == "Terminated", "ended")
        code, said = order(daemon, token, "resume", "web", *who, "--step", "approve")
        assert (code, "has no run that goes on" in said) == (1, True)
        assert order(daemon, token, "restart", "web", *who)[0] == 0
        daemon.until("web", lambda status: status["run"]["id"] == "web-v1-2" and status["gate"], "a new run at its gate")
        code, listed = order(daemon, token, "list")
        assert (code, "web-v1-2" in listed, "web-v1-1" in listed) == (0, True, True)
        metrics = urlopen(f"{daemon.url}/metrics", timeout=5).read().decode()
        assert 'reconciler_commands_total{result="Done",verb="terminate"} 1.0' in metrics
        assert 'reconciler_commands_total{result="Refused",verb="resume"} 1.0' in metrics
