"""
Definitions that stand in a namespace of the cluster (rule 13g), as files that stand beside those of the repository: `Files` have them where the
operator names that namespace. No path of git begins as theirs do, for none of its folders is without a name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from reconciler.dialects.documents import parse
from reconciler.dialects.header import is_name
from reconciler.dialects.protocol import Document, Files
from reconciler.model.outcome import StepType
from reconciler.model.problem import Problem

PREFIX: Final = "cluster://"
SETTING: Final = "--cluster-definitions"


def folder_of(namespace: str, kind: str) -> str:
    """Where those of one kind stand; reading below it what is not there raises ValueError as long as they could not be listed."""
    return f"{PREFIX}{namespace}/{kind}/"


class InCluster(NamedTuple):
    """
    `namespace`: the one whose definitions are used for names that neither the repository nor this program defines; empty: none is.
    `unchecked`: makes the step type, of a name and why it is not checked, where nobody asks the cluster and such names are believed.
    """

    namespace: str = ""
    unchecked: Callable[[str, str], StepType] | None = None

    def place(self, kind: str, name: str) -> str:
        """The path of a definition; empty where there can be none."""
        return f"{folder_of(self.namespace, kind)}{name}" if self.namespace and self.unchecked is None and is_name(name) else ""

    def believes(self, name: str) -> bool:
        return self.unchecked is not None and is_name(name)

    def believe(self, kind: str) -> str:
        """What a name is that only the cluster can know."""
        where = f" in the namespace {self.namespace}" if self.namespace else ""
        return f"defined by the cluster, if anywhere (a {kind}{where})"

    def explain(self, kind: str, name: str, files: Files) -> str:
        """What is to be said of a name that nobody defines: it stands at the end of the message."""
        if not self.namespace:
            return f"; one that only the cluster defines needs {SETTING}" if is_name(name) else ""
        place = self.place(kind, name)
        if not place:
            return ""
        try:
            files.read(place)
        except FileNotFoundError:
            return f"; neither the repository nor the namespace {self.namespace} of the cluster has a {kind} of that name"
        except ValueError as error:
            return f"; whether the namespace {self.namespace} of the cluster has a {kind} of that name is not known: {error}"
        return ""


NOWHERE: Final = InCluster()
"""No definition of a cluster is used."""


def read_served(path: str, data: bytes | str, limit: int) -> tuple[list[Document], list[Problem]]:
    """The object as a document. It has no lines but those of its template: nobody sees how it is written down here."""
    documents, problems = parse(path, data, limit)
    return [document._replace(line=0, lines={}) for document in documents], [problem for problem in problems if problem.severity == "error"]
