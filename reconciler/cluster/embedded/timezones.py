"""Time zones by their names in the IANA database, as the machine has it."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from reconciler.cluster.protocol import InvalidError


def read_zone(name: object) -> tzinfo:
    """UTC where no name is given. Raises InvalidError; Kubernetes refuses `Local` too: it means another zone on each machine."""
    if name is None:
        return UTC
    try:
        if not isinstance(name, str) or not name or name.lower() == "local":
            raise ValueError
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):
        raise InvalidError(f"CronJob: spec.timeZone: {name!r:.60} is no time zone, such as Etc/UTC or Europe/Berlin") from None
