"""
Does what the Dockerfile's first stage does, in a folder instead of a container: `scripts/imagesteps.py FOLDER`.

Absolute paths of its COPY and RUN lines are taken below FOLDER, and `python` is this one; of the repository only what `.dockerignore` lets
pass is there. Ends with 1 at the first step that fails, with its output.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).resolve().parents[1]
_PATH = re.compile(r"(?<![\w./-])/(?=(?:opt|src|dist)\b)")


class Step(NamedTuple):
    word: str
    rest: str


def read_steps(text: str) -> Iterator[Step]:
    """Instructions, whole lines, without comments."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield Step(word.upper(), " ".join(rest.split()))


def first_stage(text: str) -> list[Step]:
    """Those between the first FROM and the second."""
    found: list[Step] = []
    for step in read_steps(text):
        if step.word == "FROM" and found:
            return found[1:]
        if found or step.word == "FROM":
            found.append(step)
    return found[1:]


def is_sent(name: str, patterns: list[str]) -> bool:
    """Whether `.dockerignore` lets a path of the repository pass; the last pattern that fits decides."""
    sent = True
    for pattern in patterns:
        bare = pattern.removeprefix("!").rstrip("/")
        if fnmatch(name, bare) or name.startswith(f"{bare}/"):
            sent = pattern.startswith("!")
    return sent


class Image:
    """What becomes of the steps below `root`."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root
        self.ignored = [line for line in (TOP / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "python").symlink_to(sys.executable)
        self.environ = {**os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}

    def place(self, text: str) -> str:
        return _PATH.sub(f"{self.root}/", text)

    def do(self, step: Step) -> None:
        if step.word == "ENV":
            self.environ |= dict(pair.split("=", 1) for pair in step.rest.split())
        elif step.word == "WORKDIR":
            self.folder = Path(self.place(step.rest))
            self.folder.mkdir(parents=True, exist_ok=True)
        elif step.word == "COPY":
            *sources, target = step.rest.split()
            for source in sources:
                self.copy(source, target)
        elif step.word == "RUN":
            subprocess.run(("sh", "-ec", self.place(step.rest)), cwd=self.folder, env=self.environ, check=True)
        else:
            raise ValueError(f"{step.word} is not known here: teach scripts/imagesteps.py what it does")

    def copy(self, source: str, target: str) -> None:
        """Files into a folder, or a folder's content into a folder, as COPY does."""
        if not is_sent(source.removeprefix("./"), self.ignored):
            raise ValueError(f"COPY {source}: .dockerignore keeps it out")
        place = self.folder / target
        if (TOP / source).is_dir():
            shutil.copytree(TOP / source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / source, place)


def main() -> int:
    image = Image(Path(sys.argv[1]).resolve())
    for step in first_stage((TOP / "Dockerfile").read_text(encoding="utf-8")):
        print(f"{step.word} {step.rest[:100]}", flush=True)  # noqa: T201 - progress for a person
        try:
            image.do(step)
        except subprocess.CalledProcessError as error:
            return int(error.returncode)
    return 0


if __name__ == "__main__":
    sys.exit(main())
