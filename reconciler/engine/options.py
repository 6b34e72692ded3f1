"""What the operator decided that the engine heeds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.charts.fetching import Charts
from reconciler.engine.access import Access
from reconciler.engine.measuring import Meter
from reconciler.engine.namespaces import Creation
from reconciler.engine.unsealing import Unsealer
from reconciler.model.application import Retry
from reconciler.model.names import KUBECTL_MANAGERS
from reconciler.model.outcome import HEALTH_SECONDS
from reconciler.workflow.admission import Strategy


def no_evaluator(_: str) -> dict[str, Any]:
    return {"error": "definitions are not available here"}


def no_judge(_: str) -> str:
    return "definitions are not available here"


@dataclass(frozen=True, slots=True)
class Options:
    """`namespace`: the daemon's own. `beat`: seconds between two signs of life. `width`: how many applications have a turn at once: a turn is
    mostly waiting for a cluster that is elsewhere. `strategy`, `most_running`: who of the
    runs in queues goes on. `throttle_qps`: effects of steps that are started in a second, 0: all; `kind_qps`: the same by step type.
    `retry`, `health`: of steps where no manifest says so. `rpc_seconds`: how long an answer of who is asked over HTTP is waited for.
    `recall`: the file in which is kept, for the next start, what looks made of the repository's files. `unsealer`: who decrypts; None: there
    are no keys. `charts`: who fetches them; None where no connection is made. `evaluate`: how far a definition comes; it blocks.
    `judge`: how objects are by health policies; it blocks. `meter`: who is asked about metrics; None: nobody.
    `take_over_from`: field managers whose fields become ours in an object that is applied. `shard`: as in `Shards`. `reruns`: runs that
    ask for it are run once more; not in a simulation, which would never come to rest. `cluster_definitions`: the namespace of the cluster
    whose definitions are used; empty: none are.
    """

    namespace: str
    access: Access
    create_namespaces: Creation = "none"
    write_back: bool = True
    beat: float = 5.0
    width: int = 8
    strategy: Strategy = "FIFO"
    most_running: int = 100
    retry: Retry | None = None
    health: float = HEALTH_SECONDS
    throttle_qps: float = 0.0
    kind_qps: Mapping[str, float] = field(default_factory=dict)
    rpc_seconds: float = 5.0
    recall: Path | None = None
    unsealer: Unsealer | None = None
    evaluate: Callable[[str], dict[str, Any]] = no_evaluator
    judge: Callable[[str], list[dict[str, Any]] | str] = no_judge
    charts: Charts | None = None
    meter: Meter | None = None
    take_over_from: Collection[str] = KUBECTL_MANAGERS
    shard: str | None = None
    reruns: bool = True
    cluster_definitions: str = ""
