"""Kubernetes Events: told when an application passes from one state to another, never a flood, never a fault, never a secret."""

import asyncio
import contextlib
import copy
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.cluster.protocol import NotFoundError, UnavailableError
from reconciler.model.event import ANNOUNCED, Event
from reconciler.model.identity import AppKey
from reconciler.observe import cluster_events
from reconciler.observe.cluster_events import BURST, WAITING, ClusterEvents
from reconciler.observe.transitions import LONGEST, REASONS, Told, Transitions, note_of
from tests.unit.api.fakes import application, condition

WEB = AppKey("default", "web")
DOCS = Path(__file__).parents[3] / "docs"
READY = condition("Ready", "Succeeded", "web-v1 runs")
UNREADY = condition("Ready", "Because", "it is not", status="False")


class Clock:
    def __init__(self):
        self.elapsed, self.paused = 0.0, 0

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self):
        return self.elapsed

    async def sleep(self, seconds):
        self.paused += 1
        await asyncio.sleep(0)


class Cluster:
    """Takes Events as an API server does: the same name once, and a replacement of what is there."""

    def __init__(self):
        self.objects, self.writes, self.error = {}, [], None

    async def create(self, obj):
        return self._put("create", obj)

    async def replace(self, obj):
        if obj["metadata"]["name"] not in self.objects:
            raise NotFoundError("gone")
        return self._put("replace", obj)

    def _put(self, verb, obj):
        if self.error is not None:
            raise self.error
        stored = copy.deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(len(self.writes))
        self.objects[obj["metadata"]["name"]] = stored
        self.writes.append((verb, obj["reason"], obj["note"]))
        return copy.deepcopy(stored)


class Bench:
    def __init__(self, sinks):
        self.cluster, self.clock, self.results = Cluster(), Clock(), []
        self.events = ClusterEvents(self.cluster, self.clock, "reconciler-system", "pod-0", self.uid, self)
        self.task = asyncio.create_task(self.events.run())
        sinks.append(self.task)

    def uid(self, key):
        return "" if key.name == "unborn" else f"uid-of-{key.name}"

    def emit(self, event):
        self.results.append(event.fields["result"])

    async def tell(self, *events):
        for event in events:
            self.events.emit(event)
        while self.events._waiting:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    def reasons(self):
        return [reason for _, reason, _ in self.cluster.writes]


@pytest.fixture
async def bench():
    tasks = []
    yield Bench(tasks)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(to, before="Running", revision="web-v2", kind="deploy", message="", key=WEB):
    return Event(
        "run",
        key,
        {"run": "web-v2-1", "revision": revision, "kind": kind, "from": before, "to": to, "seconds": 1.0, "reason": "", "message": message},
    )


def gate(step="approve", key=WEB):
    return Event("gate", key, {"run": "web-v2-1", "step": step, "waiting": True, "since": None})


def status(*conditions, **fields):
    return Event("application", WEB, {"status": application(conditions=list(conditions), **fields)})


async def test_an_event_is_as_the_api_wants_it_and_stands_on_the_mirror(bench):
    await bench.tell(run("Running", before="Pending"))
    [event] = bench.cluster.objects.values()
    assert event["apiVersion"] == "events.k8s.io/v1"
    assert re.fullmatch(r"default\.web\.[0-9a-f]{16}", event["metadata"]["name"])
    assert event["metadata"]["namespace"] == event["regarding"]["namespace"] == "reconciler-system"
    assert event["regarding"]["uid"] == "uid-of-web"
    assert event["regarding"]["kind"] == "Application"
    assert event["related"]["name"] == "default.web-v2-1"
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert (event["reason"], event["type"], event["note"]) == ("RunStarted", "Normal", "moves to web-v2")
    assert all(event[name] for name in ("action", "reportingController", "reportingInstance"))
    assert bench.results == ["sent"]


async def test_a_run_that_has_ended_before_anything_is_written_is_one_event(bench):
    await bench.tell(run("Running", before="Pending"), run("Succeeded"))
    assert bench.reasons() == ["Promoted"]
    await bench.tell(run("Running", before="Pending"))
    await bench.tell(run("Succeeded"))
    assert bench.reasons()[1:] == ["RunStarted"], "the other is counted in what is there"
    assert bench.results == ["sent", "sent", "repeated"]


async def test_the_story_of_a_rollout_is_told_in_its_order(bench):
    decided = Event("decision", WEB, {"run": "web-v2-1", "step": "approve", "verb": "rollback", "by": "commit", "commit": "c", "author": "Ada"})
    await bench.tell(
        run("Running", before="Pending"),
        gate(),
        run("Waiting"),
        decided,
        run("RollingBack"),
        run("Running", before="Pending", revision="web-v1", kind="restore"),
        run("Succeeded", revision="web-v1", kind="restore"),
        run("RolledBack"),
        Event("effect", WEB, {"kind": "delete", "result": "ok", "seconds": 0.1, "object": "ConfigMap default/a"}),
        Event("write-back", WEB, {"run": "web-v2-1", "result": "Landed"}),
    )
    assert bench.reasons() == [
        "GateWaiting",
        "Decided",
        "RollingBack",
        "Promoted",
        "RolledBack",
        "Pruned",
        "GitCommitted",
    ]
    assert ("create", "Promoted", "web-v1 runs again") in bench.cluster.writes
    assert ("create", "Decided", "rollback at approve by Ada") in bench.cluster.writes


async def test_a_condition_is_told_when_it_begins_and_not_while_it_stays(bench):
    broken = condition("ManifestInvalid", "Invalid", "its manifest has errors: x\n--- a patch with password=hunter2")
    await bench.tell(status(READY), status(UNREADY, broken), status(UNREADY, broken, since=None), status(UNREADY), status(READY))
    assert bench.cluster.writes == [
        ("create", "ManifestInvalid", "its manifest has errors: x"),
        ("create", "Recovered", "web-v1 runs"),
    ]


async def test_what_applied_already_when_the_daemon_began_is_not_told_again(bench):
    await bench.tell(status(UNREADY, condition("Rejected", "RolledBack", "it was")))
    assert bench.cluster.writes == []
    await bench.tell(status(READY))
    assert bench.reasons() == ["Recovered"]


async def test_an_application_that_is_merely_new_or_moves_on_tells_nothing_of_its_conditions(bench):
    await bench.tell(status(UNREADY), status(READY), status(UNREADY, health="Progressing"), status(READY))
    assert bench.cluster.writes == []
    await bench.tell(status(UNREADY, health="Degraded", trouble="Pod default/a: CrashLoopBackOff"))
    assert bench.cluster.writes == [("create", "Degraded", "Pod default/a: CrashLoopBackOff")]


async def test_many_objects_of_one_fate_are_one_event(bench):
    pruned = [
        Event("effect", WEB, {"kind": "delete", "result": "ok", "seconds": 0.0, "object": f"ConfigMap default/c{number}"}) for number in range(40)
    ]
    await bench.tell(*pruned)
    names = ", ".join(f"ConfigMap default/c{number}" for number in range(5))
    assert bench.cluster.writes == [("create", "Pruned", f"{names} and 35 more: deleted")]


async def test_what_is_said_again_is_counted_in_the_event_that_is_there(bench):
    for _ in range(6):
        await bench.tell(gate())
        bench.clock.elapsed += 31
    [event] = bench.cluster.objects.values()
    assert event["series"]["count"] == 6
    assert bench.results == ["sent", *["repeated"] * 5]
    bench.clock.elapsed += 400
    await bench.tell(gate())
    assert len(bench.cluster.objects) == 2, "long after, it is news"


async def test_a_series_is_not_written_each_time(bench):
    for _ in range(10):
        await bench.tell(gate())
        bench.clock.elapsed += 1
    assert [verb for verb, _, _ in bench.cluster.writes] == ["create"]


async def test_an_event_that_somebody_deleted_meanwhile_is_written_anew(bench):
    await bench.tell(gate())
    bench.cluster.objects.clear()
    bench.clock.elapsed += 31
    await bench.tell(gate(), gate())
    await bench.tell(gate())
    assert len(bench.cluster.objects) == 1


async def test_an_application_that_flaps_floods_nobody_and_harms_no_other(bench):
    await bench.tell(*[run("Failed", revision=f"web-v{number}") for number in range(100)])
    assert len(bench.cluster.writes) == BURST
    assert bench.results.count("dropped") == 100 - BURST
    await bench.tell(gate(key=AppKey("default", "shop")))
    assert len(bench.cluster.writes) == BURST + 1
    bench.clock.elapsed += 120
    await bench.tell(*[run("Failed", revision=f"web-v2{number}") for number in range(100)])
    assert len(bench.cluster.writes) == BURST + 3


async def test_a_thousand_applications_at_once_wait_in_bounds_and_are_written_in_turn(bench):
    for number in range(WAITING + 300):
        bench.events.emit(gate(key=AppKey("default", f"app-{number}")))
    assert len(bench.events._waiting) == WAITING
    assert bench.results == ["dropped"] * 300
    await bench.tell()
    assert len(bench.cluster.writes) == WAITING
    assert bench.clock.paused >= WAITING - 1, "one after the other, with a pause"


async def test_what_is_remembered_stays_bounded(bench, monkeypatch):
    monkeypatch.setattr(cluster_events, "REMEMBERED", 20)
    for number in range(100):
        await bench.tell(gate(key=AppKey("default", f"app-{number}")))
        bench.clock.elapsed += 61
    assert len(bench.events._written) == 20
    assert len(bench.events._buckets) <= 21


async def test_a_cluster_that_takes_no_events_is_no_fault(bench):
    bench.cluster.error = UnavailableError("away")
    await bench.tell(gate())
    assert bench.results == ["failed"]
    bench.cluster.error = None
    await bench.tell(gate("other"))
    assert bench.results == ["failed", "sent"]
    assert not bench.task.done()


async def test_what_has_no_mirror_and_what_makes_no_sense_is_dropped_silently(bench):
    await bench.tell(gate(key=AppKey("default", "unborn")), Event("run", WEB, {"to": "Nonsense"}), Event("look", None, {}))
    assert bench.cluster.writes == []


def test_a_note_is_one_line_within_what_the_api_takes():
    note = note_of(Told(WEB, "RunFailed", "é\n" * 2000, warning=True))
    assert len(note.encode()) <= LONGEST
    assert "\n" not in note
    assert note_of(Told(WEB, "Pruned", "deleted", objects=("ConfigMap a",))) == "ConfigMap a: deleted"


def test_states_of_applications_are_kept_once():
    transitions = Transitions()
    for number in range(100):
        event = Event("application", AppKey("default", f"app-{number}"), {"status": application(conditions=[UNREADY, condition("Rejected")])})
        assert list(transitions.read(event)) == []
    assert len({id(marks) for marks in transitions._known.values()}) == 1
    for number in range(100):
        assert list(transitions.read(Event("application-gone", AppKey("default", f"app-{number}")))) == []
    assert transitions._known == {}


def test_every_reason_and_every_result_is_documented():
    page = (DOCS / "state.md").read_text()
    assert [reason for reason in REASONS if f"`{reason}`" not in page] == []
    told = re.findall(r'Told\(\s*key, "(\w+)"', (DOCS.parent / "reconciler" / "observe" / "transitions.py").read_text())
    assert set(told) <= set(REASONS)
    assert all(f"`{result}`" in (DOCS / "metrics.md").read_text() for result in ANNOUNCED)
