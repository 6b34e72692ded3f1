"""What is known of a definition's template without running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from reconciler.model.health_policy import HealthPolicy
from reconciler.model.outcome import StepType


class Fault(NamedTuple):
    """Something wrong with a template, at its line there, from 1; 0 where that is not known."""

    message: str
    line: int = 0


class Parameter(msgspec.Struct, frozen=True):
    """A row of the table of a definition's parameters. `default` None: there is none."""

    name: str
    type: str
    required: bool
    default: Any = None
    description: str = ""


class Checked(NamedTuple):
    """
    `findings`: (field, message) of what is wrong with the properties that were given. `uses`: the functions that it calls, as `#Suspend`.
    `fields`: the names at its top, which outputs may begin with. `workload`: apiVersion and kind of its `output`, each empty where the template
    alone does not say it.
    """

    faults: tuple[Fault, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    findings: tuple[tuple[str, str], ...] = ()
    uses: frozenset[str] = frozenset()
    fields: tuple[str, ...] = ()
    workload: tuple[str, str] = ("", "")


class Parts(NamedTuple):
    """
    Of a definition's file in CUE: its name, what it says of itself, and the template, which has the lines of the file. `line`: where the template
    begins; `lines`: where the fields stand of what is said, by their paths from the name on.
    """

    faults: tuple[Fault, ...] = ()
    name: str = ""
    said: Mapping[str, Any] = MappingProxyType({})
    template: str = ""
    line: int = 0
    lines: Mapping[tuple[str | int, ...], int] = MappingProxyType({})


class Checker(Protocol):
    """Who reads templates. Equal arguments give equal answers. `make_type`: the step type that steps of a definition are checked by."""

    def make_type(
        self, name: str, params: Mapping[str, str], required: tuple[str, ...], check: Callable[[dict[str, Any]], list[tuple[str, str]]]
    ) -> StepType: ...

    def check(self, template: str, properties: dict[str, Any] | None = None, *, whole: bool = False) -> Checked:
        """Never raises for what a template or properties hold. `whole`: also what properties lack below their top is found."""
        ...

    def check_policy(self, policy: HealthPolicy) -> Mapping[str, tuple[Fault, ...]]:
        """What is wrong with it before it is given anything, by the name of its template. Never raises for what that holds."""
        ...

    def take_apart(self, text: str) -> Parts:
        """Never raises for what a file holds."""
        ...
