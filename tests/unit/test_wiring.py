"""What the operator set arrives where it acts."""

from types import SimpleNamespace

from structlog.testing import capture_logs

from reconciler.daemon import SystemClock
from reconciler.model.application import Retry
from reconciler.observe.metrics import Fanout
from reconciler.settings import Settings
from reconciler.settings_parts import Backoff, ControllerConfig, KindLimit, Queues
from reconciler.wiring import build_engine


def context_of(settings):
    engine = build_engine(settings, SimpleNamespace(), SimpleNamespace(identity="x"), SystemClock(), Fanout())
    context = engine._context
    context.thread.close()
    return context


def test_a_limit_of_a_step_type_that_there_is_not_is_warned_of_with_the_nearest():
    config = ControllerConfig(steps=[KindLimit("randon", 1.0), KindLimit("http", 2.0)])
    with capture_logs() as logs:
        context_of(Settings(controller_config=config))
    assert [(line["log_level"], line["kind"], line["nearest"]) for line in logs] == [("warning", "randon", "random")]


def test_queues_rates_and_numbers_of_trying_again_are_the_operators():
    config = ControllerConfig(Queues("FAIR", 3), [KindLimit("http", 2.0)])
    settings = Settings(throttle_qps=5.0, controller_config=config, retry=Backoff(limit=2, cap_seconds=9.0), health_timeout_seconds=30.0)
    context = context_of(settings)
    assert (context.admission._strategy, context.admission._limit) == ("FAIR", 3)
    assert context.throttle._all._rate == 5.0
    assert {kind: bucket._rate for kind, bucket in context.throttle._buckets.items()} == {"http": 2.0}
    assert (context.machine._retry, context.machine._health) == (Retry(limit=2, cap=9.0), 30.0)


def test_nothing_is_limited_unless_the_operator_says_so():
    context = context_of(Settings())
    assert context.throttle._all is None
    assert context.throttle._buckets == {}
    assert context.admission._limit == 100
    assert context.machine._retry == Retry()
