"""What the metrics say of workflows that were run, from a push to the exposition."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from reconciler.observe.metrics import Metrics
from reconciler.simulation.clock import START
from tests.integration.harness import Clone, running, virtual

FLOW = """\
apiVersion: workflow.example.com/v1alpha1
kind: Workflow
metadata: {{name: {name}}}
spec:
  queue: night
  steps:
  - name: first
    stepTemplate: {{type: sleep, parameters: {{seconds: "30"}}}}
  - name: second
    dependOns: [{{name: first}}]
    stepTemplate:
      type: fail
      parameters: {{message: "no", retryable: "true"}}
      retryPolicy: {{runRetryLimit: 2, runRetryPeriodSeconds: 5}}
"""


def samples(metrics, name):
    """Values but 0, by the values of the labels in the order of their names."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and sample.value
    }


@virtual
async def test_queue_attempts_and_rollbacks_of_two_workflows_of_which_one_runs_at_a_time(tmp_path):
    clone, metrics = Clone(tmp_path), Metrics(lambda: START)
    clone.push({f"{name}.yaml": FLOW.format(name=name) for name in ("a", "b")})
    async with running(clone, sinks=(metrics,), most_running=1, kind_qps={"fail": 0.1}) as daemon:
        await daemon.until(lambda: samples(metrics, "reconciler_runs_open") == {("Running", "night"): 1, ("Pending", "night"): 1})
        await daemon.until(lambda: sum(samples(metrics, "reconciler_runs_total").values()) == 2)
    assert samples(metrics, "reconciler_runs_total") == {("deploy", "RolledBack"): 2}
    assert samples(metrics, "reconciler_rollbacks_total") == {("failure",): 2}
    assert samples(metrics, "reconciler_step_attempts_total") == {
        ("ok", "sleep"): 2,
        ("undone", "sleep"): 2,
        ("again", "fail"): 4,
        ("failed", "fail"): 2,
    }
    assert samples(metrics, "reconciler_queue_wait_seconds_count") == {("night",): 2}
    assert samples(metrics, "reconciler_queue_wait_seconds_sum")[("night",)] > 30
    assert samples(metrics, "reconciler_throttled_total") == {("fail",): 4}
    assert samples(metrics, "reconciler_runs_open") == {}
