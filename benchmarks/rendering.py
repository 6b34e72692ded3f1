"""Helm and Kustomize in the sandbox beside the commands, on the same input in the same run.

    python benchmarks/rendering.py [--calls 40] [--applications 1000]

Each pair is one call in the sandbox and one of the command right after it: `helm template` of what `helm create` makes, `kustomize build` of a
small overlay. Then the applications: as many distinct releases of that chart, rendered on two threads. The commands are those of
`scripts/controlplane build --with helm,kustomize`, built where they are not there. Memory is this process's own peak, without its children.
"""

from __future__ import annotations

import argparse
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
from reconciler.render.helm import render_helm  # noqa: E402
from reconciler.render.kustomize import render_kustomize  # noqa: E402
from reconciler.render.protocol import RenderContext  # noqa: E402
from scripts.control_plane.binaries import provide  # noqa: E402

CONTEXT = RenderContext("shop", "default", "dev", {})
OVERLAY = {
    "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n"
    "  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: web}]}\n",
    "over/kustomization.yaml": "resources: [../base]\nnamePrefix: dev-\nconfigMapGenerator: [{name: page, literals: [a=b]}]\n"
    "images: [{name: web, newTag: '2'}]\nreplicas: [{name: web, count: 3}]\n",
}


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


def compare(name: str, calls: int, inside: Callable[[], object], command: list[str]) -> None:
    inside()  # compiles and loads the module, where that was not done yet
    pairs = [(timed(inside), timed(lambda: subprocess.run(command, check=True, capture_output=True))) for _ in range(calls)]
    ours, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(outside / within for within, outside in pairs)
    print(f"| {name} | {min(ours):.1f} / {statistics.median(ours):.1f} ms | {min(theirs):.1f} / {statistics.median(theirs):.1f} ms | {ratio:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--applications", type=int, default=1000)
    asked = parser.parse_args()
    commands = provide(["helm", "kustomize"])
    helm, kustomize = str(commands["helm"]), str(commands["kustomize"])
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        for path, text in OVERLAY.items():
            (top / path).parent.mkdir(exist_ok=True)
            (top / path).write_text(text)
        subprocess.run([helm, "create", str(top / "chart")], check=True, capture_output=True)
        files = Folder(top)

        def release(number: int) -> list[JsonObject]:
            values = {"replicaCount": number}
            return render_helm(Component("web", "web", "helm", {"path": "chart", "releaseName": f"web-{number}", "values": values}), CONTEXT, files)

        def overlay() -> list[JsonObject]:
            return render_kustomize(Component("web", "web", "kustomize", {"path": "over"}), CONTEXT, files)

        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}\n")
        print("| | sandbox, least / median | command, least / median | times, median of pairs |\n|---|---|---|---|")
        compare("Helm", asked.calls, lambda: release(1), [helm, "template", "web-1", str(top / "chart"), "--set", "replicaCount=1"])
        compare("Kustomize", asked.calls, overlay, [kustomize, "build", str(top / "over")])
        with ThreadPoolExecutor(2) as threads:
            seconds = timed(lambda: list(threads.map(release, range(asked.applications)))) / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"\n{asked.applications} releases on two threads: {seconds:.1f} s, peak memory {peak} MiB")


if __name__ == "__main__":
    main()
