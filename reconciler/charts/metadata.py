"""`Chart.yaml` and `Chart.lock`: what a chart is called, and which charts it needs that are not in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from reconciler.charts.protocol import ChartError
from reconciler.dialects.documents import parse
from reconciler.model.text import one_line

_MOST = 100


class Needed(NamedTuple):
    """A dependency that is not in the chart's `charts/`. `version`: a range, or what `Chart.lock` says."""

    name: str
    version: str
    repository: str


def read_name(files: Mapping[str, bytes]) -> tuple[str, str]:
    """Name and version. Raises ChartError."""
    chart = _mapping(files, "Chart.yaml")
    name, version = chart.get("name"), chart.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not name or "/" in name or not name.isprintable():
        raise ChartError("its Chart.yaml names no chart, or no version as text")
    return name, version


def find_missing(files: Mapping[str, bytes]) -> list[Needed]:
    """The dependencies that are not vendored, as far as they are enabled or not: that is decided when it is rendered. Raises ChartError."""
    declared = _dependencies(files, "Chart.yaml") or _dependencies(files, "requirements.yaml")
    locked = {entry["name"]: entry for entry in [*_dependencies(files, "requirements.lock"), *_dependencies(files, "Chart.lock")]}
    there = _vendored(files)
    found = []
    for entry in declared:
        name, repository = entry["name"], entry.get("repository") or ""
        if name in there:
            continue
        same = [other for other in declared if other["name"] == name]
        version = locked.get(name, {}).get("version") if len(same) == 1 else None
        found.append(Needed(name, str(version or entry.get("version") or ""), str(repository)))
    return list(dict.fromkeys(found))


def _vendored(files: Mapping[str, bytes]) -> set[str]:
    """Names of the charts in `charts/`."""
    names = set()
    for path in files:
        parts = path.split("/")
        if len(parts) == 3 and parts[0] == "charts" and parts[2] == "Chart.yaml" and not parts[1].startswith(("_", ".")):
            names.add(str(_mapping(files, path).get("name")))
    return names


def _dependencies(files: Mapping[str, bytes], path: str) -> list[dict[str, Any]]:
    listed = _mapping(files, path).get("dependencies") if path in files else None
    if listed is None:
        return []
    if (
        not isinstance(listed, list)
        or len(listed) > _MOST
        or not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in listed)
    ):
        raise ChartError(f"the dependencies in its {path} are no list of at most {_MOST} mappings with a name")
    return listed


def _mapping(files: Mapping[str, bytes], path: str) -> dict[str, Any]:
    documents, problems = parse(path, files[path])
    broken = next((problem for problem in problems if problem.severity == "error"), None)
    if broken is not None:
        raise ChartError(f"its {one_line(broken, 300)}")
    return documents[0].content if documents else {}
