"""Approvals of what is deleted in doubt or in bulk: digests of printed lists, in `.reconciler/prune.yaml` (rule 1d)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.dialects.documents import parse
from reconciler.engine.files import TreeFiles
from reconciler.model.canonical import digest
from reconciler.model.names import PRUNE_FILE


def approval_code(refs: Sequence[str]) -> str:
    """The digest of a printed list: what an approval in `.reconciler/prune.yaml` names."""
    return digest(sorted(refs))[:12]


def read_approvals(files: TreeFiles) -> frozenset[str]:
    """`approved` of `.reconciler/prune.yaml` (rule 1d): a list of digests; anything else approves nothing."""
    try:
        documents, _ = parse(PRUNE_FILE, files.read(PRUNE_FILE))
    except (FileNotFoundError, ValueError):
        return frozenset()
    listed = [item for document in documents for item in document.content.get("approved") or [] if isinstance(document.content.get("approved"), list)]
    return frozenset(str(item) for item in listed)
