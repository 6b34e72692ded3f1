"""Which written decision counts for which waiting gate (rules 4a-4e). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from reconciler.gates.annotations import Item, Remark
from reconciler.model.canonical import digest as hash_of
from reconciler.model.identity import AppKey
from reconciler.model.names import GATE_PREFIX
from reconciler.model.run import Verb

_STRENGTH: dict[Verb, int] = {"rollback": 3, "end": 2, "continue": 1}


def gate_code(cluster_id: str, app: AppKey, digest: str, run_uid: str, gate: str, turn: int) -> str:
    """Rule 4a: the first 12 hex digits of SHA-256 over cluster id, namespace/name, digest, run uid, gate key and round.

    Nobody can know it before the run exists, and it fits no other cluster, application, revision, run, gate or round.
    """
    return hash_of([cluster_id, app.namespace, app.name, digest, run_uid, gate, turn])[:12]


class WaitingGate(NamedTuple):
    """A gate that waits. `key`, `code`: what opens it for good; for a suspend that forms a pair with the rollout-promotion
    after it these are the promotion's (4e), and `own_key`, `own_code` the suspend's. `since`: when the pair began to wait."""

    step: str
    key: str
    code: str
    since: datetime
    own_key: str = ""
    own_code: str = ""


class Head(NamedTuple):
    """One head as it was looked at: the git digest that it gives for this application, and when the ref was read."""

    digest: str
    looked_at: datetime


class Verdict(NamedTuple):
    """The decision that counts. `gate`: the key that it opens: the pair's, or the suspend's own."""

    gate: str
    verb: Verb
    item: Item


class Judgement(NamedTuple):
    """`look_again`: a `continue` stands there whose head was read before the gate began to wait (4b)."""

    verdict: Verdict | None
    remarks: list[Remark]
    look_again: bool = False


def judge(gate: WaitingGate, items: Sequence[Item], head: Head, run_digest: str, standing: Collection[str]) -> Judgement:
    """Rules 4b and 4c for one gate. The strongest counting item wins: rollback beats end beats continue."""
    remarks: list[Remark] = []
    counting: list[Verdict] = []
    look_again = False
    mine = [item for item in items if item.gate in ("", gate.key, gate.own_key)]
    if head.digest != run_digest:
        return Judgement(None, [])
    for item in mine:
        opens, code = (gate.own_key, gate.own_code) if gate.own_key and item.gate == gate.own_key else (gate.key, gate.code)
        remark = _objection(item, code, standing, gate)
        if remark is not None:
            remarks.append(remark)
        elif item.verb == "continue" and head.looked_at <= gate.since:
            look_again = True
        else:
            counting.append(Verdict(opens, item.verb, item))
    # A continue for the pair passes both gates, so it is stronger than one for the suspend alone.
    best = max(counting, key=lambda verdict: (_STRENGTH[verdict.verb], verdict.gate == gate.key), default=None)
    return Judgement(best, [] if best else remarks, look_again and best is None)


def judge_run(code: str, items: Sequence[Item], head: Head, run_digest: str, standing: Collection[str]) -> Judgement:
    """Rule 4f: `run` takes rollback or end at any time of an unfinished run. It is never what the pair of 4d addresses."""
    gate = WaitingGate("run", "run", code, head.looked_at)
    return judge(gate, [item for item in items if item.gate == "run"], head, run_digest, standing)


def judge_late(items: Sequence[Item], over: Mapping[str, str], known: Collection[str], instead: str, line: str = "") -> list[Remark]:
    """
    Rule 4f for what nothing waits for any more: never silent either. `over`: codes by the key of each gate that was passed or ended
    with its run, the empty key for SREWorks' pair. `known`: items that were used, or stood there before the run began: they are
    history. `instead`: what a person may do now, by `line`.
    """
    remarks: list[Remark] = []
    for item in items:
        if item.gate not in over or item.text in known:
            continue
        gate = item.gate or "of the pair"
        if item.code and item.gate and item.code != over[item.gate]:
            remarks.append(
                Remark("StaleCode", f"{item.verb}@{item.code} is of another run, revision, gate or environment than {gate}; {instead}", line)
            )
        else:
            remarks.append(Remark("TooLate", f"{item.verb} for gate {gate} came after its end and so does not count; {instead}", line))
    return remarks


def _objection(item: Item, code: str, standing: Collection[str], gate: WaitingGate) -> Remark | None:
    line = f'{GATE_PREFIX}{gate.key}: "{item.verb}@{gate.code}"'
    if item.code:
        if item.code == code:
            return None
        return Remark(
            "StaleCode", f"{item.verb}@{item.code} is of another run, revision, gate or environment; for gate {gate.step} commit {line}", line
        )
    if item.verb == "continue":
        return Remark("CodeNeeded", f"continue needs the code of what it approves; for gate {gate.step} commit {line}", line)
    if item.text in standing:
        return Remark("Spent", f"{item.verb} stood there before this run began and so does not count; for gate {gate.step} commit {line}", line)
    return None
