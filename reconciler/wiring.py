"""Settings to an engine: what a daemon and a simulation have in common, and the only place that puts the engine's parts together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog

from reconciler.cluster.protocol import Cluster
from reconciler.dialects.catalog import LATER_STEP_TYPES
from reconciler.dialects.registry import dialects
from reconciler.engine.access import Access
from reconciler.engine.engine import Engine, Options
from reconciler.engine.executors import Executor
from reconciler.engine.standins import KINDS, StandIn
from reconciler.model.application import Retry
from reconciler.model.clock import Clock
from reconciler.model.event import Sink
from reconciler.model.outcome import StepType
from reconciler.model.text import nearest
from reconciler.render.engine import PythonRenderer
from reconciler.settings import Settings
from reconciler.source.protocol import Source
from reconciler.steps.catalog import STEP_TYPES

_log = structlog.get_logger("reconciler")

RESERVED: Final = frozenset({*STEP_TYPES, *LATER_STEP_TYPES})
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
) -> Engine:
    """
    An engine with every family, step type and component type that is built in. `beat`: seconds between two signs of life. `plugins`: step
    types beside them, and `executors`: of their effects.
    """
    access = Access(settings.access, settings.allow_cluster_scoped, settings.namespace)
    queue, retry = settings.controller_config.queue, settings.retry
    options = Options(
        namespace=settings.namespace,
        access=access,
        create_namespaces=settings.create_namespaces or "none",
        write_back=settings.write_back,
        beat=beat,
        strategy=queue.strategy,
        most_running=queue.max_running_count,
        retry=Retry(retry.limit, retry.period_seconds, retry.factor, retry.cap_seconds),
        health=settings.health_timeout_seconds,
        throttle_qps=settings.throttle_qps,
        kind_qps={limit.kind: limit.qps for limit in settings.controller_config.steps},
    )
    types = {**plugins, **STEP_TYPES}
    for limit in settings.controller_config.steps:
        if limit.kind not in types:  # not an error: its plug-in may come later, and until then there is nothing to limit
            _log.warning("controllerConfig.steps limits a step type that there is not", kind=limit.kind, nearest=nearest(limit.kind, types))
    return Engine(
        cluster, source, dialects(STEP_TYPES, plugins), types, PythonRenderer(), clock, sink, options, {**build_executors(clock), **executors}
    )


def build_executors(clock: Clock) -> dict[str, Executor]:
    """Of all kinds of effects but those that the engine itself carries out."""
    return dict.fromkeys(KINDS, StandIn(clock))
