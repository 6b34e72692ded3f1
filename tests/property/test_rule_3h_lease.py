"""Candidates for one Lease, each with a clock of its own that is set as it likes; requests that take any time; pauses and deaths (rules 3h, 9c)."""

from __future__ import annotations

import heapq
from itertools import count
from operator import itemgetter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.lease import Record, Standing, choose, may_start, see, wanted, written

LEASE = 3.0
DELAYS = [0.01, 0.01, 0.01, 0.2, 0.6] * 3 + [1.2, 2.2, 4.0, 7.0]  # a lost packet, a stopped process, a machine that slept
FATES = ["go on"] * 12 + ["unheard", "unheard", "die", "release", "delete"]
CLOCKS = [0.0, -1e6, 1e6, 12345.6]
SEEDS = st.integers(0, 2**32)


class Candidate:
    """As the shell around the pure part: it looks at what it knows, asks for one thing, and hears of it, sooner or later."""

    def __init__(self, name, ahead):
        self.standing, self.ahead, self.version, self.lost = Standing(name, LEASE), ahead, 0, False

    def clock(self, time):
        return time + self.ahead


class Contest:
    """Real time passes for all alike. Between asking and arriving, arriving and hearing, hearing and asking again lies whatever is drawn."""

    def __init__(self, seed):
        self.draw, self.time, self.ids = Random(seed).choice, 0.0, count()
        self.record: Record | None = None
        self.version, self.deletions = 0, 0
        self.epochs: dict[tuple[int, int], str] = {}
        self.events: list[tuple[float, int, object]] = []
        self.candidates = [self.arise() for _ in range(self.draw([2, 3]))]

    def arise(self):
        """Another process, with a clock of its own."""
        one = Candidate(f"c{next(self.ids)}", self.draw(CLOCKS))
        self.later(one, self.ask)
        return one

    def later(self, one, what, delay=None):
        heapq.heappush(self.events, (self.time + (self.draw(DELAYS) if delay is None else delay), next(self.ids), (one, what)))

    def ask(self, one):
        now = one.clock(self.time)
        move = choose(one.standing, now)
        if move == "lost":
            one.lost = True
            self.replace(one)
        elif move in ("look", "wait"):
            self.later(one, lambda one: self.arrive(one, None, now, 0))
        else:
            record, version = wanted(one.standing, str(next(self.ids))), one.version
            self.later(one, lambda one: self.arrive(one, record, now, version))

    def arrive(self, one, record, asked, version):
        """Also where its sender has died meanwhile."""
        landed = record is not None and version == self.version
        if landed:
            self.store(record)
        found, at = self.record, self.version
        self.later(one, lambda one: self.hear(one, record, landed, found, asked, at))

    def hear(self, one, record, landed, found, asked, version):
        if one not in self.candidates:
            return
        now, fate = one.clock(self.time), self.draw(FATES)
        one.version = version
        if landed and fate != "unheard":
            one.standing = written(one.standing, record, asked, now)
        else:  # whoever leads writes state, and that stays
            refused = record is not None and not landed
            one.standing = see(one.standing._replace(fresh=version == 0), found, now, refused=refused)
        if fate == "release" and self.version == one.version and self.record is not None and self.record.holder == one.standing.me:
            self.store(self.record._replace(holder="", renewed=str(next(self.ids))))
        if fate == "delete" and self.record is not None and not self.deletions:  # twice within one lease would look like once
            self.store(None)
        if fate in ("die", "release"):
            self.replace(one)
        else:
            self.later(one, self.ask)

    def replace(self, one):
        self.candidates.remove(one)
        self.candidates.append(self.arise())

    def store(self, record):
        self.version += 1
        self.record = record
        if record is None:
            self.deletions += 1  # who has never seen a Lease begins to count anew
        elif record.holder:
            assert self.epochs.setdefault((self.deletions, record.epoch), record.holder) == record.holder, "two holders of one epoch"

    def leaders(self):
        return [one for one in self.candidates if not one.lost and may_start(one.standing, one.clock(self.time))]

    def step(self):
        time, _, (one, what) = heapq.heappop(self.events)
        self.time = time
        self.check()
        what(one)
        self.check()

    def check(self):
        found = self.leaders()
        assert len(found) <= 1, [(self.time, one.ahead, one.standing) for one in found]


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_rule_3h_no_two_start_anything_at_once_and_an_epoch_is_one_holders(seed):
    contest = Contest(seed)
    for _ in range(300):
        contest.step()


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_rule_3h_whatever_was_somebody_leads_within_two_leases_once_requests_are_answered(seed):
    contest = Contest(seed)
    for _ in range(20):
        contest.step()
    calm = max(time for time, _, _ in contest.events)
    while contest.time <= calm:
        contest.step()
    contest.draw = itemgetter(0)
    end = contest.time + 7.0 + 2 * LEASE + 1
    led = False
    while contest.time < end:
        contest.step()
        led = led or bool(contest.leaders())
    assert led
