"""`reconciler workflow`: lists, shows, and orders with the daemon's token (RULES 7f, 13d, 13e)."""

import asyncio
import threading

import pytest

from reconciler.api.server import Server, create_app
from reconciler.cli.errors import Exit
from reconciler.model.status import CommandView, WriteBackView
from reconciler.model.workflow import NodeView
from tests.unit.api.fakes import NOW, FakeReader, waiting
from tests.unit.api.test_commands import TOKEN, FakeCommands, line, view

ORDER = ("--reason", "it looks wrong", "--author", "Ada <ada@example.org>")


@pytest.fixture
def reader():
    return FakeReader(waiting("web", "prod"))


@pytest.fixture
def commands():
    return FakeCommands()


@pytest.fixture
def url(reader, commands):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = Server(create_app(reader, lambda: b"", lambda: NOW, commands, TOKEN))
    yield asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop).result()
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("RECONCILER_TOKEN", TOKEN)
    monkeypatch.delenv("RECONCILER_TOKEN_FILE", raising=False)


@pytest.mark.parametrize("verb", ["suspend", "resume", "terminate", "restart", "retry", "rollback"])
def test_a_command_is_sent_with_token_author_and_reason_and_what_came_of_it_is_printed(ask, commands, verb):
    done = ask("workflow", verb, "web", *ORDER)
    assert (done.code, done.out) == (Exit.OK, "the sentence.\n")
    [(key, wish, seconds)] = commands.wishes
    assert (key, wish.verb, wish.author, wish.reason, wish.step, seconds) == ("prod/web", verb, "Ada <ada@example.org>", "it looks wrong", "", 30)


@pytest.mark.parametrize("verb", ["suspend", "resume", "restart", "retry"])
def test_a_step_is_named_by_its_option(ask, commands, verb):
    assert ask("workflow", verb, "web", *ORDER, "--step", "apply").code == Exit.OK
    assert commands.wishes[0][1].step == "apply"


@pytest.mark.parametrize("verb", ["terminate", "rollback"])
def test_what_is_of_the_whole_run_takes_no_step(ask, commands, verb):
    assert ask("workflow", verb, "web", *ORDER, "--step", "apply").code == Exit.USAGE
    assert commands.wishes == []


def test_the_token_of_a_file_wins_over_the_variable(ask, commands, tmp_path, monkeypatch):
    monkeypatch.setenv("RECONCILER_TOKEN", "another-token-than-that")
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    assert ask("workflow", "suspend", "web", *ORDER, "--token-file", path).code == Exit.OK
    monkeypatch.setenv("RECONCILER_TOKEN_FILE", str(path))
    assert ask("workflow", "suspend", "web", *ORDER).code == Exit.OK


@pytest.mark.parametrize("given", ["", "not-the-daemons-token"])
def test_without_the_token_a_command_is_denied_and_says_how_to_name_it(ask, commands, monkeypatch, given):
    monkeypatch.setenv("RECONCILER_TOKEN", given)
    denied = ask("workflow", "suspend", "web", *ORDER)
    assert (denied.code, commands.wishes) == (Exit.DENIED, [])
    assert "--token-file" in denied.err


def test_a_token_file_that_is_not_there_or_open_to_others_is_told(ask, tmp_path):
    missing = ask("workflow", "suspend", "web", *ORDER, "--token-file", tmp_path / "nothing")
    assert (missing.code, "nothing" in missing.err) == (Exit.USAGE, True)
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o644)
    assert "chmod 600" in ask("workflow", "suspend", "web", *ORDER, "--token-file", path).err


@pytest.mark.parametrize(
    ("result", "code"), [("Unchanged", Exit.OK), ("Refused", Exit.REFUSED), ("NotFound", Exit.NOT_FOUND), ("TimedOut", Exit.TIMED_OUT)]
)
def test_each_result_has_its_exit_code_and_its_sentence(ask, commands, result, code):
    commands.result = result
    told = ask("workflow", "terminate", "web", *ORDER)
    assert told.code == code
    assert "the sentence." in told.out + told.err


def test_a_reason_is_needed_and_not_blank(ask, commands):
    assert ask("workflow", "suspend", "web").code == Exit.USAGE
    assert ask("workflow", "suspend", "web", "--reason", "  ").code == Exit.USAGE
    assert commands.wishes == []


def test_who_orders_it_is_who_git_says_works_here(ask, commands, tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[user]\nname = Grace\nemail = grace@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    ask("workflow", "suspend", "web", "--reason", "why")
    assert commands.wishes[0][1].author == "Grace <grace@example.org>"


def test_the_answer_as_json_is_that_of_the_api(ask):
    told = ask("workflow", "retry", "web", *ORDER, "--output", "json").json()
    assert (told["verb"], told["result"], told["run"]) == ("retry", "Done", "web-v2-1")


def test_runs_are_listed_with_family_queue_phase_and_since_when(ask, reader):
    reader.lines = [line(), line("shop")]
    reader.lines[1].phase, reader.lines[1].queue = "Succeeded", "slow"
    listed = ask("workflow", "list")
    assert [word in listed.out for word in ("prod/web", "kubevela", "slow", "Waiting", "Succeeded")] == [True] * 5
    assert "prod/shop" not in ask("workflow", "list", "--open").out
    assert [run["run"] for run in ask("workflow", "list", "web", "--output", "json").json()] == ["web-v2-1"]


def test_a_run_is_drawn_with_its_states_and_who_ordered_what(ask, reader):
    steps = [NodeView("a", "a", "apply-object", "Succeeded", []), NodeView("b", "b", "suspend", "Waiting", ["a"], message="approve \x1b[31mit")]
    owed = WriteBackView("Landed", "c0ffee")
    ordered = CommandView("suspend", NOW, "Ada", "lunch", "web-v2-1", "b", owed)
    reader.graphs = {("prod/web", ""): view(steps=steps, commands=[ordered], queue="slow", suspended="holidays")}
    shown = ask("workflow", "show", "web").out
    for text in (
        "prod/web: run web-v2-1 of web-v2 (kubevela, DAG, queue slow)",
        "✔ a",
        "◆ b",
        "suspended: holidays",
        "suspend of step b by Ada: lunch (commit to git Landed)",
    ):
        assert text in shown
    assert "\x1b" not in shown, "rule 13e"
    assert ask("workflow", "show", "web", "--output", "json").json()["steps"][1]["after"] == ["a"]


def test_an_earlier_run_is_shown_by_its_name_and_one_that_is_not_there_is_not_found(ask, reader):
    reader.graphs = {("prod/web", "web-v1-1"): view(run="web-v1-1")}
    assert "web-v1-1" in ask("workflow", "show", "web", "--run", "web-v1-1").out
    assert ask("workflow", "show", "web", "--run", "web-v9-1").code == Exit.NOT_FOUND


def test_continue_is_a_commit_and_no_order(ask, commands, tmp_path):
    told = ask("workflow", "continue", "web", "--repo", tmp_path)
    assert told.code != Exit.OK
    assert "clone" in told.err
    assert commands.wishes == []
