"""What is kept of earlier looks: only where all that decided is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.engine.declared import Declared, File
from reconciler.engine.recall import Recall, program
from reconciler.model.identity import AppKey
from reconciler.model.problem import Problem
from reconciler.source.protocol import Blob

WATCHED = ("app/values.yaml", "app/environment.yaml", "charts/web/")


class Tree:
    """Files of one commit, by path; what `refused` says a folder answers instead of its files."""

    def __init__(self, files: dict[str, str], refused: str = "", mode: int = 0o100644) -> None:
        self._files, self._refused, self._mode = files, refused, mode

    def blob(self, path: str) -> Blob | None:
        return Blob(self._files[path], self._mode) if path in self._files else None

    def folder(self, path: str) -> dict[str, str]:
        if self._refused:
            raise ValueError(self._refused)
        return {name: oid for name, oid in self._files.items() if name.startswith(path)}


BEFORE = {"app/values.yaml": "1", "charts/web/a.yaml": "2"}


def application(*watched: str) -> File:
    declared = Declared(
        AppKey("default", "web"), "d" * 64, "app/web.yaml", 0, 1, "o", "kubevela", "", "c", {"reconciler.dev/x": "y"}, ("go",), watched
    )
    warning = Problem("app/web.yaml", 3, "odd", severity="warning")
    return File("o", (declared,), (warning,), recognised=True, foreign=frozenset({"other"}))


def kept(path: Path, file: File) -> Recall:
    Recall(path).write({"app/web.yaml": file}, Tree(BEFORE))
    return Recall(path)


def test_what_is_the_same_is_recalled_as_it_was(tmp_path: Path) -> None:
    file = application(*WATCHED)
    assert kept(tmp_path / "looks", file).read(Tree({**BEFORE, "elsewhere.yaml": "3"})) == {"app/web.yaml": file}


@pytest.mark.parametrize(
    "after",
    [
        Tree({**BEFORE, "app/values.yaml": "9"}),
        Tree({name: oid for name, oid in BEFORE.items() if name != "app/values.yaml"}),
        Tree({**BEFORE, "app/environment.yaml": "3"}),
        Tree({**BEFORE, "charts/web/b.yaml": "3"}),
        Tree({"app/values.yaml": "1", "charts/web/a.yaml": "9"}),
        Tree({"app/values.yaml": "1"}),
        Tree(BEFORE, refused="a link"),
        Tree(BEFORE, mode=0o120000),
    ],
    ids=["changed", "gone", "new nearer file", "new in folder", "changed in folder", "folder gone", "folder refused", "a link now"],
)
def test_nothing_is_recalled_where_a_file_that_it_rests_on_is_another_one(tmp_path: Path, after: Tree) -> None:
    assert kept(tmp_path / "looks", application(*WATCHED)).read(after) == {}


def test_what_was_not_recognised_is_not_kept(tmp_path: Path) -> None:
    file = File("o", (), (Problem("app/web.yaml", 1, "broken"),), recognised=False, foreign=frozenset())
    assert kept(tmp_path / "looks", file).read(Tree(BEFORE)) == {}


def test_a_disk_that_refuses_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "looks.new").mkdir()
    Recall(tmp_path / "looks").write({"app/web.yaml": application()}, Tree(BEFORE))
    Recall(tmp_path / "nowhere" / "looks").write({"app/web.yaml": application()}, Tree(BEFORE))
    assert not (tmp_path / "looks").exists()


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "looks.new").symlink_to(tmp_path / "precious")
    Recall(tmp_path / "looks").write({"app/web.yaml": application()}, Tree(BEFORE))
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_program_is_known_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "reconciler"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr("reconciler.engine.recall.reconciler.__file__", str(package / "__init__.py"))
    marks = set()
    for code in ("a = 1", "a = 2"):
        (package / "dialect.py").write_text(code)
        marks.add(program.__wrapped__())
    (package / "dialect.py").rename(package / "other.py")
    marks.add(program.__wrapped__())
    assert len(marks) == 3
