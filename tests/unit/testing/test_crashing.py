"""A daemon that died reaches nothing any more."""

import asyncio

import pytest

from reconciler.testing.crashing import Died, Lifeline


class Cluster:
    def __init__(self):
        self.landed = []

    async def create(self, obj):
        self.landed.append(obj)

    async def get(self, ref):
        return ref


@pytest.mark.parametrize(("landed", "expected"), [(True, ["a", "b"]), (False, ["a"])])
async def test_after_the_write_at_which_it_dies_nothing_lands_and_nothing_answers(landed, expected):
    cluster, deaths = Cluster(), []
    line = Lifeline(cluster, lambda: deaths.append(1))
    line.dies = Died(2, landed)
    await line.create("a")
    assert await line.get("x") == "x"
    waiting = [asyncio.create_task(line.create(name)) for name in "bcd"]
    done, _ = await asyncio.wait(waiting, timeout=0.05)
    assert not done
    assert cluster.landed == expected
    assert line.dead
    assert deaths
    for task in waiting:
        task.cancel()
