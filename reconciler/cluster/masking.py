"""Live objects as they may be shown (rules 12, 13c)."""

from __future__ import annotations

from reconciler.model.identity import JsonObject
from reconciler.revisions.masking import mask_object


def mask(obj: JsonObject) -> JsonObject:
    """A copy without managedFields (their keys name the fields of Secrets' data) and with secret values replaced."""
    masked = mask_object(obj)
    metadata = masked.get("metadata")
    if isinstance(metadata, dict):
        masked["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
    return masked
