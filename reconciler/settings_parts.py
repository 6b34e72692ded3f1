"""The settings that are mappings, or lists of them; they stand in the file alone. What they mean is said where they are used."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class SopsKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What decrypts that which stands below one folder of the repository. The longest `path` that holds a manifest decides alone."""

    path: Annotated[str, Meta(description="Folder of the repository, relative to its top; empty for all of it.")] = ""
    age_key_file: Annotated[str, Meta(description="File with age identities.")] = ""
    secret: Annotated[str, Meta(description="Secret (`NAMESPACE/NAME`) with age identities (`*.agekey`) and PGP keys (`*.asc`).")] = ""


class Queues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Who goes on of the runs whose workflows have a queue."""

    strategy: Annotated[
        Literal["FIFO", "FAIR"], Meta(description="FIFO: by when the runs were made. FAIR: one of each queue in turn, within a queue as FIFO.")
    ] = "FIFO"
    max_running_count: Annotated[int, Meta(ge=1, description="How many of them run or roll back at once, of all queues together.")] = 100


class KindLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    kind: Annotated[str, Meta(description="A step type.")]
    qps: Annotated[float, Meta(gt=0, description="How many effects of its steps are started in a second.")]


class ControllerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """As step flow's configuration names it (seed 004)."""

    queue: Annotated[Queues, Meta(description="Who goes on of the runs whose workflows have a queue.")] = Queues()
    steps: Annotated[list[KindLimit], Meta(description="Limits of single step types.")] = []


_Seconds = Annotated[float, Meta(gt=0, le=86400)]
_Factor = Annotated[float, Meta(ge=1, le=100)]


class Backoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How a step that failed in a way that may pass is tried again, where neither it nor its workflow says so. None: as its family does."""

    limit: Annotated[int | None, Meta(description="Tries after the first one; below 0 without end.")] = None
    period_seconds: Annotated[_Seconds | None, Meta(description="Seconds before the first of them.")] = None
    factor: Annotated[_Factor | None, Meta(description="How many times longer each pause is than the one before.")] = None
    cap_seconds: Annotated[_Seconds | None, Meta(description="Seconds of the longest pause.")] = None
