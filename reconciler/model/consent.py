"""What the owner of a Secret allows by annotation: `TYPE@HOST[:PORT]`, a list of them: steps of that type may send its values there (rule 13c)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from reconciler.model.text import one_line

_ITEM: Final = re.compile(r"([a-z0-9-]{1,63})@([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?", re.ASCII)


class Consent(NamedTuple):
    """`port` 0: every port."""

    step_type: str
    host: str
    port: int = 0


def read_consents(text: str) -> list[Consent]:
    """Total: what can't be read allows nothing. `find_consent_fault` says so before."""
    matches = [_ITEM.fullmatch(item) for item in _items(text)]
    return [Consent(match[1], _plain(match[2]), int(match[3] or 0)) for match in matches if match is not None]


def allows(text: str, step_type: str, host: str, port: int) -> bool:
    """Whether a step of that type may send what the Secret holds to that place."""
    return any(found.step_type == step_type and found.host == _plain(host) and found.port in (0, port) for found in read_consents(text))


def find_consent_fault(text: str) -> str:
    """What is wrong with the annotation; empty where nothing is."""
    wrong = next((item for item in _items(text) if _ITEM.fullmatch(item) is None), None)
    if wrong is None and _items(text):
        return ""
    return f"{one_line(wrong or text, 80)} is not TYPE@HOST[:PORT], as in notification@hooks.slack.com, with commas or spaces between several"


def _items(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
