"""Why what a run did is undone, how a person ends that, and that a crash anywhere on the way changes nothing (rules 6c, 9a)."""

from reconciler.model.application import Retry
from reconciler.model.outcome import Effect
from reconciler.model.run import Phase, Run
from tests.unit.workflow.flows import UNDONE, asked, chain, drain, failed, flow, work
from tests.unit.workflow.machines import START, SUCCEEDED, decision

# Why ----------------------------------------------------------------------------------------------------------------------


def test_a_newer_revision_has_what_was_done_undone_before_it_takes_its_place():
    driver = chain().finish("a").look(newer="web-v3")
    assert driver.run.phase is Phase.RUNNING, "what is under way comes in first"
    driver.finish()
    assert (driver.run.phase, driver.run.superseded_by) == (Phase.ROLLING_BACK, "web-v3")
    assert drain(driver).ended == (Phase.SUPERSEDED, "Superseded")
    assert driver.phases == ["RolledBack"] * 3


def test_a_newer_revision_takes_its_place_at_once_where_nothing_was_done():
    driver = flow(work("a")).fail("a").look(newer="web-v3")
    assert (driver.ended, driver.phases) == ((Phase.SUPERSEDED, "Superseded"), ["Skipped"])


def test_a_removed_application_has_what_an_open_run_did_undone():
    driver = chain().finish("a").finish().look(removed=True)
    driver = driver if driver.run.phase is Phase.ROLLING_BACK else driver.finish()
    assert drain(driver).run.phase in (Phase.TERMINATED, Phase.SUCCEEDED)


def test_a_decision_to_roll_back_undoes_the_run_owes_no_commit_and_asks_for_no_restore():
    driver = flow(work("a"), work("b", after=["a"], sleepSeconds="600")).finish("a").finish("b").look(target="web-v1")
    driver.decide(decision("rollback", gate="run"))
    assert (driver.run.phase, driver.run.undo_cause) == (Phase.ROLLING_BACK, "decision")
    assert asked(driver) == ["b"]
    assert drain(driver).ended == (Phase.ROLLED_BACK, "RolledBack")
    assert (driver.run.write_back, driver.run.restore_target) == (None, "")


def test_a_later_end_leaves_the_rest_as_it_is_once_what_is_under_way_has_come_in():
    driver = flow(work("a"), work("b", after=["a"]), work("c", after=["b"])).finish("a").finish("b")
    failed(driver, "c")
    driver.decide(decision("end", gate="run"), seconds=1)
    assert (driver.run.phase, asked(driver)) == (Phase.ROLLING_BACK, ["b"])
    driver.finish()
    assert driver.ended == (Phase.TERMINATED, "Ended")
    assert driver.phases == ["Succeeded", "RolledBack", "Failed"]


def test_an_end_ends_also_what_is_tried_again_for_ever():
    driver = failed(flow(work("a", undo_retry=Retry(limit=-1)), work("b", after=["a"])).finish("a"), "b")
    driver.fail("a").decide(decision("end", gate="run"), seconds=1)
    assert driver.ended == (Phase.TERMINATED, "Ended")


def test_a_failure_is_undone_also_where_an_end_was_decided_for_another_reason_before():
    driver = chain().finish("a").finish("c").decide(decision("rollback", gate="run"), decision("end", gate="run"))
    driver.finish("b")
    assert driver.run.phase is Phase.ROLLING_BACK, "rollback beats end"
    assert drain(driver).ended == (Phase.ROLLED_BACK, "RolledBack")


# An undo run --------------------------------------------------------------------------------------------------------------


def test_an_undo_run_undoes_what_another_run_did_and_nothing_else():
    first = flow(work("a"), work("b", after=["a"])).finish("a", value={"made": "it"}).finish("b")
    assert first.ended == SUCCEEDED
    driver = flow(work("a"), work("b", after=["a"]))
    driver.run = Run("web-v2-2", "shop/web", "web-v2", "digest", owner="uid", kind="undo", steps=first.run.steps)
    driver.ordered = []
    driver.look(admitted=False)
    assert asked(driver) == ["b"], "it waits in no queue"
    assert all("web-v2-2" in key for key in driver.keys)
    driver.finish()
    assert asked(driver) == ["a"]
    assert driver.finish().ended == (Phase.TERMINATED, "Removed")


# Crashes ------------------------------------------------------------------------------------------------------------------


def test_rule_9a_after_a_crash_at_any_look_the_same_effects_are_asked_for_under_the_same_keys():
    """Every look of a run that fails and is undone: asked again with nothing but what is stored, it answers the same."""
    driver = flow(
        work("a", sync=30.0), work("b", after=["a"]), work("c", sleepSeconds="5"), work("d", after=["b", "c"], retry=Retry(limit=1, period=2.0))
    )
    looks = 0

    def crash():
        nonlocal looks
        looks += 1
        before = (driver.run, driver.keys)
        results, driver.results = driver.results, {}
        driver.look()
        assert (driver.run, driver.keys) == before
        driver.results = results

    acts = [
        driver.finish,
        driver.finish,
        lambda: driver.look(5),
        lambda: driver.look(30),
        lambda: driver.fail("d"),
        lambda: driver.look(2),
    ]
    acts += [
        lambda: driver.finish("a"),
        lambda: driver.fail("d"),
        lambda: driver.fail("b"),
        lambda: driver.look(60),
    ]
    for act in acts:
        crash()
        act()
    crash()
    assert driver.run.phase is Phase.ROLLING_BACK
    assert drain(driver).ended == UNDONE
    assert looks == len(acts) + 1


def test_rule_9a_no_key_is_ever_given_twice_for_running_undoing_and_looking():
    driver = flow(work("a", sync=1.0, undo_retry=Retry(limit=-1, period=1.0)), work("b", after=["a"]))
    keys = [*driver.keys]
    driver.finish("a")
    for act in (
        *[lambda: driver.look(1), lambda: driver.finish("a")] * 3,
        lambda: driver.fail("b", retry="terminal"),
        *[lambda: driver.fail("a"), lambda: driver.look(1)] * 3,
    ):
        act()
        keys += [key for key in driver.keys if key not in keys]
    assert len(keys) == len(set(keys)) == 2 + 3 + 4


def test_what_a_failed_try_may_have_left_is_undone_although_its_effect_is_to_be_done_anew():
    driver = flow(work("a"), work("b"))
    driver.run.step("a").intents["run"].refs = ["v1|ConfigMap|shop|a"]
    driver.fail("a")
    assert driver.state("a").phase is Phase.PENDING
    failed(driver, "b")
    assert asked(driver) == ["a"]


def test_the_effects_of_undoing_have_the_parameters_of_the_step():
    driver = failed(flow(work("a", rollbackResult="fatal"), work("b", after=["a"])).finish("a"), "b")
    assert [order.effect for order in driver.orders] == [Effect("random", {"result": "fatal"})]
    assert driver.run.undo_since == START
