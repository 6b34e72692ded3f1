"""
The definitions of the manifest families' kinds, for clusters that have none of their own: so are manifests and definitions exposed in the
Kubernetes API, and `kubectl` knows them.

They say what is read of an object and how it is typed, and refuse nothing that the originals accept: what is not named is kept.
Sources: the API types of KubeVela 1.11 and of its workflow engine, of SREWorks' application manager, and seed 004's example.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from reconciler.cluster.crds.state import definition
from reconciler.cluster.crds.structural import PRESERVE
from reconciler.model.identity import JsonObject

OAM: Final = "core.oam.dev"
STEPFLOW: Final = "workflow.example.com"

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_FLAG: Final = {"type": "boolean"}
_FREE: Final = {"type": "object", PRESERVE: True}
_ANY: Final = {PRESERVE: True}
_STATUS: Final = _FREE


def _open(*required: str, **properties: JsonObject) -> JsonObject:
    return {"type": "object", PRESERVE: True, "properties": properties} | ({"required": list(required)} if required else {})


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _root(text: str, required: tuple[str, ...] = (), **parts: JsonObject) -> JsonObject:
    fixed = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}}
    return _open(*required, **fixed, **parts) | {"description": text}


_DATA = {"inputs": _list(_open(**{"from": _TEXT}, parameterKey=_TEXT)), "outputs": _list(_open(name=_TEXT, valueFrom=_TEXT))}
_SUB_STEP = _open("type", name=_TEXT, type=_TEXT, timeout=_TEXT, dependsOn=_list(_TEXT), properties=_FREE, meta=_FREE, **{"if": _TEXT}, **_DATA)
_STEP = _open(**_SUB_STEP["properties"], mode=_TEXT, subSteps=_list(_SUB_STEP)) | {"required": ["type"]}
_MODE = _open(steps=_TEXT, subSteps=_TEXT)
_TRAIT = _open("type", type=_TEXT, properties=_FREE)
_COMPONENT = _open(
    "name", "type", name=_TEXT, type=_TEXT, properties=_FREE, dependsOn=_list(_TEXT), traits=_list(_TRAIT), externalRevision=_TEXT, **_DATA
)
_POLICY = _open("type", name=_TEXT, type=_TEXT, properties=_FREE)
_SCHEMATIC = _open(cue=_open("template", template=_TEXT), helm=_FREE, kube=_FREE, terraform=_FREE)
_APPLICATION = _open("components", components=_list(_COMPONENT), policies=_list(_POLICY), workflow=_open(ref=_TEXT, mode=_MODE, steps=_list(_STEP)))
_CONFIGURATION = _open(
    "components",
    components=_list(_open("revisionName", revisionName=_TEXT, scopes=_list(_FREE), traits=_list(_FREE), parameterValues=_list(_FREE))),
    parameterValues=_list(_open(name=_TEXT, value=_ANY, toFieldPaths=_list(_TEXT))),
    policies=_list(_FREE),
    workflow=_FREE,
)
_STEPFLOW = _open(
    "steps",
    queue=_TEXT,
    rollbackPolicy=_TEXT,
    callback=_open(url=_TEXT, ignoreNotFound=_FLAG),
    parameters={"type": "object", "additionalProperties": _TEXT},
    steps=_list(
        _open(
            "name",
            name=_TEXT,
            dependOns=_list(_open("name", name=_TEXT, phase=_TEXT, resourceStatus=_TEXT)),
            stepTemplate=_open(
                type=_TEXT,
                parameters=_FREE,
                rollbackPolicy=_TEXT,
                syncPeriodSeconds=_WHOLE,
                retryPolicy=_open(runRetryLimit=_WHOLE, runRetryPeriodSeconds=_WHOLE, rollbackRetryLimit=_WHOLE, rollbackRetryPeriodSeconds=_WHOLE),
            ),
        )
    ),
)


def _column(name: str, path: str) -> JsonObject:
    return {"name": name, "type": "date" if name == "Age" else "string", "jsonPath": path}


_AGE = _column("Age", ".metadata.creationTimestamp")


def _one(version: str, kind: str, plural: str, short: tuple[str, ...], schema: JsonObject, *columns: JsonObject, group: str = OAM) -> JsonObject:
    return definition(group, version, kind, plural, short, schema, [*columns, _AGE], status="status" in schema["properties"])


def _definition(kind: str, short: str, what: str, **more: JsonObject) -> JsonObject:
    described = _column("Description", r".metadata.annotations.definition\.oam\.dev/description")
    spec = _open(schematic=_SCHEMATIC, definitionRef=_FREE, version=_TEXT, **more)
    schema = _root(f"How {what} is made, as a template in CUE.", spec=spec, status=_STATUS)
    return _one("v1beta1", kind, f"{kind.lower()}s", (short,), schema, described)


@cache
def oam_crds() -> tuple[JsonObject, ...]:
    """Of KubeVela and SREWorks: `core.oam.dev`. Shared: not to be changed."""
    application = _root("Components, and the workflow that deploys them.", ("spec",), spec=_APPLICATION, status=_STATUS)
    configuration = _root("Components and the order in which they are deployed.", ("spec",), spec=_CONFIGURATION, status=_STATUS)
    run = _open(mode=_MODE, workflowRef=_TEXT, context=_FREE, workflowSpec=_open("steps", steps=_list(_STEP)))
    return (
        _one("v1beta1", "Application", "applications", ("app",), application, _column("Phase", ".status.status")),
        _one("v1alpha2", "ApplicationConfiguration", "applicationconfigurations", ("appconfig", "ac"), configuration),
        _definition("ComponentDefinition", "comp", "a component type", workload=_FREE, podSpecPath=_TEXT),
        _definition("TraitDefinition", "trait", "a trait", appliesToWorkloads=_list(_TEXT), podDisruptive=_FLAG),
        _definition("PolicyDefinition", "def-policy", "a policy"),
        _definition("WorkflowStepDefinition", "workflowstep", "a step type"),
        _one("v1alpha1", "Workflow", "workflows", (), _root("Steps that applications and runs refer to.", mode=_MODE, steps=_list(_STEP))),
        _one("v1alpha1", "WorkflowRun", "workflowruns", ("wr",), _root("A workflow that is run by itself.", spec=run, status=_STATUS)),
        _one("v1alpha1", "Policy", "policies", (), _root("A policy that applications refer to.", type=_TEXT, properties=_FREE)),
    )


@cache
def stepflow_crds() -> tuple[JsonObject, ...]:
    """Of the step flow: `workflow.example.com`. Shared: not to be changed."""
    schema = _root("Steps that wait for each other, with retries and native rollback.", ("spec",), spec=_STEPFLOW, status=_STATUS)
    return (_one("v1alpha1", "Workflow", "workflows", (), schema, _column("Phase", ".status.phase"), group=STEPFLOW),)
