"""Whose an application is (`Shards`), and when it may be handed over (`Mover`): each reason for staying by itself (docs/decisions/0012)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.cluster.protocol import NotFoundError, UnavailableError
from reconciler.engine.applications import Application
from reconciler.engine.declared import Declared
from reconciler.engine.index import Entry
from reconciler.engine.moving import Mover
from reconciler.engine.shards import Shards, planned_elsewhere
from reconciler.model.identity import AppKey, ObjectRef
from reconciler.model.names import STATE_LOST_GATE
from reconciler.model.outcome import Result
from reconciler.model.records import Mirror, Removal, RevisionRecord, RevisionView
from reconciler.model.run import Notice, Phase, Run, WriteBack

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
KEY = AppKey("default", "web")


class Cluster:
    """One Lease, or an error where one asks for it."""

    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer, self.asked = answer, 0

    async def get(self, ref: ObjectRef) -> dict[str, Any]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"spec": self.answer}


class Clock:
    seconds = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


HELD = {"holderIdentity": "b-1", "renewTime": "2024-05-01T11:59:50.000000Z", "leaseDurationSeconds": 15}
GONE = NotFoundError("no such Lease")


def shards(own: str | None = "", lease: dict[str, Any] | Exception = HELD, clock: Clock | None = None) -> Shards:
    return Shards(own, Cluster(lease), "reconciler-system", clock or Clock())  # type: ignore[arg-type]


def entry(shard: str = "b", digest: str = "d2", *, valid: bool = True) -> Entry:
    return Entry(Declared(KEY, digest, "web.yaml", 0, 1, "oid", "kubevela", "", "c", {}, (), (), (), shard), valid)


def app(**mirror: Any) -> Application:
    return Application(Mirror(namespace="default", name="web", uid="u", **mirror))


# --- whose it is


def test_what_git_does_not_surely_declare_stays() -> None:
    assert shards().target(entry("b")) == "b"
    assert shards("b").target(entry("")) == "", "the one without a name is one, too"
    assert [shards().target(one) for one in (None, entry("b", valid=False), entry(""))] == [None] * 3
    assert shards(None).target(entry("b")) is None, "who has the cluster to itself hands nothing over"


@pytest.mark.parametrize(
    ("lease", "led"),
    [
        (HELD, True),
        ({**HELD, "renewTime": "2024-05-01T11:59:30.100000Z"}, True),
        ({**HELD, "renewTime": "2024-05-01T11:59:29.900000Z"}, False),
        ({**HELD, "holderIdentity": ""}, False),
        ({**HELD, "holderIdentity": None}, False),
        ({**HELD, "renewTime": "yesterday"}, False),
        ({**HELD, "leaseDurationSeconds": None}, False),
        ({}, False),
        (GONE, False),
        (UnavailableError("busy"), False),
    ],
)
async def test_a_shard_is_led_while_somebody_holds_its_lease_and_for_as_long_again(lease: Any, led: bool) -> None:
    assert await shards(lease=lease).is_led("b") is led


async def test_a_lease_is_asked_for_once_in_a_moment() -> None:
    clock = Clock()
    found = shards(lease=GONE, clock=clock)
    cluster: Any = found._cluster
    assert [await found.is_led("b"), await found.is_led("b"), cluster.asked] == [False, False, 1]
    cluster.answer, clock.seconds = HELD, 2.0
    assert [await found.is_led("b"), cluster.asked] == [True, 2]


def test_what_another_one_declares_is_known_once_it_wants_that_or_has_a_revision_of_it() -> None:
    wants, kept = app(desired=RevisionView("web-v2", "d2", "c")), app(desired=RevisionView("web-v1", "d1", "c"))
    kept.records = [RevisionRecord(2, "web-v2", "d2", "c")]
    assert [planned_elsewhere(one, entry()) for one in (app(), app(desired=RevisionView("web-v1", "d1", "c")), wants, kept)] == [
        False,
        False,
        True,
        True,
    ]


# --- when it may go


class Desk:
    """A context as far as a hand-over needs one."""

    def __init__(self, lease: dict[str, Any] | Exception = HELD) -> None:
        self.shards, self.apps, self.told, self.assigned, self.hints = (
            shards(lease=lease),
            dict[AppKey, Application](),
            list[str](),
            list[str](),
            list[float](),
        )
        self.store = SimpleNamespace(assign_mirror=self._assign)
        self.sink = SimpleNamespace(emit=lambda event: self.told.append(f"{event.kind} {event.fields['shard']}"))
        self.admission = SimpleNamespace(renew=lambda key, runs: self.told.append(f"queue {runs}"))
        self.throttle = SimpleNamespace(withdraw=lambda key: self.told.append("throttle"))
        self.observations = SimpleNamespace(follow=lambda uid, refs: self.told.append(f"follow {uid} {refs}"))
        self.verdicts = SimpleNamespace(drop=lambda uid: self.told.append(f"forget {uid}"))

    async def _assign(self, mirror: Mirror, shard: str) -> None:
        self.assigned.append(shard)

    def hint_after(self, key: AppKey, seconds: float) -> None:
        self.hints.append(seconds)

    async def take(self, one: Application, of_git: Entry | None = None) -> bool:
        return await Mover(self).take(one, of_git or entry())  # type: ignore[arg-type]


async def test_what_is_handed_over_waits_nowhere_any_more_and_is_shown_with_what_it_has() -> None:
    desk, one = Desk(), app()
    one.runs = [Run("web-v1-1", "default/web", "web-v1", "d1", phase=Phase.WAITING)]
    assert await desk.take(one)
    assert desk.assigned == ["b"]
    assert desk.told == ["queue []", "throttle", "follow u ()", "forget u", "application-moved b"]
    assert desk.apps[KEY].runs == one.runs
    assert not desk.apps[KEY].leaving


@pytest.mark.parametrize(
    "busy",
    [
        {"tasks": {"k": None}},
        {"results": {"k": Result()}},
        {"calls": {"web-v1-1": None}},
        {"called": {"web-v1-1": {0: Notice(Phase.RUNNING, NOW)}}},
        {"write_backs": {"web-v1-1": WriteBack()}},
    ],
    ids=lambda busy: next(iter(busy)),
)
async def test_rule_9a_nothing_goes_while_something_of_it_is_under_way_or_not_stored_and_it_stands_still(busy: dict[str, Any]) -> None:
    desk, one = Desk(), app()
    for name, value in busy.items():
        setattr(one, name, value)
    assert not await desk.take(one)
    assert (one.leaving, desk.assigned, desk.told) == ("b", [], [])
    assert one.suspended(None) == "it goes to shard b"


async def test_one_that_is_being_removed_stays() -> None:
    desk, one = Desk(), app(removal=Removal("Deleting", "gone"))
    assert not await desk.take(one)
    assert (one.leaving, desk.assigned) == ("", [])


async def test_rule_3f_lost_state_is_asked_about_before_it_goes() -> None:
    desk, one = Desk(), app()
    one.lost = True
    assert not await desk.take(one)
    assert (one.leaving, desk.assigned) == ("", []), "it is not held up either: the question is to be asked"
    one.runs = [Run("web-v1-1", "default/web", "web-v1", "d1", implicit=[STATE_LOST_GATE])]
    assert await desk.take(one)


async def test_where_nobody_would_act_it_goes_on_here_and_is_looked_at_again() -> None:
    desk, one = Desk(GONE), app()
    one.leaving = "b"
    assert not await desk.take(one)
    assert (one.leaving, one.unled, desk.assigned, desk.hints) == ("", "reconciler-b", [], [30.0])
    assert not await desk.take(one, entry(""))
    assert one.unled == "", "git gives it back"
