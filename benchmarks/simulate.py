"""`reconciler simulate` of a commit of N applications, each in a process of its own, start of the interpreter included.

    python benchmarks/simulate.py 20 80 [--runs 5]

Each application is a Deployment that is waited for, a gate, and a ConfigMap behind it; the gates are answered. With `--from`: all
applications ran before, and the commit changes each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pygit2

BRANCH = "refs/heads/main"
MANIFEST = """apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: app-{number}
spec:
  components:
    - name: app-{number}
      type: webservice
      properties: {{image: "nginx:{value}", ports: [{{port: 80, expose: true}}]}}
    - name: settings
      type: k8s-objects
      properties:
        objects:
          - {{apiVersion: v1, kind: ConfigMap, metadata: {{name: app-{number}}}, data: {{value: "{value}"}}}}
  workflow:
    steps:
      - {{type: apply-component, name: web, properties: {{component: app-{number}}}}}
      - {{type: suspend, name: approve}}
      - {{type: apply-component, name: settings, properties: {{component: settings}}}}
"""


def commit(repository: pygit2.Repository, count: int, value: int) -> None:
    index = pygit2.Index()
    parents = [repository.references[BRANCH].target] if BRANCH in repository.references else []
    for number in range(count):
        blob = repository.create_blob(MANIFEST.format(number=number, value=value).encode())
        index.add(pygit2.IndexEntry(f"apps/app-{number}.yaml", blob, pygit2.enums.FileMode.BLOB))
    who = pygit2.Signature("Benchmark", "benchmark@example.org")
    repository.create_commit(BRANCH, who, who, "change", index.write_tree(repository), parents)


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return time.perf_counter() - begun, after.children_user + after.children_system - before.children_user - before.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print(f"{'applications':>12}  {'':8}  {'wall s':>7}  {'CPU s':>7}")
    for count in args.counts:
        with tempfile.TemporaryDirectory() as folder:
            repository = pygit2.init_repository(str(Path(folder) / "repo"), bare=True, initial_head=BRANCH)
            for value in (1, 2):
                commit(repository, count, value)
            simulate = [sys.executable, "-m", "reconciler", "simulate", repository.path, "--decide", "approve=continue"]
            for label, more in (("new", []), ("--from", ["--from", "HEAD~1"])):
                found = [measure([*simulate, *more]) for _ in range(args.runs)]
                wall, cpu = (statistics.median(values) for values in zip(*found, strict=True))
                print(f"{count:>12}  {label:8}  {wall:7.2f}  {cpu:7.2f}")


if __name__ == "__main__":
    main()
