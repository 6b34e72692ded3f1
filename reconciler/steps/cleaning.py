"""`clean-jobs` and `delete-config`: objects that this application made go again. KubeVela's built-ins of those names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from reconciler.model.identity import ObjectRef
from reconciler.model.names import CONFIG_CATALOG
from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Outcome, Query, Result
from reconciler.steps.compensation import NoCompensation
from reconciler.steps.validation import Finding, check_scalars, check_text, refuse

_PATH = "delete"


class CleanJobs(NoCompensation):
    """
    With their pods. Jobs that others made are left alone, whatever labels they have (rule 1c); one that is gone so is not healed, and a new run makes
    it again.
    """

    name = "clean-jobs"
    params: Mapping[str, str] = MappingProxyType(
        {
            "labelselector": "labels that the Jobs have; all Jobs of this application unless given",
            "namespace": "where they are; the application's own unless given",
        }
    )
    required: tuple[str, ...] = ()

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "namespace") + check_scalars(properties, "labelselector")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties)
        if wrong is not None:
            return wrong
        labels = {name: str(value) for name, value in (call.properties.get("labelselector") or {}).items()}
        place = {"name": "", "namespace": call.properties.get("namespace") or call.app.namespace}
        return delete({"apiVersion": "batch/v1", "kind": "Job", **place, "labels": labels}, results)


class DeleteConfig(NoCompensation):
    """One that a `create-config` of this application made. One that is not there is no failure."""

    name = "delete-config"
    params: Mapping[str, str] = MappingProxyType({"name": "of the config", "namespace": "where it is; the application's own unless given"})
    required: tuple[str, ...] = ("name",)

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return check_text(properties, "name", "namespace")

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        wrong = refuse(self.check, call.properties, *self.required)
        if wrong is not None:
            return wrong
        place = {"name": call.properties["name"], "namespace": call.properties.get("namespace") or call.app.namespace}
        return delete({"apiVersion": "v1", "kind": "ConfigMap", **place, "labels": dict(CONFIG_CATALOG)}, results)


def delete(params: dict[str, Any], results: Mapping[str, Result]) -> Outcome:
    """One effect, over when what has that `apiVersion`, `kind`, `namespace` and these `labels` is going; all names where `name` is empty."""
    result = results.get(_PATH)
    if result is None:
        return Do({_PATH: Effect("delete", params)})
    if not result.ok:
        return Failed(result.reason or "EffectFailed", result.error, retryable=result.retry != "terminal")
    gone = [str(ObjectRef.unpack(ref)) for ref in result.value.get("deleted") or []]
    return Done(message=f"deleted {', '.join(gone)}"[:1024] if gone else "nothing was there to delete")
