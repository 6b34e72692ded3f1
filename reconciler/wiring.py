"""Settings to an engine: what a daemon and a simulation have in common, and the only place that puts the engine's parts together."""

from __future__ import annotations

from reconciler.cluster.protocol import Cluster
from reconciler.dialects.registry import dialects
from reconciler.engine.access import Access
from reconciler.engine.engine import Engine, Options
from reconciler.model.clock import Clock
from reconciler.model.event import Sink
from reconciler.render.engine import PythonRenderer
from reconciler.settings import Settings
from reconciler.source.protocol import Source
from reconciler.steps.catalog import STEP_TYPES


def build_engine(settings: Settings, cluster: Cluster, source: Source, clock: Clock, sink: Sink, beat: float = 5.0) -> Engine:
    """An engine with every family, step type and component type that is built in. `beat`: seconds between two signs of life."""
    access = Access(settings.access, settings.allow_cluster_scoped, settings.namespace)
    options = Options(settings.namespace, access, settings.create_namespaces or "none", settings.write_back, beat)
    return Engine(cluster, source, dialects(STEP_TYPES), STEP_TYPES, PythonRenderer(), clock, sink, options)
