"""`read-object`: an object of the cluster, for later steps. KubeVela's built-in of that name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.outcome import Call, Done, Failed, Live, Outcome, Query, Result, Wait
from reconciler.steps.compensation import NothingToUndo
from reconciler.steps.making import read_as
from reconciler.steps.validation import Finding, check_local, check_text, check_type, refuse


class ReadObject(NothingToUndo):
    """
    Asked at each look until it is there; upstream goes on without it. Values of Secrets are masked (rule 13c), and what the application may not
    read is not there for it.
    """

    name = "read-object"
    params: Mapping[str, str] = MappingProxyType(
        {
            "apiVersion": "of the object; core.oam.dev/v1beta1 unless given",
            "kind": "Application unless given",
            "name": "of the object",
            "namespace": "where it is; default unless given",
            "cluster": "where; only the daemon's own cluster is known, so leave it out",
        }
    )
    required: tuple[str, ...] = ("name",)
    exports = ("output",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "apiVersion", "kind", "name") + check_type(properties, "namespace", str) + check_local(properties)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        given = {name: value for name, value in call.properties.items() if value is not None}
        ref = ObjectRef(
            given.get("apiVersion", "core.oam.dev/v1beta1"), given.get("kind", "Application"), given.get("namespace", "default"), given["name"]
        )
        found = look(ref, seen)
        return Done({"output": read_as(found)}) if isinstance(found, dict) else found


def look(ref: ObjectRef, seen: Mapping[Query, Any]) -> dict[str, Any] | Wait | Failed:
    """The object as it lives, masked; else what the step answers meanwhile. One that is not there may yet come, within the step's retries."""
    query = Live(ref)
    if query not in seen:
        return Wait(None, f"waiting to hear of {ref}", (query,))
    if seen[query] is None:
        return Failed("ObjectMissing", f"{ref} is not there, or this application may not read it", retryable=True)
    found: dict[str, Any] = seen[query]
    return found
