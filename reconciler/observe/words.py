"""The words of labels that are known beforehand: their counters stand at 0 from the start, so that `increase()` sees the first event."""

from __future__ import annotations

from itertools import product
from typing import Final, get_args

from reconciler.model.event import ANNOUNCED, APPLIED, ATTEMPTS, CALLED, ROLLBACKS
from reconciler.model.run import FINAL, CommandVerb, Phase
from reconciler.steps.catalog import STEP_TYPES

OTHER: Final = "other"
LOOKS: Final = ("ok", "RefMissing", "EmptyRepository", "Unreadable", "NotARepository", "TooLarge", "Behind", "SourceError", "Internal")
WRITE_BACKS: Final = ("Landed", "Dropped", "WriteBackOff", "BranchCheckedOut", "NotExact", "OtherWriter", "PushRefused")
# A step is never superseded, a run never skipped (model/run.py).
_RUN_ENDS: Final = sorted(FINAL - {Phase.SKIPPED})
_STEP_ENDS: Final = sorted(FINAL - {Phase.SUPERSEDED})

KNOWN: Final[dict[str, list[tuple[str, ...]]]] = {
    "reconciler_reconciles": [("ok",), ("error",)],
    "reconciler_looks": [(result,) for result in LOOKS],
    "reconciler_runs": list(product(("deploy", "restore", "undo"), _RUN_ENDS)),
    "reconciler_steps": list(product((*STEP_TYPES, OTHER), _STEP_ENDS)),
    "reconciler_step_attempts": list(product((*STEP_TYPES, OTHER), ATTEMPTS)),
    "reconciler_rollbacks": [(reason,) for reason in ROLLBACKS],
    "reconciler_throttled": [(kind,) for kind in (*STEP_TYPES, OTHER)],
    # Nobody but a commit or a person goes back or ends.
    "reconciler_decisions": [("continue", "commit"), ("continue", "timer"), *product(("rollback", "end"), ("commit", "order"))],
    "reconciler_commands": list(product(get_args(CommandVerb), ("Done", "Unchanged", "Refused", "NotFound"))),
    "reconciler_effects": list(product(("apply", "unapply", "delete", "plugin", "release", "write-back", "http"), ("ok",))),
    "reconciler_applies": [(result,) for result in APPLIED],
    "reconciler_cluster_events": [(result,) for result in ANNOUNCED],
    "reconciler_callback_deliveries": [(result,) for result in CALLED],
    "reconciler_write_backs": [(result,) for result in WRITE_BACKS],
    "reconciler_lease_renewals": [("ok",), ("failed",)],
    "reconciler_cache_lookups": [("contents", "hit"), ("contents", "miss")],
}
"""Each counter's label values, in the order of its labels. Others may come (an error of the cluster); these are always there."""
