"""What others wrote gives what the commands give: charts and kustomizations inside the Go modules that the build of the renderers and of the
tests' control plane needs anyway. What the commands refuse is refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.application import Component
from reconciler.render.helm import AFTER, BEFORE, render_helm
from reconciler.render.kustomize import render_kustomize
from reconciler.render.protocol import RenderError
from scripts.gotool import find_go
from tests.integration.rendering.test_helm import CONTEXT, hooks_of, named

TOP = Path(__file__).resolve().parents[3]
HELM = (TOP / "renderers" / "helm", "helm.sh/helm/v4", "pkg")  # what is internal there is a format to come
KUSTOMIZE = (TOP / "renderers" / "kustomize", "sigs.k8s.io/kustomize/api", "")
KWOK = (TOP / "scripts" / "control_plane" / "go" / "kwok", "sigs.k8s.io/kwok", "")


def source_of(user: Path, module: str, folder: str) -> Path:
    """Where Go keeps a folder of the sources of a module that another one uses; fetched, as a build would, where they are not there."""
    command = [find_go([user / "go.mod"]), "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=user, env={**os.environ, "GOFLAGS": "", "GOWORK": "off"}, capture_output=True, text=True, check=True)
    return Path(json.loads(done.stdout)["Dir"]) / folder


class Disk:
    """The repository is a folder on disk. Links are followed, as the commands do; in a repository there are none."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def folder(self, path: str) -> dict[str, str]:
        return {str(file.relative_to(self.top)): "0" for file in sorted((self.top / path).rglob("*")) if file.is_file()}

    def read(self, path: str) -> bytes:
        return (self.top / path).read_bytes()

    def tree(self, path: str) -> dict[str, bytes]:
        return {name: self.read(name) for name in self.folder(path)}

    def archive(self, component: str) -> bytes:
        return self.read(component)


def charts_in(top: Path) -> Iterator[Path]:
    """Folders and archives, each content once; without the charts in charts."""
    seen: set[str] = set()
    for path in sorted({*(found.parent for found in top.rglob("Chart.yaml")), *top.rglob("*.tgz")}):
        if any((above / "Chart.yaml").exists() for above in path.parents):
            continue
        files = Disk(path).tree("") if path.is_dir() else {"": path.read_bytes()}
        digest = hashlib.sha256(b"".join(f"{name} {len(data)}\0".encode() + data for name, data in files.items())).hexdigest()
        if digest not in seen:
            seen.add(digest)
            yield path


def templated(helm: Path, chart: Path) -> list[Any] | None:
    """None where the command refuses."""
    command = [helm, "template", "web", chart, "--namespace", "default", "--include-crds", "--skip-tests"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [obj for obj in yaml.load_all(done.stdout, yaml.CSafeLoader) if obj] if done.returncode == 0 else None


def rendered(top: Path, chart: Path) -> tuple[list[Any] | None, str]:
    place = str(chart.relative_to(top))
    properties = {"path": place, "values": {}} if chart.is_dir() else {"values": {}}
    try:
        return render_helm(Component(place, "web", "helm", properties), CONTEXT, Disk(top)), ""
    except RenderError as error:
        return None, str(error)


def ordered(objects: Iterable[Any]) -> list[Any]:
    """As they are to be applied, and behind them those hooks that are applied at all, which the command prints in another order."""
    listed = list(objects)
    return [obj for obj in listed if not hooks_of(obj)] + named(obj for obj in listed if hooks_of(obj) & (BEFORE | AFTER))


def without(value: Any, one: Any, other: Any) -> Any:
    """A value without what two results of the command do not agree in: a random password, and a digest of it."""
    if isinstance(one, dict) and isinstance(other, dict) and isinstance(value, dict):
        return {key: without(each, one.get(key), other.get(key)) for key, each in value.items()}
    if isinstance(one, list) and isinstance(other, list) and isinstance(value, list) and len({len(one), len(other), len(value)}) == 1:
        return [without(*each) for each in zip(value, one, other, strict=True)]
    return value if one == other else "random"


@pytest.mark.parametrize(("module", "least"), [(HELM, 25), (KWOK, 3), (KUSTOMIZE, 1)], ids=["helm", "kwok", "kustomize"])
def test_charts_of_go_modules_give_what_the_command_gives_and_are_refused_where_it_refuses(renderers, helm, module, least):
    top, different, same, refused = source_of(*module), {}, 0, 0
    for chart in charts_in(top):
        printed, (made, said) = templated(helm, chart), rendered(top, chart)
        wanted = ordered(printed or [])
        if not wanted:  # refused, or it makes nothing: then an application of it would prune all that it had
            refused += made is None
            if made is not None:
                different[str(chart)] = "made what the command refuses"
            continue
        if made is None:
            different[str(chart)] = said
        elif ordered(made) != wanted:
            again = ordered(templated(helm, chart) or [])
            if without(ordered(made), wanted, again) != without(wanted, wanted, again):
                different[str(chart)] = "made something else"
                continue
        same += made is not None
    assert different == {}
    assert same >= least
    assert (refused > 0) == (module is HELM)


@pytest.mark.parametrize(("module", "least"), [(KWOK, 15), (KUSTOMIZE, 1)], ids=["kwok", "kustomize"])
def test_kustomizations_of_go_modules_give_what_the_command_gives_and_are_refused_where_it_refuses(renderers, kustomize, module, least):
    top, different, same = source_of(*module), {}, 0
    for found in sorted(top.rglob("kustomization.yaml")):
        if b"://" in found.read_bytes() or b"github.com" in found.read_bytes():
            continue  # what is fetched is an error here, and a connection there
        place = str(found.parent.relative_to(top))
        done = subprocess.run([kustomize, "build", found.parent], capture_output=True, text=True, check=False)
        wanted = list(yaml.load_all(done.stdout, yaml.CSafeLoader)) if done.returncode == 0 else []
        try:
            made = render_kustomize(Component(place, "web", "kustomize", {"path": place}), CONTEXT, Disk(top))
        except RenderError as error:
            made = []
            if wanted:
                different[place] = str(error)
        if made != wanted:
            different.setdefault(place, "made something else")
        same += bool(wanted)
    assert different == {}
    assert same >= least
