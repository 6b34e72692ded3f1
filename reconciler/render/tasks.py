"""`task` and `cron-task`: KubeVela's components that run to an end, with its parameters."""

from __future__ import annotations

import copy
from typing import Any, Final

from reconciler.model.application import Component
from reconciler.model.identity import JsonObject
from reconciler.render.fields import Fields
from reconciler.render.pods import pod_template
from reconciler.render.protocol import Files, RenderContext

_MOST: Final = 2**31 - 1
_RESTARTS: Final = ("Never", "OnFailure")
_POLICIES: Final = ("Allow", "Forbid", "Replace")


def render_task(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    """A Job. A change of what it runs makes it anew when it is applied (`engine.apply`): a Job's template can't be changed."""
    fields = Fields(component.name, component.properties)
    return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": component.name}, "spec": _job(component, context, fields)}]


def render_cron_task(component: Component, context: RenderContext, files: Files) -> list[JsonObject]:  # noqa: ARG001 - the shape of every kind
    fields = Fields(component.name, component.properties)
    job = _job(component, context, fields) | {"backoffLimit": fields.whole("backoffLimit", 0, _MOST, 6)}
    job |= {name: fields.whole(name, 0, _MOST, 0) for name in ("ttlSecondsAfterFinished", "activeDeadlineSeconds") if fields.has(name)}
    spec: dict[str, Any] = {
        "schedule": fields.required("schedule"),
        "suspend": fields.flag("suspend", default=False),
        "concurrencyPolicy": fields.choice("concurrencyPolicy", _POLICIES, "Allow"),
        "successfulJobsHistoryLimit": fields.whole("successfulJobsHistoryLimit", 0, _MOST, 3),
        "failedJobsHistoryLimit": fields.whole("failedJobsHistoryLimit", 0, _MOST, 1),
    }
    if fields.has("startingDeadlineSeconds"):
        spec["startingDeadlineSeconds"] = fields.whole("startingDeadlineSeconds", 0, _MOST, 0)
    spec["jobTemplate"] = {"metadata": copy.deepcopy(job["template"]["metadata"]), "spec": job}
    return [{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": component.name}, "spec": spec}]


def _job(component: Component, context: RenderContext, fields: Fields) -> JsonObject:
    """`count` Pods at once, each of which is to succeed once."""
    count = fields.whole("count", 1, 100_000, 1)
    template = pod_template(context.application, component.name, fields)
    template["spec"]["restartPolicy"] = fields.choice("restart", _RESTARTS, "Never")
    return {"parallelism": count, "completions": count, "template": template}
