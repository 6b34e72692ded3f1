"""Which files and documents concern us (rule 1a)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from reconciler.model.names import DEFINITION_FILE, DEFINITIONS_FOLDER, ENVIRONMENT_FILE, GROUP
from reconciler.model.text import nearest

Class = Literal["application", "environment", "workflow", "definition", "foreign", "unrecognised"]

KUBEVELA = ("core.oam.dev/v1beta1", "Application")
KUBEVELA_WORKFLOW = ("core.oam.dev/v1alpha1", "Workflow")
KUBEVELA_RUN = ("core.oam.dev/v1alpha1", "WorkflowRun")
SREWORKS = ("core.oam.dev/v1alpha2", "ApplicationConfiguration")
STEP_DEFINITION = ("core.oam.dev/v1beta1", "WorkflowStepDefinition")
COMPONENT_DEFINITION = ("core.oam.dev/v1beta1", "ComponentDefinition")
TRAIT_DEFINITION = ("core.oam.dev/v1beta1", "TraitDefinition")
POLICY_DEFINITION = ("core.oam.dev/v1beta1", "PolicyDefinition")
DEFINITIONS = (STEP_DEFINITION, COMPONENT_DEFINITION, TRAIT_DEFINITION, POLICY_DEFINITION)
STEPFLOW = ("workflow.example.com/v1alpha1", "Workflow")
ENVIRONMENT = (f"{GROUP}/v1alpha1", "Environment")

_KINDS = (KUBEVELA[1], KUBEVELA_RUN[1], *(kind for _, kind in DEFINITIONS), SREWORKS[1], STEPFLOW[1], ENVIRONMENT[1])
_SUFFIXES = (".yaml", ".yml", ".json")
_OWN_FOLDERS = frozenset({"components", ".reconciler"})
_OUR_GROUPS = ("core.oam.dev", "workflow.example.com", GROUP)
_LATER = frozenset({"Policy"})


def in_scope(path: str, folders: Collection[str] = ()) -> bool:
    """
    Whether the documents of the file concern us: applications to be, and definitions. `folders`: those that components refer to, ending in `/`.

    `components/` and `.reconciler/` are the repository's own, at its top; `environment.yaml` counts in any folder. The
    ignore file and the paths of the source are the caller's.
    """
    folder, _, name = path.rpartition("/")
    definition = folder == DEFINITIONS_FOLDER and name.endswith(DEFINITION_FILE)
    if not (definition or name.lower().endswith(_SUFFIXES)) or name == ENVIRONMENT_FILE:
        return False
    if folder.partition("/")[0] in _OWN_FOLDERS:
        return False
    return not any(path.startswith(referred) for referred in folders)


def classify(path: str, document: dict[str, Any]) -> Class:
    """
    What a document is. A group that is not ours is foreign, and so is a document without a kind that is no fragment of an
    ApplicationConfiguration; what claims one of our groups and is none of our kinds is unrecognised.
    """
    api_version, kind = document.get("apiVersion"), document.get("kind")
    named = (api_version, kind)
    if named == ENVIRONMENT:
        return "environment" if path.rpartition("/")[2] == ENVIRONMENT_FILE else "unrecognised"
    if named == KUBEVELA_WORKFLOW:
        return "workflow"
    if named in DEFINITIONS:
        return "definition"
    if named in (KUBEVELA, KUBEVELA_RUN, SREWORKS, STEPFLOW) or is_fragment(document):
        return "application"
    if is_ours(api_version) or (api_version is None and kind in (KUBEVELA[1], SREWORKS[1])):
        return "unrecognised"
    return "foreign"


def is_fragment(document: dict[str, Any]) -> bool:
    """The bare `components`/`workflow` body of an ApplicationConfiguration (seed 003): no kind, components with `revisionName`."""
    components = document.get("components")
    if document.get("kind") is not None or document.get("apiVersion") is not None or not isinstance(components, list) or not components:
        return False
    return all(isinstance(component, dict) and "revisionName" in component for component in components)


def is_ours(api_version: object) -> bool:
    """Whether an apiVersion is of one of our groups (or of a sub-domain of our own)."""
    if not isinstance(api_version, str):
        return False
    group = api_version.partition("/")[0]
    return group in _OUR_GROUPS or group.endswith("." + GROUP)


def explain_unrecognised(document: dict[str, Any]) -> str:
    """Why a document of ours is unrecognised, and what it should be."""
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(kind, str):
        return f"kind is missing or no text; with {_shown(api_version)} it is Application or ApplicationConfiguration"
    if kind == STEPFLOW[1] and _group(api_version) == _group(STEPFLOW[0]):
        return f"{kind} is read as apiVersion {STEPFLOW[0]}, not {_shown(api_version)}"
    if kind in _LATER:
        return f"{kind} is not available yet"
    if (api_version, kind) == ENVIRONMENT:
        return f"an Environment stands in a file named {ENVIRONMENT_FILE}"
    for known in (KUBEVELA, KUBEVELA_WORKFLOW, *DEFINITIONS, KUBEVELA_RUN, SREWORKS, ENVIRONMENT):
        if kind == known[1]:
            return f"{kind} is read as apiVersion {known[0]}, not {_shown(api_version)}"
    close = nearest(kind, _KINDS) if len(kind) <= 64 else None
    return f"unknown kind {_shown(kind)} of {_shown(api_version)}" + (f" (did you mean {close}?)" if close else "")


def suspect_group(document: dict[str, Any]) -> str | None:
    """Our group where a foreign document's looks like a misspelling of it, with one of our kinds."""
    api_version, kind = document.get("apiVersion"), document.get("kind")
    if not isinstance(api_version, str) or kind not in _KINDS:
        return None
    group = _group(api_version)
    return nearest(group, _OUR_GROUPS) if 0 < len(group) <= 64 else None


def _group(api_version: object) -> str:
    return api_version.partition("/")[0] if isinstance(api_version, str) else ""


def _shown(value: object) -> str:
    return value[:80] if isinstance(value, str) else "none"
