"""
The project's commands for people: `python3 dev.py demo | capture | test | lint | lock`.

Only the standard library, so that it runs before anything is installed. Each command does the set-up that it needs
(`.venv` from the locked requirements, verified by hash), and does it once: a stamp holds the digest of what is installed.
"""

# ruff: noqa: T201, S603  (it talks to a person at a terminal, and runs git, pip and the tools of .venv by name)

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

TOP = Path(__file__).resolve().parent
VENV = TOP / ".venv"
BIN = VENV / "bin"
OLDEST = (3, 11)
LOCK_TOOL = "pip-tools==7.6.2"
RUNTIME, BUILD, TEST, GO = "requirements.txt", "requirements-build.txt", "requirements-test.txt", "requirements-go.txt"
LOCKS: dict[str, tuple[bool, tuple[str, ...]]] = {
    RUNTIME: (True, ()),
    BUILD: (False, ("build",)),
    TEST: (True, ("test", "lint", "build")),
    GO: (False, ("go",)),
}
"""Lock file to: with the package's own dependencies?, and the dependency groups in it. Later ones agree with earlier ones."""


def say(text: str) -> None:
    print(text, flush=True)


def fail(text: str) -> None:
    """Ends with exit code 1 and one sentence that says what to do."""
    sys.exit(f"dev.py: {text}")


def run(*command: str | Path, folder: Path = TOP, env: dict[str, str] | None = None, quiet: bool = False) -> None:
    """Runs a command; ends as it ended when it failed, with its output when that was kept quiet."""
    done = subprocess.run(command, cwd=folder, env=env, check=False, text=True, stdout=subprocess.PIPE if quiet else None, stderr=subprocess.STDOUT)
    if done.returncode:
        say(done.stdout or "")
        say(f"dev.py: failed ({done.returncode}): {shlex.join(str(word) for word in command)}")
        sys.exit(1)


# --- set-up


def stamp(locks: tuple[str, ...]) -> str:
    """Digest of the locks and of what the editable install is made from: a new one means that the set-up is to be done again."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {TOP}".encode())
    renderers = sorted(str(path.relative_to(TOP)) for path in (TOP / "renderers").rglob("*") if path.is_file())
    starting = ("reconciler/render/snapshots.py", "reconciler/render/preview1.py")
    for name in (*locks, "pyproject.toml", "hatch_build.py", GO, *renderers, *starting):
        digest.update((TOP / name).read_bytes())
    return digest.hexdigest()


def set_up(*locks: str) -> None:
    """Makes `.venv` hold exactly-pinned requirements and the project itself, editable. Nothing is done when it already does."""
    mark = VENV / f".installed-{'+'.join(locks)}"
    wanted = stamp(locks)
    if mark.is_file() and mark.read_text() == wanted:
        return
    started = time.monotonic()
    if not (BIN / "python").exists():
        say("set-up 1/4: making .venv")
        try:
            run(sys.executable, "-m", "venv", VENV, quiet=True)
        except SystemExit:
            fail("this Python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")
    say(f"set-up 2/4: installing {', '.join(locks)} (hashes verified; the first time takes a minute or two)")
    pip = (BIN / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--require-hashes", *(word for name in locks for word in ("-r", name)))
    say("set-up 3/4: the template engines (the first time they are built from Go sources, which takes some minutes)")
    run(BIN / "python", TOP / "scripts" / "renderers.py")
    say("set-up 4/4: installing the project itself")
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    mark.write_text(wanted)
    say(f"set-up done in {time.monotonic() - started:.0f} s")


# --- demo, capture, test, lint, lock


def demo(arguments: list[str]) -> NoReturn:
    """Becomes `reconciler demo`: one process, so that Ctrl-C and signals reach it alone."""
    set_up(RUNTIME, BUILD)
    os.execv(BIN / "reconciler", ("reconciler", "demo", *arguments))  # noqa: S606 - argv, no shell


def capture() -> int:
    """Draws the README's terminal captures anew."""
    set_up(RUNTIME, BUILD)
    return subprocess.run((BIN / "python", TOP / "docs" / "captures" / "draw.py"), cwd=TOP, check=False).returncode


def test(pytest_arguments: list[str]) -> int:
    """All tests with branch coverage, or those named without; random order. Ends with pytest's closing line."""
    set_up(TEST)
    if not pytest_arguments:  # tests that are named build it once they are collected, if they need it
        run(sys.executable, TOP / "scripts" / "controlplane", "build", "--with", "helm,kustomize")
        run(BIN / "python", "-m", "reconciler.render.precompiled")  # a minute or two each, the first time: longer than a test may take
    coverage = () if pytest_arguments else ("--cov", "--cov-report=term")
    # Half of the time of a test goes by with waiting (for git, for a process, for a deadline): two workers for each core.
    workers = 2 * (os.cpu_count() or 1)
    command = (str(BIN / "python"), "-m", "pytest", f"--numprocesses={workers}", *coverage, *pytest_arguments)
    return subprocess.run(command, cwd=TOP, check=False).returncode


def lint() -> int:
    """Format, rules, types, layers and the Dockerfile. Runs all of them, whatever the first one says."""
    set_up(TEST)
    checks = (("ruff", "format", "--check"), ("ruff", "check"), ("mypy",), ("lint-imports",), ("hadolint", "Dockerfile"))
    failed = []
    for tool, *words in checks:
        say(f"--- {tool} {' '.join(words)}".rstrip())
        if subprocess.run((BIN / tool, *words), cwd=TOP, check=False).returncode:
            failed.append(tool)
    say(f"lint: {'failed: ' + ', '.join(failed) if failed else 'all passed'}")
    return int(bool(failed))


def lock(*, upgrade: bool) -> int:
    """Writes the requirement files again from pyproject.toml, for the oldest Python that is supported."""
    import tomllib

    if sys.version_info[:2] != OLDEST:
        fail(f"lock with Python {OLDEST[0]}.{OLDEST[1]}, the oldest supported: only there is every backport in the answer")
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    options = ["--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-config"]
    options += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links", *(["--upgrade"] if upgrade else [])]
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        say(f"making a place for {LOCK_TOOL}")
        run(sys.executable, "-m", "venv", python.parent.parent)
        run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", LOCK_TOOL)
        earlier: list[str] = []
        for name, (own, groups) in LOCKS.items():
            say(f"locking {name}")
            wanted = [
                *(project["project"]["dependencies"] if own else ()),
                *(line for group in groups for line in project["dependency-groups"][group]),
            ]
            command = [
                str(python),
                "-m",
                "piptools",
                "compile",
                *options,
                *(f"--constraint={other}" for other in earlier),
                f"--output-file={name}",
                "-",
            ]
            env = {**os.environ, "CUSTOM_COMPILE_COMMAND": "python3 dev.py lock"}
            subprocess.run(command, cwd=TOP, input="\n".join(wanted), text=True, check=True, env=env)
            earlier.append(name)
    return 0


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="dev.py", description="Commands for working on the project. Each does all the set-up that it needs.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="see what it does on the example repository; further arguments are those of `reconciler demo`", add_help=False)
    commands.add_parser("capture", help="draw the terminal captures of the README anew")
    commands.add_parser("test", help="run the tests; further arguments are pytest's", add_help=False)
    commands.add_parser("lint", help="check format, rules, types and layers")
    commands.add_parser("lock", help="write requirements*.txt again from pyproject.toml").add_argument("--upgrade", action="store_true")
    options, rest = parser.parse_known_args(words)
    if rest and options.command not in ("demo", "test"):
        parser.error(f"unknown arguments: {shlex.join(rest)}")
    return options, rest


def main() -> int:
    if sys.version_info < OLDEST:
        fail(f"needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {sys.version.split()[0]} ({sys.executable})")
    options, rest = parse(sys.argv[1:])
    if options.command == "demo":
        demo(rest)
    if options.command == "capture":
        return capture()
    if options.command == "test":
        return test(rest)
    if options.command == "lint":
        return lint()
    return lock(upgrade=options.upgrade)


if __name__ == "__main__":
    sys.exit(main())
