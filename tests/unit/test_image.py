"""The Dockerfile: what of it is promised to who runs the image, and that its steps can be carried out without a container."""

from pathlib import Path

import pytest

from scripts.imagesteps import TOP, Image, Step, first_stage, is_sent, read_steps

DOCKERFILE = (TOP / "Dockerfile").read_text()
STEPS = list(read_steps(DOCKERFILE))
LAST = STEPS[max(index for index, step in enumerate(STEPS) if step.word == "FROM") :]


def test_the_image_that_runs_is_not_root_and_says_so_by_number():
    [user] = [step.rest for step in LAST if step.word == "USER"]
    assert all(part.isdigit() and int(part) >= 1000 for part in user.split(":"))
    assert LAST.index(Step("USER", user)) > max(index for index, step in enumerate(LAST) if step.word in ("RUN", "COPY"))


def test_what_is_installed_is_locked_and_checked_by_hash_and_no_installer_stays():
    stage = " ".join(step.rest for step in first_stage(DOCKERFILE) if step.word == "RUN")
    installs = [part for part in stage.replace("&&", "\n").splitlines() if "pip install" in part]
    assert installs
    assert all("--require-hashes" in part or "--no-index" in part for part in installs)
    assert "pip uninstall --yes pip" in stage
    assert not [step for step in LAST if step.word == "RUN" and "pip" in step.rest]


def test_nothing_comes_from_anywhere_but_the_repository_and_the_build():
    assert not [step for step in STEPS if step.word == "ADD"]
    assert not [step for step in STEPS if step.word == "RUN" and ("curl" in step.rest or "wget" in step.rest)]


def test_the_chart_runs_it_as_the_images_user():
    [user] = [step.rest for step in LAST if step.word == "USER"]
    chart = (TOP / "manifests" / "chart" / "templates" / "deployment.yaml").read_text()
    assert f"runAsUser: {user.split(':')[0]}" in chart
    assert f"runAsGroup: {user.split(':')[1]}" in chart


def test_steps_are_read_over_continued_lines_and_without_comments():
    text = "FROM a AS build\n# no\nRUN one \\\n # hint\n && two\nCOPY x ./\nFROM b\nUSER 1\n"
    assert first_stage(text) == [Step("RUN", "one && two"), Step("COPY", "x ./")]


@pytest.mark.parametrize(("name", "sent"), [("reconciler", True), ("reconciler/x.py", True), ("tests/x.py", False), ("README.md", True)])
def test_only_what_the_ignore_file_lets_pass_is_there(name, sent):
    patterns = (Path(TOP) / ".dockerignore").read_text().splitlines()
    assert is_sent(name, patterns) is sent


def test_a_step_works_below_the_folder_and_a_failing_one_is_no_success(tmp_path):
    image = Image(tmp_path / "image")
    image.do(Step("ENV", "A=1"))
    image.do(Step("WORKDIR", "/src"))
    image.do(Step("COPY", "README.md ./"))
    image.do(Step("RUN", "mkdir /opt && cp README.md /opt/copied-$A"))
    assert (tmp_path / "image" / "opt" / "copied-1").is_file()
    with pytest.raises(Exception, match="exit status 3"):
        image.do(Step("RUN", "exit 3"))
    with pytest.raises(ValueError, match="keeps it out"):
        image.do(Step("COPY", "tests ./tests"))
    with pytest.raises(ValueError, match="ONBUILD is not known here"):
        image.do(Step("ONBUILD", "RUN x"))
