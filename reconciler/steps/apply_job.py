"""`apply-job`: a Job from the step itself, until it is complete. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Outcome, Query, Result
from reconciler.steps.apply_object import check_value
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.making import apply_and_read
from reconciler.steps.validation import Finding, check_duration, check_local, refuse


class ApplyJob(NoCompensation):
    """Fails as soon as the Job has failed for good."""

    name = "apply-job"
    params: Mapping[str, str] = MappingProxyType(
        {
            "value": "the Job: apiVersion batch/v1, kind, metadata.name and spec",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
            "timeout": "how long to wait for its end, as a Go duration; 10m unless given",
        }
    )
    exports = ("apply",)
    required: tuple[str, ...] = ("value",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_value(properties, only="Job") + check_local(properties) + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        return refuse(self.check, call.properties) or apply_and_read(call, results, seen, now, "apply")
