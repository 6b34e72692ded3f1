"""So many requests at once, and so many of them to one receiver."""

import asyncio

import pytest

from reconciler.engine.lanes import Lanes, receiver_of


async def test_a_receiver_that_hangs_keeps_no_other_one_waiting_and_is_forgotten_when_nobody_asks_it():
    lanes, hang, entered = Lanes(5, 2), asyncio.Event(), []

    async def ask(receiver):
        async with lanes.enter(receiver):
            entered.append(receiver)
            await hang.wait()

    async with asyncio.TaskGroup() as group:
        for receiver in ("a", "a", "a", "a", "b", "c", "c", "d"):
            group.create_task(ask(receiver))
        for _ in range(5):
            await asyncio.sleep(0)
        assert sorted(entered) == ["a", "a", "b", "c", "c"]
        hang.set()
    assert len(entered) == 8
    assert lanes._lanes == {}


@pytest.mark.parametrize(
    ("url", "place"), [("http://a.example:80/p?q", "a.example:80"), ("https://me:s3cret@a.example/", "a.example"), ("http://[x", ""), ("", "")]
)
def test_of_a_url_host_and_port_are_shown(url, place):
    assert receiver_of(url) == place
