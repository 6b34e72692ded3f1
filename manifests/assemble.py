"""
Makes what follows from something else in this folder: `python3 manifests/assemble.py [--check]`.

- `chart/files/crds.yaml`, a copy of `crds/reconciler.dev.yaml`: a chart can take in nothing that stands beside it
- `install.yaml`, what the chart gives with its own values: for who has no Helm (needs the `helm` command, `HELM` or on PATH)

`--check` writes nothing and ends with 1 where something is not up to date.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMESPACE = "reconciler-system"
HEAD = f"""\
# Made by assemble.py from the chart. The definitions of its kinds are in crds/; kustomization.yaml takes both.
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""


def read_definitions() -> str:
    return (HERE / "crds" / "reconciler.dev.yaml").read_text(encoding="utf-8")


def render(*words: str | Path) -> str:
    """What `helm template` gives for the chart, installed as `reconciler`. Raises CalledProcessError with helm's own words."""
    command = [os.environ.get("HELM", "helm"), "template", "reconciler", HERE / "chart", "--namespace", NAMESPACE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - argv, no shell


def render_install() -> str:
    rendered = render("--set", "crds.install=false").replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/part-of: reconciler")
    lines = [line for line in rendered.splitlines() if not line.startswith("# Source: ")]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = 0
    for path, wanted in ((HERE / "chart" / "files" / "crds.yaml", read_definitions()), (HERE / "install.yaml", render_install())):
        if path.is_file() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale = 1
        if check:
            sys.stderr.write(f"{path.relative_to(HERE)} is not up to date: run python3 manifests/assemble.py\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main())
