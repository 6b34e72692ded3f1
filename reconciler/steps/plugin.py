"""Step types that come from plug-ins: each of their methods is one effect, and what it gave is the step's outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from reconciler.model.outcome import Call, Do, Done, Effect, Failed, Outcome, Query, Result
from reconciler.steps.validation import Check, Finding, refuse

KIND = "plugin"
Method = Literal["run", "rollback", "sync"]


class PluginStep:
    """
    `check`: of single properties, by the plug-in's `Parameters`. `syncs`: it has a `sync`. Outputs may be any path into what it answers.

    Attributes that other steps share are no part of an effect's parameters: those must not change while it is under way (rule 9a).
    """

    exports = True

    def __init__(self, name: str, params: Mapping[str, str], required: tuple[str, ...], check: Check, *, syncs: bool = False) -> None:
        self.name, self.params, self.required = name, params, required
        self._check, self._syncs = check, syncs

    def check(self, properties: dict[str, Any]) -> list[Finding]:
        return self._check(properties)

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002 - the protocol's arguments
        return refuse(self.check, call.properties) or self._ask("run", call, results)

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return self._ask("rollback", call, results)

    def sync(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return self._ask("sync", call, results) if self._syncs else Done()

    def _ask(self, method: Method, call: Call, results: Mapping[str, Result]) -> Outcome:
        result = results.get(method)
        if result is None:
            made = call.made["run"].value if "run" in call.made else {}
            given = {"properties": call.properties, "parameters": call.parameters} | ({"made": made} if method != "run" else {})
            return Do({method: Effect(KIND, {"plugin": self.name, "method": method, **given})})
        if result.ok:
            return Done(**{name: value for name, value in result.value.items() if name in Done.__struct_fields__})
        return Failed(
            result.reason,
            result.error,
            retryable=result.retry in ("now", "backoff"),
            ignorable=result.retry == "wait",
            after=float(result.value.get("after", 10.0)),
        )


class UncheckedStep:
    """
    A plug-in whose code is not loaded here (rule 13f), or what else is not known of the daemon's types: any properties hold, and where it is
    played it is taken as done. `unchecked`: what it is.
    """

    exports = True
    params: Mapping[str, str] = MappingProxyType({})
    required: tuple[str, ...] = ()

    def __init__(self, name: str, unchecked: str = "a plug-in") -> None:
        self.name, self.unchecked = name, unchecked

    def check(self, properties: dict[str, Any]) -> list[Finding]:  # noqa: ARG002 - the protocol's arguments
        return []

    def next(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return Done(message=f"{self.name} is {self.unchecked}: it is not run here, and taken as done")

    def undo(self, call: Call, results: Mapping[str, Result], seen: Mapping[Query, Any], now: datetime) -> Outcome:  # noqa: ARG002
        return Done()


class AnyPlugin(Mapping[str, UncheckedStep]):
    """Takes each name for that of a plug-in: for who reads a manifest that a daemon has accepted and does not know the daemon's plug-ins."""

    def __getitem__(self, name: str) -> UncheckedStep:
        return UncheckedStep(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
