"""The alert rules and our exposition text, as promtool judges them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from reconciler.model.event import Event
from reconciler.observe.metrics import Metrics
from tests.integration.prometheus import binaries as binaries_module
from tests.integration.prometheus.binaries import Binaries, MissingError, find
from tests.unit.api.fakes import condition, run, step, waiting

RULES = Path(__file__).parents[3] / "manifests" / "prometheus"
ALERTS = [rule["alert"] for group in yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def promtool(binaries: Binaries, *words: str | Path, text: bytes = b"", folder: Path = RULES) -> str:
    done = subprocess.run([binaries.promtool, *words], cwd=folder, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode()
    assert done.returncode == 0, said
    return said


def test_the_rules_are_valid(binaries: Binaries) -> None:
    assert f"{len(ALERTS)} rules found" in promtool(binaries, "check", "rules", "--lint-fatal", "alerts.yaml")


def test_every_alert_fires_in_its_fault_and_clears_after_it(binaries: Binaries) -> None:
    promtool(binaries, "test", "rules", "alerts_test.yaml")
    expected = re.findall(r'alertname="(\w+)"', (RULES / "alerts_test.yaml").read_text())
    assert set(expected) == set(ALERTS)


@pytest.mark.parametrize(("wrong", "expression"), [("never fires", "vector(0) > 1"), ("never clears", "vector(1)")])
def test_the_unit_tests_find_an_alert_that_is_wrong(binaries: Binaries, tmp_path: Path, wrong: str, expression: str) -> None:
    shutil.copy(RULES / "alerts_test.yaml", tmp_path)
    rules = yaml.safe_load((RULES / "alerts.yaml").read_text())
    for rule in rules["groups"][0]["rules"]:
        rule["expr"] = expression
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(rules))
    with pytest.raises(AssertionError) as failed:
        promtool(binaries, "test", "rules", "alerts_test.yaml", folder=tmp_path)
    assert [alert for alert in ALERTS if f'alertname="{alert}"' not in str(failed.value)] == [], wrong


def test_what_we_expose_is_as_prometheus_wants_it(binaries: Binaries) -> None:
    metrics = Metrics(lambda: datetime.now(UTC))
    back = run("Waiting", [step("apply")], kind="restore", started_at=datetime.now(UTC))
    status = waiting(run=back, conditions=[condition("GitDiffers")])
    metrics.emit(Event("application", status.key, {"status": status}))
    text = metrics.render()
    assert text.count(b"# TYPE reconciler_application_") == 6
    assert promtool(binaries, "check", "metrics", text=text) == ""


def make_tool(folder: Path, name: str, script: str = "exit 0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_what_is_installed_is_used_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("prometheus", "promtool"):
        make_tool(tmp_path / "bin", name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert find() == (tmp_path / "bin" / "prometheus", tmp_path / "bin" / "promtool")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("tools", [(), ("apt-get", "dpkg-deb")])
def test_where_it_cannot_be_had_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: tuple[str, ...]) -> None:
    make_tool(tmp_path / "bin", "other")
    for name in tools:
        make_tool(tmp_path / "bin", name, "echo E: no sources; exit 100")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match=r"apt-get install prometheus.*(E: no sources|no apt-get here)"):
        find()
    assert not list((tmp_path / "cache").glob("**/prometheus-*"))


def test_a_package_is_fetched_with_lists_of_our_own_where_there_are_none_and_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    apt = f'echo "$*" >> {asked}\ncase "$*" in *Dir::State=*download*) : > prometheus_1.2_amd64.deb;; *) exit 100;; esac'
    make_tool(tmp_path / "bin", "apt-get", apt)
    make_tool(tmp_path / "bin", "dpkg-deb", 'mkdir -p "$3/usr/bin" && : > "$3/usr/bin/prometheus" && : > "$3/usr/bin/promtool"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + os.pathsep + os.defpath)
    monkeypatch.setattr(binaries_module.shutil, "which", lambda name: name if name in ("apt-get", "dpkg-deb") else None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "reconciler-tests" / "prometheus-1.2" / "usr" / "bin"
    assert find() == find() == (folder / "prometheus", folder / "promtool")
    assert [line.split()[-1] for line in asked.read_text().splitlines()] == ["prometheus", "update", "prometheus"]
