"""What a definition says of the health of what it makes: KubeVela's `spec.status`, templates in CUE over the live objects."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

import msgspec

FIELDS: Final = ("healthPolicy", "customStatus", "details")
_MOST: Final = 512  # characters that are told


class HealthPolicy(msgspec.Struct, frozen=True, omit_defaults=True, rename={"health": "healthPolicy", "message": "customStatus"}):
    """`health` gives `isHealth`, `message` gives `message`, every field of `details` is one detail. Each is empty where there is none."""

    health: str = ""
    message: str = ""
    details: str = ""

    def __bool__(self) -> bool:
        return bool(self.health or self.message or self.details)


class Verdict(NamedTuple):
    """What a policy says of its objects. `healthy` None: it has nothing to say of that, and our own rules hold. `words`: its own message."""

    healthy: bool | None
    words: str = ""

    @property
    def status(self) -> Literal["Healthy", "Progressing"]:
        """One that is not healthy may become so: a policy knows no other way to be."""
        return "Healthy" if self.healthy else "Progressing"


def read_verdict(answer: dict[str, Any]) -> Verdict:
    """Of one subject, as the evaluator answers it. A policy without an answer is not healthy, and says why; a message without one changes nothing."""
    if answer["problem"]:
        what = "message" if answer["healthy"] or not answer["problem"].startswith(FIELDS[0]) else "health"
        return Verdict(answer["healthy"], f"its {what} can't be told: {answer['problem']}"[:_MOST])
    details = ", ".join(f"{name}: {value}" for name, value in sorted(answer["details"].items()))
    words = f"{answer['message']} ({details})" if answer["message"] and details else answer["message"] or details
    return Verdict(answer["healthy"], words[:_MOST])
