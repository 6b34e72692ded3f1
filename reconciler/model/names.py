"""The names that people see: API groups, annotations, labels. One place, so that none is written twice."""

import re
from types import MappingProxyType
from typing import Final

from reconciler.model.canonical import digest

GROUP: Final = "reconciler.dev"
API_VERSION: Final = "reconciler.dev/v1alpha1"
STATE_KINDS: Final = ("Application", "ApplicationRevision", "WorkflowRun")
FIELD_MANAGER: Final = "reconciler"
KUBECTL_MANAGERS: Final = ("kubectl-client-side-apply", "before-first-apply", "kubectl")  # what `kubectl apply` is called, on either side
STATE_VERSION: Final = 1
"""Of the state as it is stored: state that is newer is refused (rule 3g)."""

# Annotations that people write into manifests (git).
DNS_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)  # RFC 1123: namespaces, shards and most names
GATE_PREFIX: Final = "gates.reconciler.dev/"
CONTINUE_ROLLOUT: Final = "context.reconciler.dev/continueRollout"
ROLLBACK: Final = "context.reconciler.dev/rollback"
SUSPEND: Final = "reconciler.dev/suspend"
ENVIRONMENT: Final = "reconciler.dev/environment"
DEPENDS_ON: Final = "reconciler.dev/depends-on"
SHARD: Final = "reconciler.dev/shard"  # a label: in manifests which daemon is to act, on mirrors which one does
CREATE_NAMESPACE: Final = "reconciler.dev/create-namespace"
SERVICE_ACCOUNT: Final = "reconciler.dev/service-account"
SERVICE_ACCOUNT_OAM: Final = "app.oam.dev/service-account-name"
DELETION_POLICY: Final = "reconciler.dev/deletion-policy"  # on objects, too

# Annotations that people write onto single objects (git): how each is applied, kept and deleted.
PRUNE: Final = "reconciler.dev/prune"
FORCE: Final = "reconciler.dev/force"
APPLY: Final = "reconciler.dev/apply"
RECONCILE: Final = "reconciler.dev/reconcile"
STRIP_FIELDS: Final = "reconciler.dev/strip-fields"
ADOPT_FIELDS: Final = "reconciler.dev/adopt-fields"

# On a Secret, by who has it: the steps that may use its values, and for which hosts (rule 13c).
ALLOW_STEPS: Final = "reconciler.dev/allow-steps"

# The one hint that is read from a mirror (rule 3a).
REQUESTED_AT: Final = "reconcile.reconciler.dev/requestedAt"

# Labels and annotations on the objects that we manage.
LABEL_APPLICATION: Final = "reconciler.dev/application"
LABEL_NAMESPACE: Final = "reconciler.dev/application-namespace"
LABEL_UID: Final = "reconciler.dev/application-uid"
COMPONENT_LABEL: Final = "app.oam.dev/component"
NAME_LABEL: Final = "app.oam.dev/name"
WORKLOAD_OF: Final = "workload.oam.dev/type"  # of what definitions make: of which component type, of which trait type, and its name in `outputs`
TRAIT_OF: Final = "trait.oam.dev/type"
TRAIT_RESOURCE: Final = "trait.oam.dev/resource"
LABEL_TRAIT: Final = "reconciler.dev/trait"
ANNOTATION_REVISION: Final = "reconciler.dev/revision"
ANNOTATION_RELEASED: Final = "reconciler.dev/released-from"
ANNOTATION_SEALED: Final = "reconciler.dev/sealed"

# On the CustomResourceDefinitions that are ours: that they are, and for which version of the state they are made.
LABEL_CRD: Final = "reconciler.dev/definition"
ANNOTATION_SCHEMA: Final = "reconciler.dev/state-version"
# The object that is made first of all state, and what its leader follows, on the Lease.
STATE_NAME: Final = "reconciler-state"
ANNOTATION_SOURCE: Final = "reconciler.dev/source"

# Gate names that no step may take (rule 4f).
RUN_GATE: Final = "run"
WORKFLOW_CHANGED_GATE: Final = "workflow-changed"
STATE_LOST_GATE: Final = "state-lost"
RESERVED_STEPS: Final = frozenset({RUN_GATE, WORKFLOW_CHANGED_GATE, STATE_LOST_GATE})

# The step type that waits for another application.
DEPENDS_ON_APP: Final = "depends-on-app"

# Step types that are gates: engine code, never replaced by a definition (rule 4g).
GATE_STEP_TYPES: Final = frozenset({"suspend", "rollout-promotion"})

# The parameter in which a component that a step makes has the step's name.
STEP_NAME: Final = "stepName"

# How KubeVela marks its configs, and the entry that holds one as JSON.
CONFIG_CATALOG: Final = MappingProxyType({"config.oam.dev/catalog": "velacore-config"})
CONFIG_TYPE: Final = "config.oam.dev/type"
CONFIG_DATA: Final = "input-properties"

# The step type of steps whose type the repository defines, the component type of what they apply, and where definitions stand.
DEFINED: Final = "definition"
DEFINITIONS_FOLDER: Final = "definitions"
DEFINITION_FILE: Final = ".cue"

# Keys of a SREWorks context, and how many bytes of JSON one context may be (rule 3e).
CONTEXT_INTERNAL: Final = "_internal_"
CONTEXT_OVERWRITE: Final = "_internal_overwrite_parameters"
CONTEXT_DELIVERED: Final = "_internal_deliver_parameters"
CONTEXT_CANCEL: Final = "_internal_cancel_execution"
CONTEXT_CANCEL_REASON: Final = "_internal_cancel_execution_reason"
CONTEXT_CONTINUE: Final = "continueRollout"
CONTEXT_ROLLBACK: Final = "rollback"
CONTEXT_DECISIONS: Final = frozenset({CONTEXT_CONTINUE, CONTEXT_ROLLBACK})
CONTEXT_LIMIT: Final = 16 * 1024

# The repository's own files.
ENVIRONMENT_FILE: Final = "environment.yaml"
IGNORE_FILE: Final = ".reconcilerignore"
SOPS_FILE: Final = ".sops.yaml"
PRUNE_FILE: Final = ".reconciler/prune.yaml"
HEALTH_FOLDER: Final = ".reconciler/health/"


def label_of(name: str) -> str:
    """An application's name as the value of its label: labels take 63 characters, longer names are cut and marked."""
    return name if len(name) <= 63 else f"{name[:50]}-{digest(name)[:12]}"


def is_ours(annotation: str) -> bool:
    """Whether an annotation key belongs to `reconciler.dev` or one of its sub-domains (rule 5a: never in a digest)."""
    domain = annotation.partition("/")[0] if "/" in annotation else ""
    return domain == GROUP or domain.endswith("." + GROUP)
