"""What a person orders at a run, in a whole engine on a real repository (RULES 3d, 6a, 6c, 7f, 13e; research D2)."""

import asyncio
import threading

import pytest

from reconciler.cluster.protocol import ConflictError
from reconciler.model.command import Wish
from reconciler.model.identity import AppKey
from reconciler.source.git import GitSource
from reconciler.source.protocol import Lost, UnreadableError
from tests.integration.harness import Clone, config_map_app, running

KEY = AppKey("default", "web")
SUSPEND = "reconciler.dev/suspend"


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


async def order(daemon, verb, step="", reason="it looks wrong", author="Ada Lovelace"):
    return await daemon.engine.commands.command(KEY, Wish(verb, author, reason, step), 50)


def phase(daemon):
    return daemon.status("web").run.phase


async def at_a_second_gate(clone, daemon):
    """web-v1 runs, and the run of web-v2 waits at its gate."""
    clone.push({"web.yaml": config_map_app("web", "1")})
    await daemon.synced("web")
    clone.push({"web.yaml": config_map_app("web", "2", gate=True)})
    return await daemon.waiting("web", revision="web-v2")


async def value(daemon):
    return (await daemon.get("ConfigMap", "web"))["data"]["value"]


async def committed(clone, daemon, text):
    """The last commit, once the manifest at the branch holds that text."""

    def there():
        clone.pull()
        return text in clone.read("web.yaml")

    await daemon.until(there, f"git says {text}")
    return clone.git("log", "-1", "--format=%an|%s|%cn")


async def test_rule_7f_terminate_ends_the_run_at_once_and_git_says_the_same_later(clone):
    async with running(clone) as daemon:
        waiting = await at_a_second_gate(clone, daemon)
        done = await order(daemon, "terminate")
        assert (done.result, done.run, phase(daemon)) == ("Done", "web-v2-1", "Terminated")
        assert done.commit == f'gates.reconciler.dev/run: "{waiting.run.stop.end}"'
        told = await committed(clone, daemon, f"gates.reconciler.dev/run: {waiting.run.stop.end}")
        assert told == "Ada Lovelace|End web-v2-1 of default/web: it looks wrong|Reconciler"
        assert clone.git("diff", "HEAD~1", "--stat", "--format=").endswith("2 insertions(+)"), "annotations and the line, nothing else"
        await daemon.looked()
        status = daemon.status("web")
        assert "DecisionIgnored" not in daemon.conditions("web"), "what git says now was used already (4c)"
        [ended] = status.run.decisions
        assert (ended.verb, ended.by, ended.author, ended.message) == ("end", "order", "Ada Lovelace", "it looks wrong")
        assert await value(daemon) == "1"


async def test_rule_7f_suspend_holds_at_once_and_when_git_says_so_too_git_alone_ends_it(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        done = await order(daemon, "suspend", reason="holidays")
        assert (done.result, done.commit) == ("Done", f'{SUSPEND}: "holidays"')
        assert "ordered by Ada Lovelace" in daemon.status("web").suspended
        assert (await committed(clone, daemon, f"{SUSPEND}: holidays")).startswith("Ada Lovelace|Suspend default/web: holidays")
        await daemon.until(lambda: daemon.status("web").suspended == "holidays", "git says it")
        refused = await order(daemon, "resume")
        assert refused.result == "Refused"
        assert "reconciler resume default/web --push" in refused.message
        clone.push({"web.yaml": config_map_app("web", "2", gate=True)}, "go on")
        await daemon.until(lambda: not daemon.status("web").suspended, "resumed")
        assert (await order(daemon, "resume")).result == "Unchanged"


async def test_rule_7f_resume_before_the_commit_landed_takes_it_back_and_the_commit_is_never_made(clone):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "suspend", reason="holidays")
        await daemon.until(lambda: "CommandNotInGit" in daemon.conditions("web"), "told")
        assert daemon.conditions("web")["CommandNotInGit"].startswith("WriteBackOff: suspend was ordered by Ada Lovelace")
        assert daemon.conditions("web")["Suspended"].startswith("Ordered:")
        assert (await order(daemon, "resume")).result == "Done"
        assert daemon.status("web").suspended == ""
        assert not {"CommandNotInGit", "Suspended"} & daemon.conditions("web").keys()


async def test_a_suspended_application_takes_nothing_new_and_heals_nothing(clone):
    async with running(clone, write_back=False) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        await order(daemon, "suspend", reason="holidays")
        clone.push({"web.yaml": config_map_app("web", "2")})
        await daemon.looked()
        assert (daemon.status("web").run.id, await value(daemon)) == ("web-v1-1", "1")
        await order(daemon, "resume")
        await daemon.until(lambda: daemon.status("web").running.revision == "web-v2", "goes on")


async def test_rule_3d_what_was_ordered_holds_after_a_restart_of_the_daemon(clone, tmp_path):
    state = str(tmp_path / "state.db")
    async with running(clone, state, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "suspend", "approve", reason="lunch")
        await order(daemon, "suspend", reason="holidays")
    async with running(clone, state, write_back=False) as daemon:
        await daemon.until(lambda: daemon.status("web") and daemon.status("web").suspended, "still suspended")
        await order(daemon, "resume")
        view = await daemon.engine.reader.workflow(KEY, "")
        assert view.steps[0].suspended_at is not None
        assert [(command.verb, command.author) for command in view.commands] == [("suspend", "Ada Lovelace")]
        history = await daemon.engine.reader.history(KEY)
        assert [(command.verb, command.step) for command in history.commands] == [("suspend", "approve"), ("suspend", ""), ("resume", "")]


async def test_rule_7f_rollback_of_a_waiting_run_acts_at_once_by_the_name_of_who_ordered_it(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        assert (await order(daemon, "rollback")).result == "Done"
        await daemon.until(lambda: "Synced" in daemon.status("web").sync and daemon.status("web").running.revision == "web-v1", "back")
        assert (await committed(clone, daemon, 'value: "1"')).startswith("Ada Lovelace|Roll back web in default to web-v1")
        assert await value(daemon) == "1"


async def test_rollback_of_a_run_that_succeeded_goes_back_to_the_revision_before(clone):
    async with running(clone, write_back=False) as daemon:
        for number in ("1", "2"):
            clone.push({"web.yaml": config_map_app("web", number)})
            await daemon.until(
                lambda number=number: (
                    daemon.status("web") and daemon.status("web").running and daemon.status("web").running.revision == f"web-v{number}"
                )
            )
        assert (await order(daemon, "rollback")).result == "Done"
        await daemon.until(lambda: daemon.status("web").running.revision == "web-v1" and daemon.conditions("web").get("Rejected"), "back")
        assert await value(daemon) == "1"


async def test_rollback_without_anything_to_go_back_to_is_refused_and_nothing_is_touched(clone):
    async with running(clone) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
        await daemon.waiting("web")
        refused = await order(daemon, "rollback")
        assert (refused.result, phase(daemon)) == ("Refused", "Waiting")
        assert "no promoted revision" in refused.message


async def test_rule_6c_restart_runs_a_held_revision_once_more_as_a_new_run(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "terminate")
        await committed(clone, daemon, "end@")
        await daemon.looked()
        assert daemon.status("web").run.phase == "Terminated"
        assert (await order(daemon, "restart")).result == "Done"
        await daemon.until(lambda: daemon.status("web").run.id == "web-v2-2" and daemon.status("web").gate, "a new run at its gate")
        assert daemon.status("web").gate.revision == "web-v2"


async def test_rule_6c_restart_lifts_a_rejection_while_git_still_declares_it(clone):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "rollback")
        await daemon.until(lambda: "Rejected" in daemon.conditions("web"), "rejected")
        assert (await order(daemon, "restart")).result == "Done"
        await daemon.until(lambda: daemon.status("web").run.id == "web-v2-2" and daemon.status("web").gate, "a new run at its gate")
        assert not {"Rejected", "GitDiffers"} & daemon.conditions("web").keys()


async def test_restart_of_a_run_that_goes_on_ends_it_first(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "restart")
        await daemon.until(lambda: daemon.status("web").run.id == "web-v2-2" and daemon.status("web").gate, "a new run at its gate")
        history = await daemon.engine.reader.history(KEY)
        assert [(run.run, run.phase) for run in history.revisions[0].runs] == [("web-v2-1", "Terminated"), ("web-v2-2", "Waiting")]


async def test_restart_of_what_runs_as_git_declares_runs_it_again(clone):
    async with running(clone) as daemon:
        clone.push({"web.yaml": config_map_app("web", "1")})
        await daemon.synced("web")
        await order(daemon, "restart")
        await daemon.until(lambda: daemon.status("web").run.id == "web-v1-2" and daemon.status("web").sync == "Synced", "run again")
        await daemon.looked()
        assert daemon.status("web").run.id == "web-v1-2", "once"


async def test_rule_6c_retry_from_a_step_opens_the_same_run_again_and_settles_it_anew(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "terminate")
        done = await order(daemon, "retry", "apply")
        assert (done.result, done.run, done.step) == ("Done", "web-v2-1", "apply")
        waiting = await daemon.waiting("web")
        assert waiting.run.id == "web-v2-1"
        edited = config_map_app("web", "2", gate=True, annotations={waiting.gate.key: waiting.gate.continue_})
        clone.push({"web.yaml": edited})
        await daemon.synced("web")
        assert (daemon.status("web").running.revision, await value(daemon)) == ("web-v2", "2")


async def test_rule_6c_only_the_newest_run_of_what_git_declares_is_done_again(clone):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "terminate")
        clone.push({"web.yaml": "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: web}\nspec: {components: 7}\n"})
        await daemon.until(lambda: "ManifestInvalid" in daemon.conditions("web"), "invalid")
        for verb in ("restart", "retry"):
            refused = await order(daemon, verb)
            assert (refused.result, "has errors" in refused.message) == ("Refused", True)


async def test_terminate_works_while_git_can_not_be_read_from_the_start(clone, tmp_path, monkeypatch):
    """Research D2: terminate must work in every state."""
    state = str(tmp_path / "state.db")
    async with running(clone, state) as daemon:
        await at_a_second_gate(clone, daemon)

    def unreadable(self):
        raise UnreadableError("the disk is gone")

    monkeypatch.setattr("reconciler.source.git.GitSource.head", unreadable)
    async with running(clone, state) as daemon:
        await daemon.until(lambda: daemon.status("web"), "shown from state")
        assert (await order(daemon, "terminate")).result == "Done"
        assert phase(daemon) == "Terminated"


async def test_terminate_works_where_what_is_stored_of_the_revision_is_lost(clone, tmp_path):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        context = daemon.engine._context
        await context.store.delete_revision(KEY, context.apps[KEY].record("web-v2"))
        context.contents._cache.clear()
        assert (await order(daemon, "terminate")).result == "Done"
        assert phase(daemon) == "Terminated"


async def test_commands_for_one_application_are_taken_in_the_order_in_which_they_came(clone):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        verbs = ["suspend", "suspend", "resume", "terminate", "terminate", "restart"]
        answers = await asyncio.gather(*(order(daemon, verb) for verb in verbs))
        assert [answer.result for answer in answers] == ["Done", "Unchanged", "Done", "Done", "Unchanged", "Done"]


@pytest.mark.parametrize("verb", ["retry", "restart", "terminate", "suspend"])
async def test_rule_3d_a_command_that_meets_another_writer_is_carried_out_once_on_state_that_is_read_anew(clone, monkeypatch, verb):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        if verb in ("retry", "restart"):
            await order(daemon, "terminate")
        store = daemon.engine._context.store
        calls = []
        for name in ("save", "save_mirror"):
            monkeypatch.setattr(store, name, once_conflicting(getattr(store, name), calls))
        assert (await order(daemon, verb)).result == "Done"
        history = await daemon.engine.reader.history(KEY)
        assert [command.verb for command in history.commands].count(verb) == 1


def once_conflicting(method, calls):
    """The first call of all finds that somebody else wrote."""

    async def call(*args):
        calls.append(args)
        if len(calls) == 1:
            raise ConflictError("somebody else wrote")
        return await method(*args)

    return call


async def test_an_unknown_step_or_application_is_told_so(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        answer = await order(daemon, "suspend", "aprove")
        assert (answer.result, "did you mean approve" in answer.message) == ("NotFound", True)
        assert await daemon.engine.commands.command(AppKey("default", "nobody"), Wish("terminate", "Ada", "why"), 1) is None


async def test_rule_13e_what_a_person_says_is_one_line_in_commits_and_events_and_no_trailer(clone):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "terminate", reason="no\n\nSigned-off-by: Eve <eve@example.org>\x1b[31m", author="Eve\n<eve@example.org>")
        await committed(clone, daemon, "end@")
        message = clone.git("log", "-1", "--format=%B")
        assert message.count("\n") == 2
        assert "\x1b" not in message
        assert clone.git("log", "-1", "--format=%(trailers)") == ""
        [event] = [event for event in daemon.sink.events if event.kind == "command"]
        assert (event.fields["verb"], event.fields["result"], "\n" in event.fields["author"]) == ("terminate", "Done", False)


async def test_rule_7f_the_commit_for_a_run_is_dropped_when_git_has_moved_on_and_that_of_a_suspension_is_not(clone, monkeypatch):
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        backer = daemon.engine._reconciler._write_backer
        go_on = backer.start
        monkeypatch.setattr(backer, "start", lambda app: None)
        await order(daemon, "terminate")
        clone.push({"web.yaml": config_map_app("web", "3", gate=True)})
        await daemon.until(lambda: daemon.status("web").run.revision == "web-v3", "the newer one is taken")
        await order(daemon, "suspend", reason="holidays")
        clone.push({"web.yaml": config_map_app("web", "4", gate=True)})
        await daemon.looked()
        monkeypatch.setattr(backer, "start", go_on)
        daemon.engine._turn_now(KEY)
        await committed(clone, daemon, f"{SUSPEND}: holidays")
        assert 'value: "4"' in clone.read("web.yaml")
        assert "end@" not in clone.read("web.yaml")
        app = daemon.engine._context.apps[KEY]
        await daemon.until(lambda: {owed.state for owed in app.debts().values()} == {"Dropped", "Landed"}, "both are done with")


async def test_rule_7f_resume_waits_for_a_commit_that_is_being_pushed_and_then_git_alone_ends_it(clone, monkeypatch):
    """Otherwise a suspension that was taken back would come into git behind the person's back."""
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        pushing, go_on = threading.Event(), threading.Event()
        push = GitSource.push

        def slow(self, commit, expected):
            pushing.set()
            assert go_on.wait(10)
            return push(self, commit, expected)

        monkeypatch.setattr(GitSource, "push", slow)
        await order(daemon, "suspend", reason="holidays")
        await asyncio.to_thread(pushing.wait, 10)
        resumed = asyncio.create_task(order(daemon, "resume"))
        await asyncio.sleep(0.5)
        assert not resumed.done()
        go_on.set()
        assert (await resumed).result == "Refused"
        await committed(clone, daemon, f"{SUSPEND}: holidays")


async def test_rule_7f_resume_while_the_commit_is_only_tried_again_is_at_once(clone, monkeypatch):
    def lost(self, commit, expected):
        return Lost("Moved", "somebody was faster")

    monkeypatch.setattr(GitSource, "push", lost)
    async with running(clone) as daemon:
        await at_a_second_gate(clone, daemon)
        await order(daemon, "suspend", reason="holidays")
        app = daemon.engine._context.apps[KEY]
        await daemon.until(lambda: any(owed.attempts > 3 for owed in app.debts().values()), "tried again and again")
        assert (await order(daemon, "resume")).result == "Done"
        assert app.debts() == {}
        clone.pull()
        assert SUSPEND not in clone.read("web.yaml")


async def test_the_status_of_what_a_person_ended_names_who_and_why(clone):
    async with running(clone, write_back=False) as daemon:
        await at_a_second_gate(clone, daemon)
        done = await order(daemon, "terminate")
        assert "was ended by Ada Lovelace (it looks wrong)" in done.message
        assert daemon.status("web").run.message.startswith("ended by Ada Lovelace")
