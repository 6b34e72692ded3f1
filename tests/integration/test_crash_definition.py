"""Rules 2 and 9: the daemon dies at every write of a definition's step with two effects, and each is done under one key, with one result."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from reconciler.engine.applications import Application
from reconciler.engine.executors import Plain
from reconciler.model.canonical import canonical
from reconciler.model.outcome import Result
from reconciler.model.run import Run
from reconciler.testing.bench import Bench
from reconciler.workflow.facts import Order
from tests.integration.test_definitions import application, definition

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("renderers")]

TEMPLATE = """
    import "vela/kube"
    import "vela/http"
    import "vela/builtin"
    ask: http.#HTTPPost & {$params: {url: "https://example.org/ticket", request: body: context.name}}
    made: kube.#Apply & {$params: value: {
        apiVersion: "v1", kind: "ConfigMap", metadata: name: "ticket"
        data: id: ask.$returns.body
    }}
    said: builtin.#Message & {$params: message: "ticket \\(made.$returns.value.data.id)"}
"""
FILES = {"shop.yaml": application("{name: open, type: ticket}"), "definitions/ticket.yaml": definition("ticket", TEMPLATE)}


class Tickets:
    """Who answers requests: another number each time, so that a second request would be seen in what comes of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []

    async def prepare(self, app: Application, run: Run, order: Order) -> Plain:
        return Plain(run, order)

    async def execute(self, app: Application, planned: Any) -> Result:
        self.asked.append((planned.order.key, canonical(planned.order.effect.params)))
        return Result(value={"answer": {"statusCode": 200, "body": str(len(self.asked))}})


def play(write: int = 0, *, landed: bool = True) -> tuple[Tickets, Run, int, int]:
    """A push to the end of its run. `write`: at which the daemon dies, 0: it does not. Also: how often it wrote, and how many daemons there were."""
    tickets = Tickets()
    with Bench({}, executors={"http": tickets}) as bench:
        if write:
            bench.die_at(write, landed=landed)
        before = bench.writes
        bench.commit(FILES)
        bench.finish("shop")
        bench.settle()
        run = bench.run("shop")
        kept = bench.object("ConfigMap", "ticket")
        assert kept is not None
        assert run.phase == "Succeeded", run
        assert run.steps[0].message == f"ticket {kept['data']['id']}"
        assert kept["data"]["id"] == str(len(tickets.asked))
        return tickets, run, bench.writes - before, bench.lives


def test_rule_9_each_effect_of_a_definition_has_one_key_and_one_result_wherever_the_daemon_dies() -> None:
    tickets, run, writes, _ = play()
    assert len(tickets.asked) == 1
    assert sorted(run.steps[0].intents) == ["ask", "made"]
    deaths = Counter[int]()
    for write in range(1, writes + 1):
        for landed in (True, False):
            tickets, run, _, lives = play(write, landed=landed)
            deaths[lives] += 1
            assert len(set(tickets.asked)) == 1, (write, landed)
            assert len(tickets.asked) <= 2, (write, landed)  # again only where the answer was lost before it was stored
            assert sorted(run.steps[0].intents) == ["ask", "made"]
            assert run.steps[0].attempt == 0
    assert deaths[2] >= 2 * (writes - 1)  # two writes of what is told at the end may be one
