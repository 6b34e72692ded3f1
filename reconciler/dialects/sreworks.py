"""SREWorks: `core.oam.dev/v1alpha2` ApplicationConfiguration (seed 003)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.dialects import words
from reconciler.dialects.findings import Findings
from reconciler.dialects.header import subject_of
from reconciler.dialects.protocol import Compiled, Document, Files
from reconciler.dialects.scope import SREWORKS, is_fragment
from reconciler.model.outcome import StepType
from reconciler.model.run import Run


class SREWorks:
    family = "sreworks"

    def __init__(self, steps: Mapping[str, StepType]) -> None:
        self._steps = steps

    def recognises(self, document: Document) -> bool:
        return (document.content.get("apiVersion"), document.content.get("kind")) == SREWORKS or is_fragment(document.content)

    def compile(self, document: Document, files: Files) -> Compiled:  # noqa: ARG002
        findings = Findings(document, subject_of(document, "ApplicationConfiguration"))
        findings.error((), "ApplicationConfiguration is not available yet")
        return Compiled(None, findings.problems())

    def words(self, run: Run) -> dict[str, Any]:
        return words.sreworks(run)
