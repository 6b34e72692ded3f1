"""One leader and its standbys (rule 3h): hand-over, what a standby shows, and what a leader that stood still must not do."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

import pytest

from reconciler.cluster.protocol import ClusterError
from reconciler.engine.leadership import LeadLostError
from reconciler.model.identity import GVK, AppKey, ObjectRef
from reconciler.model.names import STATE_KINDS
from tests.integration.harness import Clone, config_map_app, virtual
from tests.integration.replicas import LEASE, SECONDS, Replica, Replicas, replicas, until

GATE = "gates.reconciler.dev/approve"


def value_of(found: Replicas, name: str = "web") -> str:
    row = found.cluster._objects.get(ObjectRef("v1", "ConfigMap", "default", name))
    return str(row["data"]["value"])


def shows(replica: Replica, text: str, name: str = "web") -> bool:
    status = replica.daemon.status(name)
    return status is not None and status.sync == "Synced" and status.running is not None and status.running.revision == text


def synced(replica: Replica, name: str = "web") -> bool:
    status = replica.daemon.status(name)
    return status is not None and status.sync == "Synced"


def phase_of(replica: Replica, run: str, name: str = "web") -> str:
    found = replica.daemon.engine._context.apps[AppKey("default", name)].find_run(run)
    return found.phase.value if found is not None else ""


async def push(clone: Clone, *found: Replica, **texts: Any) -> None:
    clone.push({f"{name}.yaml": config_map_app(name, str(text)) for name, text in texts.items()})
    for one in found:
        one.daemon.engine.look()


def loop_time() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_rule_3h_the_first_leads_and_the_others_show_what_it_does(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first = await found.start()
        await until(lambda: shows(first, "web-v1"), "the first leads")
        second = await found.start(ahead=1e6)
        await until(lambda: shows(second, "web-v1"), "the second shows it")
        assert (first.lead.leads, second.lead.leads, second.lead.leader) == (True, False, "r1_x")
        await push(clone, first, second, web=2)
        await until(lambda: shows(second, "web-v2"), "the second follows")
        assert {name for name, *_ in found.writes} == {"r1"}
        assert second.daemon.engine.reader.ready() == (True, "")


@virtual
async def test_rule_3h_after_a_death_another_one_leads_within_the_lease_and_writes_nothing_that_is_there(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1"), "api.yaml": config_map_app("api", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start(ahead=-1e6)
        await until(lambda: shows(second, "web-v1") and shows(second, "api-v1", "api"), "applied, and seen")
        await asyncio.sleep(60)
        dead = loop_time()
        await first.kill()
        await until(lambda: second.leads, "the second leads")
        assert loop_time() - dead <= SECONDS + 0.2
        assert (await found.lease())["leaseTransitions"] == 1
        await asyncio.sleep(60)
        assert {kind for name, _, kind, *_ in found.writes if name == "r2"} == {"Lease"}, "a hand-over alone writes nothing"
        await push(clone, second, web=2)
        await until(lambda: shows(second, "web-v2") and value_of(found) == "2", "the second goes on")


@virtual
async def test_rule_3h_what_is_pushed_while_nobody_leads_is_begun_by_the_next_leader_though_it_has_read_it_before(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        await first.kill()
        await push(clone, second, web=2, api=1)
        entries = second.daemon.engine._context.index.entries
        await until(lambda: len(entries) == 2 and not second.leads, "it has read them, and stands by")
        await until(lambda: shows(second, "api-v1", "api") and shows(second, "web-v2"), "both are applied, by no further look")


@virtual
async def test_rule_3h_a_look_that_was_under_way_when_the_lead_was_won_is_no_look_of_a_leader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        await first.kill()
        await push(clone, web=2)
        thread, slow = second.daemon.engine._context.thread, asyncio.Event()
        call = thread.call

        async def late(work: Any) -> Any:
            await slow.wait()
            return await call(work)

        monkeypatch.setattr(thread, "call", late)
        second.daemon.engine.look()
        await until(lambda: second.daemon.engine._context.acting, "the second leads, and acts on state")
        slow.set()
        await until(lambda: shows(second, "web-v2"), "what was pushed is applied, by no further look")


@virtual
async def test_rule_3h_a_clean_end_hands_the_lead_on_at_once(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        ended = loop_time()
        await first.end()
        await until(lambda: second.leads, "the second leads")
        assert loop_time() - ended < 3.0


@virtual
async def test_rule_3h_a_run_goes_on_under_the_next_leader_where_it_was(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1", gate=True)})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        status = await first.daemon.waiting("web")
        await until(lambda: (seen := second.daemon.status("web")) is not None and seen.gate == status.gate, "the second shows the same gate and code")
        await first.kill()
        clone.push({"web.yaml": config_map_app("web", "1", gate=True, annotations={GATE: status.gate.continue_})})
        await until(lambda: second.leads, "the second leads")
        await until(lambda: second.daemon.engine.look() or shows(second, "web-v1"), "the gate was opened under the second")
        assert [run.name for run in second.daemon.engine._context.apps[status.key].runs] == ["web-v1-1"]


@virtual
async def test_rule_3h_a_leader_that_stood_still_starts_nothing_and_ends(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        first.line.stop()
        await push(clone, first, web=2)
        await asyncio.sleep(SECONDS * 2 / 3 + 1)
        clone.push({"web.yaml": config_map_app("web", "3")})
        await until(lambda: second.leads, "the second leads")
        await until(lambda: second.daemon.engine.look() or value_of(found) == "3", "the second applies the newest")
        begun = len(found.writes)
        first.line.go_on()
        await until(lambda: first.ended, "the first ends")
        with pytest.raises(BaseExceptionGroup) as raised:
            first.daemon.task.result()
        assert raised.group_contains(LeadLostError, match="r2_x leads now")
        assert "r1" not in {name for name, _, kind, *_ in found.writes[begun:]}
        await until(lambda: shows(second, "web-v2"), "3, of which the first made no revision, is promoted")


@virtual
async def test_rule_3h_an_outage_of_the_cluster_costs_nobody_the_lead(tmp_path: Path) -> None:
    """Nobody else wrote meanwhile: what is in memory is still the truth. Nothing is started while the lease is over."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        only = await found.start()
        await until(lambda: shows(only, "web-v1"), "applied")
        only.line.stop()
        await asyncio.sleep(300)
        only.line.go_on()
        await push(clone, only, web=2)
        await until(lambda: shows(only, "web-v2"), "it goes on")
        assert not only.ended
        assert (await found.lease())["leaseTransitions"] == 0


@virtual
async def test_rule_3h_a_late_apply_of_a_leader_that_stood_still_is_put_right(tmp_path: Path) -> None:
    """It was checked in time, and arrives after another one has applied something newer: no check can help that, only looking does."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        clone.push({"web.yaml": config_map_app("web", "2")})
        inner, line = first.line._cluster, first.line

        class Late:
            """The process stops between the check and the sending of that one request."""

            def __getattr__(self, name: str) -> Any:
                return getattr(inner, name)

            async def apply(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
                line.stop()
                await line._moves.wait()
                return await inner.apply(obj, *args, **kwargs)

        first.line._cluster = Late()
        first.daemon.engine.look()
        await until(lambda: not first.line._moves.is_set(), "it stands still before it applies 2")
        clone.push({"web.yaml": config_map_app("web", "3")})
        await until(lambda: second.leads, "the second leads")
        await until(lambda: second.daemon.engine.look() or shows(second, "web-v3"), "the second applies the newest")
        first.line.go_on()
        await until(lambda: first.ended, "the first ends")
        await until(lambda: value_of(found) == "3", "3 is put back")


class Late:
    """The process stops between the check and the sending of one request about state: the first of its kind."""

    def __init__(self, replica: Replica, method: str, kind: str) -> None:
        self._inner, self._line, self._method, self._kind = replica.line._cluster, replica.line, method, kind
        self.held, self.refused = "", ""
        replica.line._cluster = self  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return functools.partial(self._send, found) if name == self._method else found

    async def _send(self, send: Any, obj: Any) -> Any:
        if self.held or obj["kind"] != self._kind:
            return await send(obj)
        self.held = obj["metadata"]["name"]
        self._line.stop()
        await self._line._moves.wait()
        try:
            return await send(obj)
        except ClusterError as error:
            self.refused = error.reason
            raise


async def stored(found: Replicas) -> dict[str, str]:
    """Every state object with its version."""
    kinds = [GVK("reconciler.dev", "v1alpha1", kind) for kind in STATE_KINDS]
    return {str(ObjectRef.of(obj)): obj["metadata"]["resourceVersion"] for kind in kinds for obj in (await found.cluster.list(kind)).items}


@virtual
@pytest.mark.parametrize(("method", "kind"), [("create", "ApplicationRevision"), ("replace", "WorkflowRun"), ("replace_status", "Application")])
async def test_rule_3h_a_late_write_of_state_is_refused_once_the_next_leader_has_written(tmp_path: Path, method: str, kind: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        late = Late(first, method, kind)
        await push(clone, first, web=2)
        await until(lambda: late.held, "it stands still before it writes")
        clone.push({"web.yaml": config_map_app("web", "3")})
        await until(lambda: second.leads, "the second leads")
        await until(lambda: second.daemon.engine.look() or (value_of(found) == "3" and synced(second)), "the second applies the newest")
        before = await stored(found)
        first.line.go_on()
        await until(lambda: first.ended, "the first ends")
        assert late.refused in ("Conflict", "AlreadyExists")
        assert await stored(found) == before
        assert value_of(found) == "3"


@virtual
async def test_rule_3h_a_run_that_a_stopped_leader_makes_late_is_passed_by_and_applies_nothing(tmp_path: Path) -> None:
    """Its name was free, so nothing refuses it."""
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(second, "web-v1"), "applied, and seen")
        late = Late(first, "create", "WorkflowRun")
        await push(clone, first, web=2)
        await until(lambda: late.held, "it stands still before it makes the run of 2")
        clone.push({"web.yaml": config_map_app("web", "3")})
        await until(lambda: second.leads, "the second leads")
        await until(lambda: second.daemon.engine.look() or (value_of(found) == "3" and synced(second)), "the second applies the newest")
        first.line.go_on()
        await until(lambda: first.ended, "the first ends")
        assert late.refused == ""
        await second.end()
        begun = len(found.writes)
        third = await found.start()
        await until(lambda: third.leads and synced(third), "the third leads, and has read of it")
        await until(lambda: phase_of(third, "web-v2-1") == "Superseded", "it is passed by")
        assert value_of(found) == "3"
        assert not {("apply", "ConfigMap"), ("create", "WorkflowRun")} & {(method, kind) for _, method, kind, _, _ in found.writes[begun:]}


@virtual
async def test_rule_3h_an_ancestor_of_what_was_observed_is_no_news_to_a_new_leader(tmp_path: Path) -> None:
    """Its copy of the repository may be behind."""
    clone = Clone(tmp_path)
    old = clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first = await found.start()
        await until(lambda: shows(first, "web-v1"), "1 applied")
        new = clone.push({"web.yaml": config_map_app("web", "2")})
        first.daemon.engine.look()
        await until(lambda: shows(first, "web-v2"), "2 applied")
        await first.kill()
        clone.git("push", "-q", "--force", "origin", f"{old}:main")
        second = await found.start()
        await until(lambda: second.lead.leads and second.daemon.engine.reader.fault(), "the second leads, and says what is the matter")
        fault = second.daemon.engine.reader.fault()
        assert fault is not None
        assert f"an ancestor of {new[:12]}" in fault.message
        await asyncio.sleep(60)
        assert value_of(found) == "2"
        clone.git("push", "-q", "--force", "origin", f"{new}:main")
        await until(lambda: second.daemon.engine.reader.fault() is None, "it is up to date again")
        clone.git("push", "-q", "--force", "origin", f"{old}:main")
        second.daemon.engine.look()
        await until(lambda: value_of(found) == "1", "it saw the ref move there: that is news")


@virtual
async def test_rule_3h_a_standby_that_saw_the_ref_move_back_takes_it_for_news(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    old = clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first, second = await found.start(), await found.start()
        await until(lambda: shows(first, "web-v1"), "1 applied")
        await push(clone, first, second, web=2)
        await until(lambda: shows(second, "web-v2"), "2 applied, and seen")
        await first.kill()
        clone.git("push", "-q", "--force", "origin", f"{old}:main")
        second.daemon.engine.look()
        await until(lambda: second.leads, "the second leads")
        await until(lambda: value_of(found) == "1", "back to 1")


@virtual
async def test_rule_3h_no_lead_without_a_lease_and_none_is_written_for_a_cluster_of_ones_own(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"web.yaml": config_map_app("web", "1")})
    async with replicas(clone) as found:
        first = await found.start()
        await until(lambda: shows(first, "web-v1"), "applied")
        spec = await found.lease()
        assert spec["holderIdentity"] == "r1_x"
        assert spec["leaseDurationSeconds"] == SECONDS
        renewals = [at for _, _, kind, name, at in found.writes if (kind, name) == ("Lease", LEASE.name)]
        await asyncio.sleep(60)
        later = [at for _, _, kind, name, at in found.writes if (kind, name) == ("Lease", LEASE.name)][len(renewals) :]
        assert 15 <= len(later) <= 25, "five times a lease"
