"""Definitions of a namespace of the cluster as they are listed and watched: what is known of them at any moment, and why not all is."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from reconciler.cluster.protocol import ForbiddenError, KindUnknownError, Page, UnavailableError, WatchEvent
from reconciler.dialects.scope import DEFINITIONS
from reconciler.engine.definitions import ClusterDefinitions
from reconciler.engine.files import NOTHING
from reconciler.simulation.clock import VirtualClock
from tests.integration.harness import virtual

SITE = "cluster://vela-system/ComponentDefinition/site"
FOLDER = "cluster://vela-system/ComponentDefinition/"


def site(name="site", spec=None, **more):
    return {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "ComponentDefinition",
        "metadata": {"name": name, "namespace": "vela-system", "resourceVersion": "7"},
        "spec": spec if spec is not None else {"schematic": {"cue": {"template": "output: {}"}}},
        **more,
    }


class FakeCluster:
    """`pages` of ComponentDefinitions; `error`: what lists of them raise, `refusal`: what their watches do."""

    def __init__(self, *pages, error=None, refusal=None):
        self.pages, self.error, self.refusal = list(pages) or [[]], error, refusal
        self.lists, self.events, self.namespaces = 0, asyncio.Queue(), set()

    async def list(self, kind, namespace="", page="", **_):
        self.namespaces.add(namespace)
        if kind.kind != "ComponentDefinition":
            return Page([], "1")
        self.lists += 1
        if self.error is not None:
            raise self.error
        number = int(page or 0)
        return Page(self.pages[number], "1", str(number + 1) if number + 1 < len(self.pages) else "")

    async def watch(self, kind, since="", namespace="", **_):
        self.namespaces.add(namespace)
        if kind.kind == "ComponentDefinition" and self.refusal is not None:
            raise self.refusal
        while True:
            event = await self.events.get() if kind.kind == "ComponentDefinition" else await asyncio.Event().wait()
            yield event


@asynccontextmanager
async def following(cluster, namespace="vela-system"):
    """The definitions once the cluster was asked, and all that was told of them."""
    told = []
    found = ClusterDefinitions(cluster, VirtualClock(asyncio.get_running_loop()), namespace, told.append)
    task = asyncio.create_task(found.run())
    await found.asked()
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@virtual
async def test_all_pages_are_known_once_the_cluster_was_asked_of_that_namespace_alone():
    cluster = FakeCluster([site()], [site("page")])
    async with following(cluster) as told:
        assert sorted(told[-1].files) == [FOLDER + "page", SITE]
        assert told[-1].problems() == []
        assert cluster.namespaces == {"vela-system"}


@virtual
async def test_without_a_namespace_nothing_is_asked_and_nothing_waited_for():
    cluster = FakeCluster([site()])
    async with following(cluster, "") as told:
        await asyncio.sleep(60)
        assert (told, cluster.namespaces) == ([], set())


@virtual
async def test_what_changes_is_told_and_what_changes_nothing_that_is_read_is_not():
    cluster = FakeCluster([site()])
    async with following(cluster) as told:
        count, before = len(told), told[-1]
        cluster.events.put_nowait(WatchEvent("MODIFIED", site(status={"phase": "seen"})))
        await asyncio.sleep(1)
        assert len(told) == count
        cluster.events.put_nowait(WatchEvent("MODIFIED", site(spec={"other": 1})))
        cluster.events.put_nowait(WatchEvent("ADDED", site("page")))
        await asyncio.sleep(1)
        assert told[-1].differing(before) == {SITE, FOLDER + "page"}
        cluster.events.put_nowait(WatchEvent("DELETED", site("page")))
        await asyncio.sleep(1)
        assert sorted(told[-1].files) == [SITE]
        with pytest.raises(FileNotFoundError):
            told[-1].read(FOLDER + "page")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ForbiddenError("no"), "kubectl auth can-i list componentdefinitions.core.oam.dev --namespace vela-system"),
        (KindUnknownError("no"), "the cluster does not serve componentdefinitions.core.oam.dev"),
        (UnavailableError("it is\nbusy"), r"it is\nbusy"),
    ],
)
def test_rule_1_what_can_not_be_listed_is_a_problem_of_its_kind_and_nothing_is_concluded_from_it(error, words):
    @virtual
    async def check():
        cluster = FakeCluster([site()], error=error)
        async with following(cluster) as told:
            (problem,) = told[-1].problems()
            assert (problem.path, words in problem.message) == (FOLDER, True)
            with pytest.raises(ValueError, match=r"\w"):
                told[-1].read(SITE)
            with pytest.raises(FileNotFoundError):
                told[-1].read("cluster://vela-system/TraitDefinition/note")
            cluster.error = None
            await asyncio.sleep(20)
            assert told[-1].problems() == []
            assert told[-1].blob(SITE) is not None

    check()


@virtual
async def test_rule_1_a_list_that_fails_later_takes_nothing_away():
    cluster = FakeCluster([site()], refusal=ForbiddenError("watching is forbidden"))
    async with following(cluster) as told:
        cluster.error = UnavailableError("busy")
        await asyncio.sleep(20)
        assert told[-1].blob(SITE) is not None
        assert len(told[-1].problems()) == 1
        with pytest.raises(ValueError, match="busy"):
            told[-1].read(FOLDER + "new")


@virtual
async def test_where_watching_is_forbidden_they_are_listed_again_and_again():
    cluster = FakeCluster([site()], refusal=ForbiddenError("no"))
    async with following(cluster) as told:
        cluster.pages = [[site("page")]]
        await asyncio.sleep(20)
        assert sorted(told[-1].files) == [FOLDER + "page"]
        assert cluster.lists == 2


@virtual
async def test_rule_8_what_is_too_large_is_refused_and_of_all_together_only_so_much_is_kept():
    huge, large = {"x": "y" * (256 << 10)}, {"x": "y" * (250 << 10)}
    cluster = FakeCluster([site("huge", huge), *(site(f"large-{number:03}", large) for number in range(200)), site("zz")])
    async with following(cluster) as told:
        kept = [path for path, found in told[-1].files.items() if found.data]
        assert 120 < len(kept) < 140
        assert sum(len(found.data) for found in told[-1].files.values()) <= 32 << 20
        for name, words in (("huge", "it has more than 256 KiB"), ("large-199", "have more than 32 MiB")):
            with pytest.raises(ValueError, match=words):
                told[-1].read(FOLDER + name)
        cluster.events.put_nowait(WatchEvent("DELETED", site("large-000")))
        cluster.events.put_nowait(WatchEvent("MODIFIED", site("large-199", {"x": 1})))
        await asyncio.sleep(1)
        assert told[-1].read(FOLDER + "large-199")


@virtual
async def test_rule_8_what_is_nested_too_deeply_is_refused_and_harms_no_other():
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}
    async with following(FakeCluster([site("deep", deep), site()])) as told:
        assert told[-1].read(SITE)
        with pytest.raises(ValueError, match="nested too deeply"):
            told[-1].read(FOLDER + "deep")
    while deep:  # taken apart from the top: to forget it at once would go as deep
        deep = deep["a"]


def test_of_each_kind_of_definition_there_is_a_folder():
    assert {kind for _, kind in DEFINITIONS} == {"ComponentDefinition", "TraitDefinition", "PolicyDefinition", "WorkflowStepDefinition"}
    assert NOTHING.problems() == []
