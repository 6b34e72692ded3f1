"""`apply-deployment`: a Deployment of one image, and its pods. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Outcome, Query, Result
from reconciler.steps.making import Making, apply_and_read
from reconciler.steps.validation import Finding, check_duration, check_local, check_text, check_texts, check_whole, refuse


class ApplyDeployment(Making):
    name = "apply-deployment"
    params: Mapping[str, str] = MappingProxyType(
        {
            "image": "what runs",
            "replicas": "how many pods; 1 unless given",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
            "cmd": "the command, instead of the image's own",
            "timeout": "how long to wait for the pods, as a Go duration; 10m unless given",
        }
    )
    exports = ("output",)
    required: tuple[str, ...] = ("image",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        found = check_text(properties, "image") + check_whole(properties, "replicas", 0, 2**31 - 1) + check_texts(properties, "cmd")
        return found + check_local(properties) + check_duration(properties, "timeout")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:
        return refuse(self.check, call.properties) or apply_and_read(call, results, seen, now, "output")
