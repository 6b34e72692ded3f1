"""`remoteDeploy`: all components into another unit. SREWorks' handler of that name; there are no other units yet."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Failed, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.validation import Finding, check_texts

NO_TARGET = "remoteDeploy deploys into another cluster, and there is none to deploy into yet: this daemon knows only its own. Use deploy"


class RemoteDeploy(NoCompensation):
    """Never applies anything: a manifest that asks for it is refused, and a run that came to it all the same fails."""

    name = "remoteDeploy"
    params: Mapping[str, str] = MappingProxyType({"policies": "names of policies, in the order in which they work on the components"})
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_texts(properties, "policies")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return Failed("NoTarget", NO_TARGET)
