"""What gates are answered: `--decide STEP=continue|rollback|end`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from reconciler.model.identity import AppKey
from reconciler.model.names import GATE_PREFIX
from reconciler.model.run import Verb
from reconciler.model.status import GateView

VERBS: Final[tuple[Verb, ...]] = ("continue", "rollback", "end")


class Answer(NamedTuple):
    """`gate`: STEP, APP/STEP or NAMESPACE/APP/STEP."""

    gate: str
    verb: Verb

    def __str__(self) -> str:
        return f"{self.gate}={self.verb}"


def parse_answer(text: str) -> Answer:
    """Raises ValueError with what would be right."""
    gate, _, word = text.rpartition("=")
    verb = next((verb for verb in VERBS if verb == word), None)
    if not gate or verb is None or not 1 <= len(gate.split("/")) <= 3 or not all(gate.split("/")):
        raise ValueError(f"{text!r:.80} is no decision; write STEP=continue, STEP=rollback or STEP=end, with APP/ or NAMESPACE/APP/ before STEP")
    return Answer(gate, verb)


class Answers:
    """The most exact answer to a gate wins, of equal ones the last. `default`: for gates that none names."""

    def __init__(self, answers: Sequence[Answer], default: Verb | None = None) -> None:
        self._answers = {answer.gate: answer for answer in answers}
        self._unused = dict.fromkeys(self._answers.values())
        self._default = default

    def find(self, key: AppKey, gate: GateView) -> Verb | None:
        """A gate is named by its step, or by the key of its annotation."""
        found: Answer | None = None
        for place in ("", f"{key.name}/", f"{key.namespace}/{key.name}/"):
            for step in dict.fromkeys((gate.step, gate.key.removeprefix(GATE_PREFIX))):
                answer = self._answers.get(place + step)
                if answer is not None:
                    self._unused.pop(answer, None)
                    found = answer
        return found.verb if found is not None else self._default

    @property
    def unused(self) -> list[Answer]:
        """Those that named no gate that waited, in the order in which they were given."""
        return list(self._unused)
