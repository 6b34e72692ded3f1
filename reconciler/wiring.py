"""Settings to an engine: what a daemon and a simulation have in common, and the only place that puts the engine's parts together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import structlog

from reconciler.charts.fetching import Charts
from reconciler.charts.protocol import ChartError, Reply
from reconciler.charts.store import ArchiveStore
from reconciler.cluster.protocol import Cluster
from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.dialects.in_cluster import InCluster
from reconciler.dialects.registry import dialects
from reconciler.engine.access import Access
from reconciler.engine.asking import Asking, NotAsking
from reconciler.engine.engine import Engine
from reconciler.engine.executors import Executor
from reconciler.engine.leadership import Lead
from reconciler.engine.mailing import Mailing
from reconciler.engine.measuring import Meter
from reconciler.engine.options import Options
from reconciler.engine.standins import KINDS, StandIn
from reconciler.engine.unsealing import Unsealer, Unsealing
from reconciler.model.application import Retry
from reconciler.model.clock import Clock
from reconciler.model.event import Sink
from reconciler.model.names import DEFINED
from reconciler.model.outcome import StepType
from reconciler.model.text import nearest
from reconciler.notify.mail import Post
from reconciler.notify.protocol import NotifyError, Request, Sender
from reconciler.render.definitions import shared
from reconciler.render.engine import ComponentRenderer
from reconciler.sealing.command import Command
from reconciler.sealing.opening import Place
from reconciler.settings import Settings
from reconciler.source.protocol import Source
from reconciler.steps.catalog import STEP_TYPES
from reconciler.steps.defined import DefinedStep

_log = structlog.get_logger("reconciler")

CHART_SECONDS: Final = 60.0
"""How long one answer of a chart repository or a registry is waited for, all of its body."""
RESERVED: Final = frozenset({*STEP_TYPES, *LATER_STEP_TYPES, DEFINED})
"""Names that no plug-in may have: those of built-in step types, and of those that will be."""


def build_engine(
    settings: Settings,
    cluster: Cluster,
    source: Source,
    clock: Clock,
    sink: Sink,
    beat: float = 5.0,
    plugins: Mapping[str, StepType] = MappingProxyType({}),
    executors: Mapping[str, Executor] = MappingProxyType({}),
    sender: Sender | None = None,
    post: Post | None = None,
    charts: Charts | None = None,
    meter: Meter | None = None,
    recall: Path | None = None,
    unsealer: Unsealer | None = None,
    lead: Lead | None = None,
    reruns: bool = True,
) -> Engine:
    """
    An engine with every family, step type and component type that is built in. `beat`: seconds between two signs of life. `plugins`: step
    types beside them, and `executors`: of their effects. `sender`, `post`, `meter`: None where nothing leaves the machine, as in a simulation.
    `unsealer`: who decrypts, None: the operator's keys. `charts`: who fetches them, None as with `sender`.
    `recall`: as in `Options`; not with plug-ins, which say what a manifest may hold: of their code nobody knows when it is another one.
    `lead`: None where nobody else can work on this cluster. `reruns`: as in `Options`.
    """
    options = read_options(settings, beat, None if plugins else recall, unsealer or build_unsealer(settings, cluster), charts, meter)
    options = replace(options, reruns=reruns)
    types = {**plugins, **STEP_TYPES, DEFINED: DefinedStep()}
    for limit in settings.controller_config.steps:
        if limit.kind not in types:  # not an error: its plug-in may come later, and until then there is nothing to limit
            _log.warning("controllerConfig.steps limits a step type that there is not", kind=limit.kind, nearest=nearest(limit.kind, types))
    return Engine(
        cluster,
        source,
        dialects(STEP_TYPES, plugins, shared(), InCluster(settings.cluster_definitions)),
        types,
        ComponentRenderer(),
        clock,
        sink,
        options,
        {**build_executors(clock, sender, options.rpc_seconds, post), **executors},
        sender,
        lead,
    )


def read_options(
    settings: Settings, beat: float, recall: Path | None, unsealer: Unsealer, charts: Charts | None = None, meter: Meter | None = None
) -> Options:
    queue, retry = settings.controller_config.queue, settings.retry
    return Options(
        namespace=settings.namespace,
        access=Access(settings.access, settings.allow_cluster_scoped, settings.namespace),
        create_namespaces=settings.create_namespaces or "none",
        write_back=settings.write_back,
        beat=beat,
        width=8 if settings.cluster == "embedded" else 32,
        strategy=queue.strategy,
        most_running=queue.max_running_count,
        retry=Retry(retry.limit, retry.period_seconds, retry.factor, retry.cap_seconds),
        health=settings.health_timeout_seconds,
        throttle_qps=settings.throttle_qps,
        kind_qps={limit.kind: limit.qps for limit in settings.controller_config.steps},
        rpc_seconds=settings.rpc_timeout_mill_seconds / 1000,
        recall=recall,
        unsealer=unsealer,
        evaluate=shared().evaluate,
        judge=shared().judge,
        charts=charts,
        meter=meter,
        take_over_from=frozenset(settings.take_over_from),
        cluster_definitions=settings.cluster_definitions,
        shard=None if settings.cluster == "embedded" else settings.shard,
    )


def build_unsealer(settings: Settings, cluster: Cluster) -> Unsealer:
    """Who decrypts, with the operator's keys."""
    places = [Place(keys.path, keys.age_key_file, keys.secret) for keys in settings.sops_keys]
    if settings.sops_age_key_file or settings.sops_secret:
        places.append(Place("", settings.sops_age_key_file, settings.sops_secret))
    return Unsealing(cluster, places, Command(settings.sops_command, tuple(settings.sops_services), tuple(settings.allow_egress)))


def build_charts(sender: Sender, folder: Path | None) -> Charts:
    """Charts through that sender. `folder`: where archives are kept, None: nowhere on disk."""

    async def get(url: str, headers: Mapping[str, str], limit: int) -> Reply:
        try:
            answer = await sender.send(Request("GET", url, headers), CHART_SECONDS, limit)
        except NotifyError as error:
            raise ChartError(str(error), retry=error.retry != "terminal") from None
        return Reply(*answer)

    return Charts(get, ArchiveStore(folder))


def build_executors(clock: Clock, sender: Sender | None = None, seconds: float = 5.0, post: Post | None = None) -> dict[str, Executor]:
    """Of all kinds of effects but those that the engine itself carries out. `seconds`: how long an answer is waited for."""
    asking = Asking(sender, seconds, clock) if sender is not None else NotAsking(clock)
    mailing = Mailing(post, clock) if post is not None else NotAsking(clock)
    return {**dict.fromkeys(KINDS, StandIn(clock)), "http": asking, "mail": mailing}
