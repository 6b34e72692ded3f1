"""What is wrong with a document, said so that one can go and mend it."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One finding. `line` counts from 1 (0: unknown), `object` is `Kind name`, `field` a path as `spec.workflow.steps[2].type`."""

    path: str
    line: int
    message: str
    object: str = ""
    field: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else self.path
        parts = [part for part in (where, self.object, self.field) if part]
        return f"{': '.join(parts)}: {self.message}"
