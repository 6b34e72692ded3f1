"""Helm, Kustomize and CUE in the sandbox beside the commands, on the same input in the same run.

    python benchmarks/rendering.py [--calls 40] [--applications 1000]

Each pair is one call in the sandbox and one of the command right after it: `helm template` of what `helm create` makes, `kustomize build` of a
small overlay, `cue eval` of a step's template with the same package behind it. Then the applications: as many distinct releases of that chart,
rendered on two threads; how much more two threads do than one; and the charts and kustomizations that the tests compare with the commands, each on
two threads at a time. The commands are those of `scripts/controlplane build --with helm,kustomize,cue`, built where they are not there. Nothing is
answered from what is kept of earlier calls. Memory is this process's own peak, without its children.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reconciler.model.application import Component  # noqa: E402 - found by the line above
from reconciler.model.identity import JsonObject  # noqa: E402
from reconciler.render import sandbox  # noqa: E402
from reconciler.render.answers import Answers  # noqa: E402
from reconciler.render.definitions import shared  # noqa: E402
from reconciler.render.helm import render_helm  # noqa: E402
from reconciler.render.kustomize import render_kustomize  # noqa: E402
from reconciler.render.protocol import RenderContext, RenderError  # noqa: E402
from scripts.control_plane.binaries import provide  # noqa: E402
from tests.integration.rendering.test_module_corpus import HELM, KUSTOMIZE, KWOK, Disk, charts_in, rendered, source_of  # noqa: E402

CONTEXT = RenderContext("shop", "default", "dev", {})
OVERLAY = {
    "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
    "  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: web}]}\n",
    "over/kustomization.yaml": "resources: [../base]\nnamePrefix: dev-\nconfigMapGenerator: [{name: page, literals: [a=b]}]\n"
    "images: [{name: web, newTag: '2'}]\nreplicas: [{name: web, count: 3}]\n",
}
MODULE = "example.org/benchmark"
PARAMETER = {"image": "example/web:2", "replicas": 3, "flag": "ready"}
STEP = """
import "vela/op"

parameter: {image: string, replicas: *1 | int, flag: string}
made: op.#Apply & {
  value: {
    apiVersion: "apps/v1"
    kind:       "Deployment"
    metadata: name: context.name
    spec: replicas: parameter.replicas
    spec: template: spec: containers: [{name: context.name, image: parameter.image}]
  }
}
wait: op.#ConditionalWait & {
  message: "\\(context.name) waits for \\(parameter.flag)"
  if made.value.spec.replicas > 2 {
    continue: true
  }
}
"""


class Forgetful(Answers):
    """Each call is an evaluation."""

    def get(self, key: bytes, evaluate: Callable[[], bytes]) -> bytes:  # noqa: ARG002 - as it is called
        return evaluate()


class Folder:
    """`Files` over a folder on disk, read once: what a commit's files are to a renderer."""

    def __init__(self, top: Path) -> None:
        self._files = {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}

    def folder(self, path: str) -> dict[str, str]:
        return {name: "" for name in self._files if name.startswith(f"{path}/")}

    def read(self, path: str) -> bytes:
        return self._files[path]

    def tree(self, path: str) -> dict[str, bytes]:
        return {name: self._files[name] for name in self.folder(path)}

    def archive(self, component: str) -> bytes:
        raise NotImplementedError(component)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def spent(work: Callable[[], object], who: int) -> tuple[float, float]:
    """Milliseconds of the clock, and of CPU: of this process or of its children."""
    before = resource.getrusage(who)
    clock = timed(work)
    after = resource.getrusage(who)
    return clock, 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def compare(name: str, calls: int, inside: Callable[[], object], command: list[str], folder: Path = ROOT) -> None:
    inside()  # compiles and loads the module, where that was not done yet
    pairs = [
        (
            spent(inside, resource.RUSAGE_SELF),
            spent(lambda: subprocess.run(command, cwd=folder, check=True, capture_output=True), resource.RUSAGE_CHILDREN),
        )
        for _ in range(calls)
    ]
    ours, theirs = ([side[0] for side in sides] for sides in zip(*pairs, strict=True))
    times, processor = (statistics.median(outside[which] / within[which] for within, outside in pairs) for which in (0, 1))
    medians = f"{min(ours):.1f} / {statistics.median(ours):.1f} ms | {min(theirs):.1f} / {statistics.median(theirs):.1f} ms"
    print(f"| {name} | {medians} | {times:.1f} | {processor:.1f} |")


def write_module(top: Path) -> None:
    """What the `cue` command evaluates: the template, the package that it imports, and the values that a step is given."""
    (top / "cue.mod").mkdir(parents=True)
    (top / "cue.mod" / "module.cue").write_text(f'module: "{MODULE}@v0"\nlanguage: version: "v0.17.0"\n')
    (top / "op").mkdir()
    (top / "op" / "op.cue").write_bytes((ROOT / "renderers" / "cue" / "definition" / "packages" / "op.cue").read_bytes())
    values = f'context: {{name: "web", namespace: "default"}}\nparameter: {json.dumps(PARAMETER)}\n'
    (top / "step.cue").write_text("package step\n" + STEP.replace("vela/op", f"{MODULE}/op") + values)


def walk() -> object:
    """One look at the step."""
    context = {"name": "web", "namespace": "default"}
    request = {"template": STEP, "context": context, "parameter": PARAMETER, "objects": {}, "results": {}, "outputs": {}}
    answer = shared().evaluate(json.dumps(request))
    assert answer["state"] == "do", answer
    return answer


def compare_threads(release: Callable[[int], object], calls: int) -> float:
    """How many times more two threads render than one in the same time; the median of rounds that take turns."""
    found = []
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
        for _ in range(9):
            alone = timed(lambda: list(one.map(release, range(calls))))
            found.append(alone / timed(lambda: list(two.map(release, range(calls)))))
    return statistics.median(found)


def render_overlay(top: Path, place: Path) -> bool:
    folder = str(place.relative_to(top))
    try:
        return bool(render_kustomize(Component(folder, "web", "kustomize", {"path": folder}), CONTEXT, Disk(top)))
    except RenderError:
        return False


def render_corpora() -> int:
    """Everything that the tests compare with the commands, each item in two threads at a time. How many of the items made objects."""
    with ThreadPoolExecutor(2) as threads:
        made = []
        for top in (source_of(*module) for module in (HELM, KWOK, KUSTOMIZE)):
            for chart in charts_in(top):
                made += [threads.submit(lambda *item: rendered(*item)[0] is not None, top, chart) for _ in range(2)]
            for found in sorted(top.rglob("kustomization.yaml")):
                made += [threads.submit(render_overlay, top, found.parent) for _ in range(2)]
        return sum(future.result() for future in made) // 2


def peak() -> str:
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--applications", type=int, default=1000)
    asked = parser.parse_args()
    commands = provide(["helm", "kustomize", "cue"])
    helm, kustomize, cue = (str(commands[name]) for name in ("helm", "kustomize", "cue"))
    sandbox.shared().answers = Forgetful()
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        for path, text in OVERLAY.items():
            (top / path).parent.mkdir(exist_ok=True)
            (top / path).write_text(text)
        subprocess.run([helm, "create", str(top / "chart")], check=True, capture_output=True)
        files = Folder(top)
        write_module(top / "step")

        def release(number: int) -> list[JsonObject]:
            values = {"replicaCount": number}
            return render_helm(Component("web", "web", "helm", {"path": "chart", "releaseName": f"web-{number}", "values": values}), CONTEXT, files)

        def overlay() -> list[JsonObject]:
            return render_kustomize(Component("web", "web", "kustomize", {"path": "over"}), CONTEXT, files)

        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
        print("| | sandbox, least / median | command, least / median | times, median of pairs | times, CPU |\n|---|---|---|---|---|")
        compare("Helm", asked.calls, lambda: release(1), [helm, "template", "web-1", str(top / "chart"), "--set", "replicaCount=1"])
        compare("Kustomize", asked.calls, overlay, [kustomize, "build", str(top / "over")])
        compare("CUE", asked.calls, walk, [cue, "eval", "."], top / "step")
        with ThreadPoolExecutor(2) as threads:
            seconds = timed(lambda: list(threads.map(release, range(asked.applications)))) / 1000
        print(f"\n{asked.applications} releases on two threads: {seconds:.1f} s, {peak()}")
        print(f"two threads beside one: {compare_threads(release, 30):.2f} times as many releases")
    print(f"the corpora of the tests, {render_corpora()} items that make objects, on two threads: {peak()}")


if __name__ == "__main__":
    main()
