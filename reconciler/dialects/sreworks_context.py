"""`spec.workflow.initContext` of an ApplicationConfiguration: what the context of every task begins with (upstream's option of that name)."""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler.dialects.fieldpath import FieldPath
from reconciler.dialects.findings import Findings
from reconciler.dialects.globals import Globals
from reconciler.model.names import CONTEXT_CANCEL, CONTEXT_CANCEL_REASON, CONTEXT_DECISIONS, CONTEXT_INTERNAL, CONTEXT_LIMIT, CONTEXT_OVERWRITE

_GLOBAL: Final = "Global"
_KNOWN: Final = (CONTEXT_OVERWRITE, CONTEXT_CANCEL, CONTEXT_CANCEL_REASON)


def overwritten(spec: dict[str, Any], at: FieldPath, findings: Findings) -> dict[str, Any]:
    """The globals of `_internal_overwrite_parameters`: they win over the document's own and the environment's."""
    workflow = spec.get("workflow")
    context = workflow.get("initContext") if isinstance(workflow, dict) else None
    value = context.get(CONTEXT_OVERWRITE) if isinstance(context, dict) else None
    if value is None:
        return {}
    if isinstance(value, dict) and set(value) <= {_GLOBAL} and isinstance(value.get(_GLOBAL, {}), dict):
        return dict(value.get(_GLOBAL, {}))
    findings.error((*at, "workflow", "initContext", CONTEXT_OVERWRITE), f"must be a mapping with {_GLOBAL}, a mapping of values by name")
    return {}


def read_context(written: Any, at: FieldPath, values: Globals, findings: Findings) -> dict[str, Any]:
    """The context with its placeholders filled. A decision can't be given beforehand, nor what is the machine's own."""
    if not isinstance(written, dict):
        return {}
    for name in written:
        if name in CONTEXT_DECISIONS:
            findings.error((*at, name), f"{name} decides a gate, and that can't be done before the run is there: use its annotation")
        elif isinstance(name, str) and name.startswith(CONTEXT_INTERNAL) and name not in _KNOWN:
            findings.unknown((*at, name), "internal key", name, _KNOWN)
    context: dict[str, Any] = values.substitute(written, at)
    size = len(json.dumps(context, default=str, ensure_ascii=False).encode("utf-8", "replace"))
    if size > CONTEXT_LIMIT:
        findings.error(at, f"it has {size} bytes, more than the limit of {CONTEXT_LIMIT}")
    return context
