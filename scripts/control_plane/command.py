"""The command line: `scripts/controlplane build | up DIR | down DIR`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from scripts.control_plane import binaries
from scripts.control_plane.layout import Layout
from scripts.control_plane.processes import Identity, identify
from scripts.control_plane.supervisor import FailedError, Supervisor, note

SCRIPT = Path(__file__).resolve().parents[1] / "controlplane"
PATIENCE = 180.0

EPILOG = """\
What is in DIR while it runs: kubeconfig (of who may do everything), audit.log (each request, at level Metadata), logs/ of each part,
ca.crt, server.crt and server.key. A part that dies is started again. Annotations of a pod say how it fares:
  controlplane.test/pod: never-ready | image-pull-back-off | crash-loop | fail    (nothing: it runs, and the pod of a Job completes)
  controlplane.test/ready-after, run-for, stop-after: 5s

Commands are built once, into ~/.cache/reconciler-tests/controlplane. KUBEBUILDER_ASSETS=FOLDER takes those that are in it from there.
"""


class UsageError(Exception):
    """It can't be done. The message says why."""


def main() -> int:
    arguments = parse()
    try:
        if arguments.command == "build":
            for path in binaries.provide([*binaries.NEEDED, *arguments.wanted]).values():
                sys.stdout.write(f"{path}\n")
        elif arguments.command == "up":
            sys.stdout.write(f"{up(arguments.dir.resolve(), arguments.follow)}\n")
        elif arguments.command == "down":
            down(Layout(arguments.dir.resolve()))
        else:
            supervise(Layout(arguments.dir), arguments.follow)
    except (binaries.MissingError, FailedError, UsageError) as error:
        sys.stderr.write(f"controlplane: {error}\n")
        return 1
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="controlplane",
        description="A Kubernetes control plane on 127.0.0.1, on free ports, for tests. No container runs: kwok plays the nodes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="build | up | down")
    build = commands.add_parser("build", help="build what is missing, print where it is")
    build.add_argument("--with", dest="wanted", default=[], type=lambda text: chosen(text.split(",")), metavar="kubectl,helm", help="and these")
    start = commands.add_parser("up", help="start it, with its state in DIR; prints the path of the kubeconfig when it is ready")
    run = commands.add_parser("supervise", help=argparse.SUPPRESS)
    for each in (start, run):
        each.add_argument("--follow", type=int, metavar="PID", help="end when that process ends")
    for each in (start, run, commands.add_parser("down", help="stop what `up` started in DIR, and nothing else; its state stays")):
        each.add_argument("dir", type=Path, metavar="DIR")
    return parser.parse_args()


def chosen(names: list[str]) -> list[str]:
    if unknown := sorted(set(names) - binaries.TOOLS.keys()):
        raise argparse.ArgumentTypeError(f"no such command: {', '.join(unknown)} (there are {', '.join(binaries.TOOLS)})")
    return names


def up(folder: Path, follow: int | None) -> Path:
    """Answers when it is ready. Raises UsageError, FailedError, MissingError."""
    layout = Layout(folder)
    if any(process.alive for process in noted(layout)):
        raise UsageError(f"one runs in {folder} already: `down` first")
    if folder.exists() and any(folder.iterdir()) and not layout.path("tokens.json").exists():
        raise UsageError(f"{folder} holds something else")
    binaries.provide()
    layout.path("logs").mkdir(parents=True, exist_ok=True)
    for path in (layout.ready, layout.processes):
        path.unlink(missing_ok=True)
    log = layout.log("supervisor")
    command = [sys.executable, str(SCRIPT), "supervise", str(folder), *(["--follow", str(follow)] if follow else [])]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    end = time.monotonic() + PATIENCE
    while not layout.ready.exists():
        if process.poll() is not None:
            raise FailedError(log.read_text().removeprefix("controlplane: ").strip())
        if time.monotonic() > end:
            down(layout)
            raise FailedError(f"not ready after {PATIENCE:.0f} s; see {layout.path('logs')}")
        time.sleep(0.05)
    return layout.kubeconfig


def supervise(layout: Layout, follow: int | None) -> None:
    note(layout, {"supervisor": identify(os.getpid())._asdict()})
    Supervisor(layout, binaries.find(), follow).run()


def down(layout: Layout) -> None:
    """The supervisor ends the others; what outlives it, or was left by one that crashed, is ended after it."""
    processes = noted(layout)
    for process in processes[:1]:
        process.signal(signal.SIGTERM)
    end = time.monotonic() + 30
    while any(process.alive for process in processes):
        if not processes[0].alive or time.monotonic() > end:
            for process in processes:
                process.signal(signal.SIGKILL)
        time.sleep(0.05)
    for path in (layout.ready, layout.processes):
        path.unlink(missing_ok=True)


def noted(layout: Layout) -> list[Identity]:
    """What was started in that folder, the supervisor first."""
    if not layout.processes.exists():
        return []
    return [Identity(**each) for each in json.loads(layout.processes.read_text()).values()]
