"""Go durations (`time.ParseDuration`), as Kubernetes and KubeVela write them."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|min|s|m|h|d)", re.ASCII)
LONGEST = timedelta(days=3650)
_SHORTEST = 1e-6  # what a timedelta can hold


def parse_duration(text: object) -> timedelta:
    """
    Reads "30s", "2m15s", "1.5h"; also "1min" and "1d", which KubeVela's documents use. Raises ValueError with the reason.

    Negative, empty, zero and absurdly long (over ten years) durations are refused: as a wait none of them means anything.
    """
    if not isinstance(text, str) or not text or len(text) > 64:
        raise ValueError(f"not a duration: {text!r:.80} (write for example 30s, 5m or 1h30m)")
    seconds, end = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            break
        seconds += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if end != len(text):
        raise ValueError(f"not a duration: {text!r:.80} (write for example 30s, 5m or 1h30m)")
    if seconds < _SHORTEST or seconds > LONGEST.total_seconds():
        raise ValueError(f"duration out of range: {text!r:.80} (more than zero, at most ten years)")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The two largest units, for people: `1h30m`, `42s`, `3d4h`."""
    seconds = max(0, int(value.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
