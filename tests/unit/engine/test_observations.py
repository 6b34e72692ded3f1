"""What is kept of the objects that live: from events that may bring metadata alone, and from lists that begin anew."""

import asyncio
from contextlib import suppress

from reconciler.cluster.protocol import ExpiredError, Page, UnavailableError, WatchEvent
from reconciler.engine.observations import Observations
from reconciler.model.identity import ObjectRef
from reconciler.model.names import LABEL_APPLICATION, LABEL_UID
from reconciler.simulation.clock import VirtualClock, VirtualLoop

REF = ObjectRef("v1", "ConfigMap", "default", "one")


class Rule:
    """Healthy is what has data."""

    def judge(self, obj):
        return ("Healthy", "") if obj.get("data") else ("Progressing", "no data yet")

    def judges_as(self, other):
        return other is self


def live(version="5", **more):
    meta = {"name": "one", "namespace": "default", "uid": "u", "resourceVersion": version, "labels": {LABEL_APPLICATION: "a", LABEL_UID: "owner"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **more}


class Cluster:
    """Metadata alone comes by its watches and lists. `watches`: what each watch does, the last one for ever."""

    def __init__(self, *watches, lists=()):
        self.watches, self.lists, self.since, self.listed = list(watches), list(lists), [], 0

    async def kinds(self):
        return []

    async def get(self, ref):
        return live("6", data={"a": "b"})

    async def list(self, kind, labels=None, page=""):
        self.listed += 1
        answer = self.lists.pop(0) if self.lists else live()
        if isinstance(answer, Exception):
            raise answer
        return Page([answer], f"place {self.listed}")

    async def watch(self, kind, labels=None, since=""):
        self.since.append(since)
        for event in self.watches.pop(0) if len(self.watches) > 1 else self.watches[0]:
            if isinstance(event, Exception):
                raise event
            yield event
        await asyncio.Event().wait()


def observed(cluster, rules=None, seconds=200.0):
    """Loads and watches for some (virtual) seconds; answers what is kept, and who was told."""
    loop, told = VirtualLoop(), []

    async def run():
        observations = Observations(cluster, VirtualClock(loop), told.append)
        await observations.load()
        await observations.judge_by(rules or {})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await observations.watch()
        return observations

    try:
        return loop.run_until_complete(run()), told
    finally:
        loop.close()


def test_what_a_rule_of_the_repository_judges_is_read_where_metadata_alone_came():
    kept, _ = observed(Cluster([WatchEvent("MODIFIED", live("6"))]), {("", "ConfigMap"): Rule()})
    assert kept.get(REF).status == "Healthy"


def test_a_watch_goes_on_from_the_last_place_and_not_from_an_objects_version():
    mark = WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "marked"}})
    broken = [WatchEvent("MODIFIED", live("6")), UnavailableError("cut")]
    cluster = Cluster(broken, [mark, UnavailableError("cut")], [])
    observed(cluster)
    assert cluster.since == ["place 1", "place 1", "marked"]
    assert cluster.listed == 1


def test_a_place_that_is_no_longer_kept_lists_anew_and_never_without_a_pause():
    cluster = Cluster([ExpiredError("too old")], lists=[live(), UnavailableError("not now")])
    observed(cluster, seconds=200.0)
    assert 3 < cluster.listed < 20
    assert cluster.since[:3] == ["place 1", "place 1", "place 3"]


def test_what_a_new_list_shows_otherwise_is_told_of():
    kept, told = observed(Cluster([ExpiredError("too old")], [], lists=[live(), live("7")]))
    assert kept.get(REF).version == 7
    assert told == ["owner", "owner"], "at the start, and where it differs"
