"""An application as every family is compiled to it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from reconciler.model.dependencies import read_dependencies
from reconciler.model.health_policy import HealthPolicy
from reconciler.model.identity import AppKey
from reconciler.model.names import DEPENDS_ON_APP, SHARD
from reconciler.model.rules import Rules
from reconciler.model.text import one_line

Mode = Literal["StepByStep", "DAG"]
OnFailure = Literal["stop", "visit", "undo"]
Kind = Literal["component", "trait", "policy"]


def pin_name(kind: Kind | Literal["step"], name: str) -> str:
    """By which a definition that the cluster has is pinned."""
    return f"definition/{kind}/{name}"


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    `source`: the name of an output that another step (or component) exports, or a dotted path below it.
    `target`: a dotted path, `[i]` for list items, into what the step applies or into the step's own properties.
    """

    source: str
    target: str


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """`value`: a dotted path into what the step exports (`connection`, `objects[0].name`), or an expression over that."""

    name: str
    value: str


class Trait(msgspec.Struct, frozen=True, omit_defaults=True):
    type: str
    properties: dict[str, Any] = {}


class Definition(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A component, trait or policy type that the repository or the cluster defines, as it was when the application was compiled: `template` is CUE.
    `attributes` are the rest of its `spec` as written, `health` is its `spec.status`.
    """

    kind: Kind
    name: str
    template: str
    attributes: dict[str, Any] = {}
    health: HealthPolicy = HealthPolicy()


class Component(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What can be rendered and applied, with the policies of one place already in it.

    `id` is unique within the application. A component that several steps apply with different policies is several
    components of one name here; `policies` says by which. `namespace`: where its objects go, by topology or scopes;
    empty: the application's. `defined`: its type is one of the application's `definitions`, whatever is built in by that name. `kind`: of which
    kind that one is; what a policy makes is a component, too, which the policy gives its name.
    """

    id: str
    name: str
    type: str
    properties: dict[str, Any] = {}
    traits: list[Trait] = []
    depends_on: list[str] = []
    inputs: list[Input] = []
    outputs: list[Output] = []
    namespace: str = ""
    policies: list[str] = []
    defined: bool = False
    kind: Literal["component", "policy"] = "component"

    def is_built_in(self, kind: str) -> bool:
        """Whether it is of that type, which the repository does not define anew."""
        return self.type == kind and not self.defined

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.kind} {one_line(self.name, 80)}"


class Retry(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    How a failure that may pass is tried again. None: what the workflow says, and where it says nothing, the daemon.

    `limit`: tries after the first one; below 0 without end. `period`: seconds before the first of them. `factor`: how many times longer each
    pause is than the one before. `cap`: seconds, the longest pause.
    """

    limit: int | None = None
    period: float | None = None
    factor: float | None = None
    cap: float | None = None


class Need(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step waits for of another: that it has come to `phase` (one of ours), and that its resource is `resource`, where given."""

    step: str
    phase: str = "Succeeded"
    resource: str = ""


class Callback(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is told of each change of the run and its steps. `ignore_not_found`: a 404 counts as told."""

    url: str
    ignore_not_found: bool = True


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One step of the workflow.

    `type` is the name of a step type (`steps/`), already mapped from the family's own word. `key` is the gate key
    (rule 4f), unique in the workflow. `given`: the name was written by a person, not generated. `components`: ids of the
    components it applies, in order. `properties`: what the step type reads, validated. `needs`: of those in `depends_on`, what is waited
    for where it is not their success. `condition`: `if`, as written (`model/expression.py`); only where failures are visited.
    `timeout`: seconds from its first start, 0 without one. `group`: key of the step that it belongs to; `mode`: of the steps that belong
    to this one. `retry`, `undo_retry`: of running and of undoing it. `sync`: seconds between two looks at what it made, 0 for none.
    `suspends`: digest of the template of the definition that makes a gate of it (rule 4g), empty where none does.
    """

    name: str
    type: str
    key: str
    given: bool = True
    properties: dict[str, Any] = {}
    components: list[str] = []
    depends_on: list[str] = []
    inputs: list[Input] = []
    outputs: list[Output] = []
    needs: list[Need] = []
    condition: str = ""
    timeout: float = 0.0
    group: str = ""
    mode: Mode = "DAG"
    retry: Retry = Retry()
    undo_retry: Retry = Retry()
    sync: float = 0.0
    suspends: str = ""


class Workflow(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    `steps`: in the order written, those of a group right behind it. `group_mode`: of groups that say none themselves.
    `on_failure`: when a step has failed for good, nothing new starts (`stop`), the others are still visited, most of them to be skipped
    (`visit`), or what was done is undone in reverse order (`undo`).
    `usual`: how its family tries again where neither step, workflow nor daemon says so. `health`: seconds that its steps wait for health where
    they say no other, 0: what the daemon says.
    `queue`: it waits there until the daemon admits it; empty: it does not wait. `parameters`: what every step may read.
    `always_removed`: it goes when it is removed from git also where undoing it failed. `contexts`: each step begins with a context of its own,
    made of `parameters`, of what those before it leave and of what a person puts in, and kept from before it starts.
    `definitions`: templates of the step types that are defined, by name, as they were when it was compiled. `declared`: `components` and
    `policies` as they are written, where one of those asks for them. `labels`: the application's, where conditions may ask for them.
    `leading`: ids of the components that no step names: the first step that applies something applies them before that.
    """

    mode: Mode = "StepByStep"
    steps: list[Step] = []
    on_failure: OnFailure = "stop"
    retry: Retry = Retry()
    undo_retry: Retry = Retry()
    usual: Retry = Retry()
    health: float = 0.0
    queue: str = ""
    callback: Callback | None = None
    parameters: dict[str, Any] = {}
    always_removed: bool = False
    contexts: bool = False
    group_mode: Mode = "DAG"
    definitions: dict[str, str] = {}
    labels: dict[str, str] = {}
    declared: dict[str, Any] = {}
    leading: list[str] = []

    @property
    def groups(self) -> frozenset[str]:
        """Keys of the steps that others belong to."""
        return frozenset(step.group for step in self.steps if step.group)


class Environment(msgspec.Struct, frozen=True, omit_defaults=True):
    """From the label or the nearest `environment.yaml`. `values` are its `spec.global`."""

    name: str = ""
    namespace: str = ""
    values: dict[str, Any] = {}


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that an application refers to: the path as the manifest names it, where it is, and its blob id (rule 5a)."""

    name: str
    path: str
    oid: str


class Application(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    One compiled document.

    `spec` is as written, before defaults. `annotations` are all of the document's; `read_annotations` names those that the
    dialect reads and that so belong to the digest. `location`: path, document index in the file (from 0), first line (from 1).
    `watched`: paths whose change can change this application; one that ends in `/` is a folder. `definitions`: of the types of its components,
    their traits and its policies that the repository or the cluster defines. `served`: those of all definitions that are the cluster's, by
    `pin_name`: the digest of what was there, empty where nobody asked.
    """

    namespace: str
    name: str
    family: str
    spec: dict[str, Any]
    path: str
    index: int = 0
    line: int = 0
    kind: str = "Application"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    read_annotations: list[str] = []
    environment: Environment = Environment()
    components: list[Component] = []
    workflow: Workflow = Workflow()
    rules: Rules = Rules()
    references: list[Reference] = []
    watched: list[str] = []
    options: dict[str, Any] = {}
    definitions: list[Definition] = []
    served: dict[str, str] = {}

    @property
    def key(self) -> AppKey:
        return AppKey(self.namespace, self.name)

    @property
    def shard(self) -> str:
        """Whose daemon is to act for it; empty: the one without `--shard`."""
        return self.labels.get(SHARD, "")

    @property
    def needs(self) -> list[AppKey]:
        """The applications that must be ready before a new run of this one begins."""
        return read_dependencies(self.annotations, self.namespace)

    @property
    def awaited(self) -> list[AppKey]:
        """Those that a step of its workflow waits for."""
        waits = [step.properties for step in self.workflow.steps if step.type == DEPENDS_ON_APP and isinstance(step.properties.get("name"), str)]
        return [AppKey(str(properties.get("namespace") or self.namespace), properties["name"]) for properties in waits]

    def definition(self, kind: Kind, name: str) -> Definition | None:
        """That of a type; None for one that is built in."""
        return next((found for found in self.definitions if found.kind == kind and found.name == name), None)

    @property
    def dispatches(self) -> dict[str, str]:
        """By trait type when what it makes is applied, where its definition says that: PreDispatch, DefaultDispatch or PostDispatch."""
        return {found.name: found.attributes["stage"] for found in self.definitions if found.kind == "trait" and found.attributes.get("stage")}

    def component(self, component_id: str) -> Component:
        """The component of that id. Raises KeyError: a compiled application never names one that it lacks."""
        for component in self.components:
            if component.id == component_id:
                return component
        raise KeyError(component_id)
