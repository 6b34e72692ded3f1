"""Metrics: valid text, bounded, gone with the application, made at change."""

from datetime import timedelta
from typing import get_args, get_type_hints

import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from reconciler.model.event import KINDS, Event
from reconciler.model.identity import AppKey
from reconciler.observe import series
from reconciler.observe.metrics import MOST_WORDS, Fanout, Metrics
from reconciler.observe.series import MOST_SERIES
from reconciler.observe.words import KNOWN, LOOKS, WRITE_BACKS
from reconciler.source.protocol import Lost, SourceError
from tests.unit.api.fakes import NOW, SINCE, application, condition, gate, run, step, waiting


class Clock:
    now = NOW


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def metrics(clock):
    return Metrics(lambda: clock.now)


def show(metrics, *statuses):
    for status in statuses:
        metrics.emit(Event("application", status.key, {"status": status}))


def samples(metrics):
    """Every sample by (name, labels), after a check that the text is what the format demands."""
    text = metrics.render().decode()
    found = {}
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "the lines of a metric must stand together"
    for family in families:
        assert family.documentation
        assert family.type != "unknown"
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, "a series must be there once"
            found[key] = sample.value
    return found


def value(metrics, name, /, **labels):
    return samples(metrics).get((name, *sorted(labels.items())))


WEB = {"namespace": "default", "name": "web"}


def of(metrics, key):
    return [sample for sample in samples(metrics) if ("namespace", key.namespace) in sample and ("name", key.name) in sample]


def counters(metrics):
    return [collector for collector in metrics.registry._collector_to_names if isinstance(collector, Counter)]


def worst():
    """An application in which everything is at once."""
    back = run("Waiting", [step("apply")], kind="restore", started_at=SINCE)
    kinds = ["Stalled", "Rejected", "RemovalInDoubt", "StateLost", "GitDiffers", "ManifestInvalid", "DriftFought"]
    gates = [gate(f"gate-{number}") for number in range(9)]
    return waiting(gates=gates, conditions=[condition(kind, "Internal") for kind in kinds], suspended="x", since=SINCE, run=back)


def test_an_application_says_where_it_stands(metrics):
    show(metrics, waiting(since=SINCE))
    info = {"environment": "dev", "revision": "web-v1", "sync": "OutOfSync", "health": "Healthy"}
    assert value(metrics, "reconciler_application_info", **WEB, **info) == 1
    assert value(metrics, "reconciler_application_run_phase", **WEB, kind="deploy", phase="Waiting") == 1
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step="approve") == 9000
    assert value(metrics, "reconciler_revision_lag_seconds", **WEB) == 9000
    assert value(metrics, "reconciler_application_rollout_progress_ratio", **WEB) == 0.5
    assert value(metrics, "reconciler_application_suspended", **WEB) == 0


def test_seconds_grow_without_a_change_and_never_below_zero(metrics, clock):
    show(metrics, waiting(since=SINCE))
    clock.now = NOW + timedelta(minutes=1)
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step="approve") == 9060
    clock.now = SINCE - timedelta(hours=1)
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step="approve") == 0


def test_a_change_takes_the_place_of_what_was_there(metrics):
    show(metrics, worst(), application(run=run("Succeeded", [step(phase="Succeeded")])))
    assert value(metrics, "reconciler_revision_lag_seconds", **WEB) == 0
    assert value(metrics, "reconciler_application_run_phase", **WEB, kind="deploy", phase="Succeeded") == 1
    assert value(metrics, "reconciler_application_rollout_progress_ratio", **WEB) == 1
    assert len(of(metrics, AppKey("default", "web"))) == 5


def test_an_application_has_at_most_twelve_series_however_bad_it_stands(metrics):
    show(metrics, worst())
    assert len(of(metrics, AppKey("default", "web"))) == MOST_SERIES == 12


def test_the_most_urgent_conditions_are_those_that_are_shown(metrics):
    show(metrics, worst())
    shown = {kind for kind in series.ATTENTION if value(metrics, "reconciler_application_condition", **WEB, type=kind)}
    assert shown == {"StateLost", "RemovalInDoubt", "Stalled"}


def test_the_series_go_with_the_application(metrics):
    before = samples(metrics).keys()
    show(metrics, worst(), application("shop"))
    metrics.emit(Event("application-gone", AppKey("default", "web")))
    assert of(metrics, AppKey("default", "web")) == []
    assert of(metrics, AppKey("default", "shop")) != []
    metrics.emit(Event("application-gone", AppKey("default", "shop")))
    assert samples(metrics).keys() == before


def test_a_scrape_formats_nothing_of_applications_that_did_not_change(metrics, monkeypatch):
    show(metrics, *(application(f"app-{number}") for number in range(200)))
    made = []
    monkeypatch.setattr(series, "_series", lambda *arguments: made.append(arguments))
    monkeypatch.setattr(series, "_line", lambda *arguments: made.append(arguments))
    assert metrics.render().count(b"reconciler_application_info{") == 200
    assert made == []


def test_rule_13e_no_manifest_writes_series_of_its_own(metrics):
    show(metrics, application(environment='x"} 1\nreconciler_forged{a="b\\', gates=[gate('a"b\\c\nd\ud800')]))
    found = samples(metrics)
    assert not [sample for sample in found if sample[0] == "reconciler_forged"]
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step='a"b\\c\\nd\\ud800') == 9000


def test_a_restore_says_when_until_something_newer_runs(metrics):
    show(metrics, application(run=run("Succeeded", [], kind="restore", started_at=SINCE)))
    assert value(metrics, "reconciler_application_restored_timestamp_seconds", **WEB) == SINCE.timestamp()
    assert value(metrics, "reconciler_application_run_phase", **WEB, kind="restore", phase="Succeeded") == 1
    show(metrics, application(run=run("Running", [], started_at=NOW)))
    assert value(metrics, "reconciler_application_restored_timestamp_seconds", **WEB) is None


def test_two_gates_of_one_name_are_one_series(metrics):
    show(metrics, waiting(gates=[gate("same"), gate("same")]))
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step="same") == 9000


LOOK = {"commit": "c", "seconds": 0.4, "fetch": 0.1, "parse": 0.2, "applications": 1, "problems": 1}
RUN = {"from": "Running", "seconds": 3, "kind": "deploy"}
STEP = {"from": "Waiting", "seconds": 3}
EVENTS = [
    (Event("reconciled", None, {"result": "ok", "seconds": 0.01}), "reconciler_reconciles_total", {"result": "ok"}),
    (Event("reconciled", None, {"result": "ok", "seconds": 0.01}), "reconciler_reconcile_seconds_count", {}),
    (Event("look", None, LOOK), "reconciler_looks_total", {"result": "ok"}),
    (Event("look", None, LOOK), "reconciler_look_seconds_count", {}),
    (Event("look", None, LOOK), "reconciler_git_fetch_seconds_count", {}),
    (Event("look", None, LOOK), "reconciler_parse_seconds_count", {}),
    (Event("look", None, LOOK), "reconciler_applications", {}),
    (Event("look", None, LOOK), "reconciler_problems", {}),
    (Event("look-same", None, {"seconds": 0.1}), "reconciler_looks_total", {"result": "ok"}),
    (Event("look-same", None, {"seconds": 0.1}), "reconciler_git_fetch_seconds_count", {}),
    (Event("look-failed", None, {"reason": "RefMissing"}), "reconciler_looks_total", {"result": "RefMissing"}),
    (Event("run", None, {**RUN, "to": "Superseded"}), "reconciler_runs_total", {"kind": "deploy", "phase": "Superseded"}),
    (Event("run", None, {**RUN, "to": "Succeeded", "kind": "restore"}), "reconciler_runs_total", {"kind": "restore", "phase": "Succeeded"}),
    (Event("run", None, {**RUN, "to": "Failed"}), "reconciler_run_seconds_count", {"phase": "Failed"}),
    (Event("rejected", None, {"run": "web-v2-1", "revision": "web-v2"}), "reconciler_rejections_total", {}),
    (Event("step", None, {**STEP, "type": "suspend", "to": "Succeeded"}), "reconciler_steps_total", {"type": "suspend", "phase": "Succeeded"}),
    (Event("step", None, {**STEP, "type": "deploy", "to": "Failed"}), "reconciler_step_seconds_count", {"type": "deploy"}),
    (Event("decision", None, {"verb": "continue", "by": "timer"}), "reconciler_decisions_total", {"verb": "continue", "by": "timer"}),
    (Event("admitted", None, {"queue": "a", "seconds": 3}), "reconciler_queue_wait_seconds_count", {"queue": "a"}),
    (Event("throttled", None, {"type": "http", "seconds": 3}), "reconciler_throttled_total", {"type": "http"}),
    (Event("throttled", None, {"type": "odd", "seconds": 3}), "reconciler_throttled_total", {"type": "other"}),
    (Event("throttled", None, {"type": "http", "seconds": 3}), "reconciler_throttle_wait_seconds_count", {}),
    (Event("attempt", None, {"type": "http", "result": "again"}), "reconciler_step_attempts_total", {"type": "http", "result": "again"}),
    (Event("rollback", None, {"reason": "failure"}), "reconciler_rollbacks_total", {"reason": "failure"}),
    (Event("effect", None, {"kind": "apply", "result": "ok", "seconds": 0.1}), "reconciler_effects_total", {"kind": "apply", "result": "ok"}),
    (Event("effect", None, {"kind": "apply", "result": "ok", "seconds": 0.1}), "reconciler_effect_seconds_count", {"kind": "apply"}),
    (Event("effect", None, {"kind": "apply", "result": "NotAllowed"}), "reconciler_effects_total", {"kind": "apply", "result": "NotAllowed"}),
    (Event("apply", None, {"result": "unchanged"}), "reconciler_applies_total", {"result": "unchanged"}),
    (Event("write-back", None, {"run": "web-v2-1", "result": "PushRefused"}), "reconciler_write_backs_total", {"result": "PushRefused"}),
    (Event("drift-healed", None, {"object": "ConfigMap a"}), "reconciler_drift_healed_total", {}),
    (Event("cache", None, {"cache": "contents", "hits": 1, "misses": 0}), "reconciler_cache_lookups_total", {"cache": "contents", "result": "hit"}),
    (Event("cache", None, {"cache": "contents", "hits": 0, "misses": 1}), "reconciler_cache_lookups_total", {"cache": "contents", "result": "miss"}),
    (Event("queue", None, {"depth": 1}), "reconciler_queue_depth", {}),
]


@pytest.mark.parametrize(("event", "name", "labels"), EVENTS)
def test_each_event_is_counted(metrics, event, name, labels):
    assert (value(metrics, name, **labels) or 0) == 0
    metrics.emit(event)
    assert value(metrics, name, **labels) == 1
    assert value(metrics, "reconciler_events_dropped_total") == 0


def test_a_beat_leaves_the_time_at_which_the_loop_moved_last(metrics):
    metrics.emit(Event("heartbeat", None, {"loop": "queue", "age": 90.0}))
    assert value(metrics, "reconciler_loop_heartbeat_timestamp_seconds", loop="queue") == NOW.timestamp() - 90


@pytest.mark.parametrize("event", [Event("look", None, LOOK), Event("look-same", None, {"seconds": 0.1})])
def test_a_look_leaves_the_time_whether_or_not_anything_changed(metrics, event):
    metrics.emit(event)
    assert value(metrics, "reconciler_last_look_timestamp_seconds") == NOW.timestamp()


def test_the_parts_of_a_look_are_measured_apart(metrics):
    metrics.emit(Event("look", None, LOOK))
    sums = [value(metrics, f"reconciler_{part}_seconds_sum") for part in ("git_fetch", "parse", "look")]
    assert sums == [LOOK["fetch"], LOOK["parse"], LOOK["seconds"]]


def test_rule_13e_a_type_of_step_that_a_manifest_made_up_is_no_label(metrics):
    metrics.emit(Event("step", None, {**STEP, "type": "made up", "to": "Failed"}))
    assert value(metrics, "reconciler_steps_total", type="other", phase="Failed") == 1
    assert b"made up" not in metrics.render()


def test_what_was_refused_untried_took_no_time(metrics):
    metrics.emit(Event("effect", None, {"kind": "apply", "result": "NotAllowed"}))
    assert value(metrics, "reconciler_effect_seconds_count", kind="apply") is None


def test_phases_that_are_not_the_end_are_not_counted(metrics):
    before = samples(metrics)
    metrics.emit(Event("run", None, {**RUN, "to": "Running"}))
    metrics.emit(Event("step", None, {**STEP, "type": "suspend", "to": "Waiting"}))
    after = samples(metrics)
    assert {name: count for name, count in after.items() if not name[0].startswith("process_")} == {
        name: count for name, count in before.items() if not name[0].startswith("process_")
    }


def test_every_counter_starts_at_0_for_the_words_that_are_known(metrics):
    found = samples(metrics)
    for name, known in KNOWN.items():
        labels = [labels for labels in found if labels[0] == f"{name}_total"]
        assert sorted(tuple(sorted(word for _, word in each[1:])) for each in labels) == sorted(tuple(sorted(words)) for words in known)
        assert {found[each] for each in labels} == {0}
    assert [collector for collector in counters(metrics) if collector._labelnames and collector._name not in KNOWN] == []


def test_the_known_words_are_those_of_the_code():
    errors = {error.reason for error in (SourceError, *SourceError.__subclasses__())}
    assert set(LOOKS) == {"ok", "Internal", *errors}
    assert set(WRITE_BACKS) >= {"Landed", "Dropped", *get_args(get_type_hints(Lost)["reason"])} - {"Moved"}


def test_words_that_come_by_themselves_leave_room_to_the_known_ones(metrics):
    for number in range(3 * MOST_WORDS):
        metrics.emit(Event("look-failed", None, {"reason": f"error {number}"}))
    metrics.emit(Event("look-failed", None, {"reason": "TooLarge"}))
    assert value(metrics, "reconciler_looks_total", result="TooLarge") == 1


@pytest.mark.parametrize("kind", [*KINDS, "of tomorrow"])
def test_an_event_without_its_fields_never_raises_into_the_engine(metrics, kind):
    metrics.emit(Event(kind))
    samples(metrics)


def test_what_could_not_be_counted_is_counted(metrics):
    metrics.emit(Event("run", None, {"to": "Nonsense"}))
    assert value(metrics, "reconciler_events_dropped_total") == 1


def test_the_words_of_a_label_stay_few(metrics):
    for number in range(3 * MOST_WORDS):
        metrics.emit(Event("reconciled", None, {"result": f"error {number}", "seconds": 0}))
    results = [sample for sample in samples(metrics) if sample[0] == "reconciler_reconciles_total"]
    assert len(results) <= MOST_WORDS + 1
    assert value(metrics, "reconciler_reconciles_total", result="other") >= 2 * MOST_WORDS


def test_the_process_is_measured_in_a_registry_of_its_own(metrics):
    assert value(metrics, "process_resident_memory_bytes") > 0
    Metrics(lambda: NOW)  # a second one in the process is no conflict


def test_fanout_hands_on_to_each():
    class Heard(list):
        emit = list.append

    first, second = Heard(), Heard()
    Fanout(first, second).emit(Event("queue"))
    assert first == second == [Event("queue")]


def standing(metrics):
    return {
        (dict(name[1:])["queue"], dict(name[1:])["phase"]): count for name, count in samples(metrics).items() if name[0] == "reconciler_runs_open"
    }


def test_open_runs_are_counted_by_queue_and_phase_and_no_longer_where_they_stood(metrics):
    def stands(name, phase, queue):
        show(metrics, application(name=name, run=run(phase, [], queue=queue)))

    for number in range(3):
        stands(f"app-{number}", "Pending", "many")
    stands("one", "Running", "few")
    assert standing(metrics) == {("many", "Pending"): 3, ("few", "Running"): 1}
    stands("app-0", "Running", "many")
    stands("one", "Succeeded", "few")
    assert standing(metrics) == {("many", "Pending"): 2, ("many", "Running"): 1}
    metrics.emit(Event("application-gone", AppKey("default", "app-0")))
    assert standing(metrics) == {("many", "Pending"): 2}


def test_queues_have_no_more_series_than_a_label_has_words(metrics):
    for number in range(MOST_WORDS + 20):
        metrics.emit(Event("admitted", None, {"queue": f"queue-{number}", "seconds": 1}))
    assert value(metrics, "reconciler_queue_wait_seconds_count", queue="other") > 0
