"""`webhook`: JSON to a URL. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.outcome import Call, Done, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.sending import check_body, check_source, post, read_source, send_all, write_json
from reconciler.steps.validation import Finding, refuse


class Webhook(NoCompensation):
    """2xx is success; upstream does not look at the answer."""

    name = "webhook"
    params: Mapping[str, str] = MappingProxyType(
        {
            "url": "`value`: a URL; or `secretRef` with `name` and `key` of a Secret that holds it and whose owner allows it",
            "data": "a mapping, sent as JSON; without it the application as it stands in git, less what is secret in it",
        }
    )
    required: tuple[str, ...] = ("url",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return (check_source(properties, "url") if properties.get("url") is not None else []) + check_body(properties, "data")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        data = call.properties.get("data")
        body = write_json(data) if data is not None else {"application": True}
        unsent = send_all({"webhook": post(read_source(call.properties["url"]), body)}, results)
        return unsent or Done(message=f"answered {results['webhook'].value.get('status')}")
