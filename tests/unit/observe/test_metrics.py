"""Metrics: valid text, bounded, gone with the application, made at change."""

from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.model.event import KINDS, Event
from reconciler.model.identity import AppKey
from reconciler.observe import series
from reconciler.observe.metrics import MOST_WORDS, Fanout, Metrics
from reconciler.observe.series import MOST_SERIES
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


def worst():
    """An application in which everything is at once."""
    kinds = ["Stalled", "Rejected", "RemovalInDoubt", "StateLost", "GitDiffers", "ManifestInvalid", "DriftFought"]
    gates = [gate(f"gate-{number}") for number in range(9)]
    return waiting(gates=gates, conditions=[condition(kind) for kind in kinds], suspended="x", since=SINCE)


def test_an_application_says_where_it_stands(metrics):
    show(metrics, waiting(since=SINCE))
    info = {"environment": "dev", "revision": "web-v1", "sync": "OutOfSync", "health": "Healthy"}
    assert value(metrics, "reconciler_application_info", **WEB, **info) == 1
    assert value(metrics, "reconciler_application_run_phase", **WEB, phase="Waiting") == 1
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
    assert value(metrics, "reconciler_application_run_phase", **WEB, phase="Succeeded") == 1
    assert value(metrics, "reconciler_application_rollout_progress_ratio", **WEB) == 1
    assert len(of(metrics, AppKey("default", "web"))) == 5


def test_an_application_has_at_most_twelve_series_however_bad_it_stands(metrics):
    show(metrics, worst())
    assert len(of(metrics, AppKey("default", "web"))) == MOST_SERIES == 12


def test_the_most_urgent_conditions_are_those_that_are_shown(metrics):
    show(metrics, worst())
    shown = {kind for kind in series.ATTENTION if value(metrics, "reconciler_application_condition", **WEB, type=kind)}
    assert shown == {"StateLost", "RemovalInDoubt", "Stalled", "ManifestInvalid"}


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


def test_two_gates_of_one_name_are_one_series(metrics):
    show(metrics, waiting(gates=[gate("same"), gate("same")]))
    assert value(metrics, "reconciler_gate_waiting_seconds", **WEB, step="same") == 9000


EVENTS = [
    (Event("reconciled", None, {"result": "ok", "seconds": 0.01}), "reconciler_reconciles_total", {"result": "ok"}),
    (Event("reconciled", None, {"result": "ok", "seconds": 0.01}), "reconciler_reconcile_seconds_count", {}),
    (Event("look", None, {"commit": "c", "seconds": 0.1, "applications": 1, "problems": 0}), "reconciler_looks_total", {"result": "ok"}),
    (Event("look", None, {"commit": "c", "seconds": 0.1, "applications": 1, "problems": 0}), "reconciler_applications", {}),
    (Event("look", None, {"commit": "c", "seconds": 0.1, "applications": 0, "problems": ["a"]}), "reconciler_problems", {}),
    (Event("look-failed", None, {"reason": "RefMissing"}), "reconciler_looks_total", {"result": "RefMissing"}),
    (Event("run", None, {"from": "Running", "to": "Succeeded", "seconds": 3}), "reconciler_runs_total", {"phase": "Succeeded"}),
    (Event("run", None, {"from": "Running", "to": "Failed", "seconds": 3}), "reconciler_run_seconds_count", {"phase": "Failed"}),
    (
        Event("step", None, {"type": "suspend", "from": "Waiting", "to": "Succeeded", "seconds": 3}),
        "reconciler_steps_total",
        {"type": "suspend", "phase": "Succeeded"},
    ),
    (Event("step", None, {"type": "deploy", "from": "Running", "to": "Failed", "seconds": 3}), "reconciler_step_seconds_count", {"type": "deploy"}),
    (Event("decision", None, {"verb": "rollback"}), "reconciler_decisions_total", {"verb": "rollback"}),
    (Event("effect", None, {"kind": "apply", "result": "ok", "seconds": 0.1}), "reconciler_effects_total", {"kind": "apply", "result": "ok"}),
    (Event("effect", None, {"kind": "apply", "result": "ok", "seconds": 0.1}), "reconciler_effect_seconds_count", {"kind": "apply"}),
    (Event("drift-healed", None, {"object": "ConfigMap a"}), "reconciler_drift_healed_total", {}),
    (Event("queue", None, {"depth": 1}), "reconciler_queue_depth", {}),
]


@pytest.mark.parametrize(("event", "name", "labels"), EVENTS)
def test_each_event_is_counted(metrics, event, name, labels):
    assert (value(metrics, name, **labels) or 0) == 0
    metrics.emit(event)
    assert value(metrics, name, **labels) == 1
    assert value(metrics, "reconciler_events_dropped_total") == 0


def test_a_beat_and_a_look_leave_the_time(metrics):
    metrics.emit(Event("heartbeat", None, {"loop": "queue"}))
    metrics.emit(EVENTS[2][0])
    assert value(metrics, "reconciler_loop_heartbeat_timestamp_seconds", loop="queue") == NOW.timestamp()
    assert value(metrics, "reconciler_last_look_timestamp_seconds") == NOW.timestamp()


def test_phases_that_are_not_the_end_are_not_counted(metrics):
    metrics.emit(Event("run", None, {"from": "", "to": "Running", "seconds": 0}))
    metrics.emit(Event("step", None, {"type": "suspend", "from": "", "to": "Waiting", "seconds": 0}))
    assert not [sample for sample in samples(metrics) if sample[0] in ("reconciler_runs_total", "reconciler_steps_total")]


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
    assert len(results) == MOST_WORDS + 1
    assert value(metrics, "reconciler_reconciles_total", result="other") == 2 * MOST_WORDS


def test_the_process_is_measured_in_a_registry_of_its_own(metrics):
    assert value(metrics, "process_resident_memory_bytes") > 0
    Metrics(lambda: NOW)  # a second one in the process is no conflict


def test_fanout_hands_on_to_each():
    class Heard(list):
        emit = list.append

    first, second = Heard(), Heard()
    Fanout(first, second).emit(Event("queue"))
    assert first == second == [Event("queue")]
