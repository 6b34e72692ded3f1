"""What makes a revision: its content (rule 5a)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from reconciler.model.application import Application, pin_name
from reconciler.model.canonical import digest
from reconciler.model.names import SHARD, is_ours

DIGEST_VERSION: Final = 1


def git_digest(app: Application, version: int = DIGEST_VERSION) -> str:
    """
    The digest of all that git declares of the application: 64 hex digits. Decisions, comments, formatting, where the file
    lies, which shard acts for it and the daemon's own version change nothing in it.

    `version` is the algorithm's: a revision is compared by the one that made it. Raises KeyError for an unknown version,
    ValueError where the spec holds what JSON cannot (NaN, infinities).
    """
    return ALGORITHMS[version](app)


def git_digests(app: Application) -> dict[int, str]:
    """The digest by every known algorithm, by version."""
    return {version: algorithm(app) for version, algorithm in ALGORITHMS.items()}


def revision_digest(of_git: str, pins: Mapping[str, str]) -> str:
    """Git digest and the pins of external inputs (name to resolved version or content digest), resolved when the revision was made."""
    return digest({"v": DIGEST_VERSION, "git": of_git, "pins": dict(pins)})


def _version_1(app: Application) -> str:
    environment = app.environment
    steps = {name: template for name, template in app.workflow.definitions.items() if pin_name("step", name) not in app.served}
    return digest(
        {
            "v": 1,
            "identity": [app.namespace, app.name],
            "family": app.family,
            "spec": app.spec,
            "labels": {name: value for name, value in app.labels.items() if name != SHARD},
            "annotations": {name: app.annotations[name] for name in app.read_annotations if name in app.annotations and not is_ours(name)},
            "environment": {"name": environment.name, "namespace": environment.namespace, "values": environment.values},
            "references": sorted({(reference.name, reference.oid) for reference in app.references}),
            # Left out where there are none, as before there could be some: what was digested then keeps its digest.
            **({"definitions": steps} if steps else {}),
            **(_types(app) if app.definitions or any(not pin.startswith(pin_name("step", "")) for pin in app.served) else {}),
        }
    )


def _types(app: Application) -> dict[str, Any]:
    """The definitions of component and trait types, and what their templates see of the application beside its spec. What the cluster defines is
    pinned when a revision is made: it is not declared by git."""
    found_here = [found for found in app.definitions if pin_name(found.kind, found.name) not in app.served]
    definitions = sorted((found.kind, found.name, msgspec.to_builtins(found)) for found in found_here)
    return {"types": definitions, "shown": {name: value for name, value in app.annotations.items() if not is_ours(name)}}


ALGORITHMS: Mapping[int, Callable[[Application], str]] = MappingProxyType({1: _version_1})
"""Never changed once released: a change of what is digested is a new version, so that an upgrade runs nothing again."""
