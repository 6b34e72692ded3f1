"""The script that brings up a control plane for tests, as far as it can be tested without one."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts import gotool
from scripts.control_plane import binaries, certificates, layout, processes

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "controlplane"


def run(*words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False, env={**os.environ, **environ}, timeout=50)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A whole TLS handshake in memory. Raises ssl.SSLError where one side does not trust the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(to_client, to_server, server_hostname=name), server.wrap_bio(to_server, to_client, server_side=True)
    done: set[int] = set()
    while len(done) < 2:
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                pass


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "kubernetes.default.svc"])
def test_its_certificates_are_trusted_by_who_trusts_its_authority_and_for_the_names_in_them(tmp_path, name):
    authority, key = certificates.new_authority("ours"), certificates.new_key()
    (tmp_path / "key").write_text(key.pem)
    (tmp_path / "certificate").write_text(
        certificates.server_certificate(authority, key.public, ("127.0.0.1", "localhost", "kubernetes.default.svc"))
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    client = ssl.create_default_context(cadata=authority.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, client, "elsewhere.example.com")
    stranger = ssl.create_default_context(cadata=certificates.new_authority("ours").certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, stranger, name)


def test_a_process_is_known_by_its_beginning_and_never_signalled_when_it_is_another():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    known = processes.identify(process.pid)
    other = known._replace(began="another moment")
    other.signal(processes.signal.SIGKILL)
    assert known.alive
    assert not other.alive
    known.signal(processes.signal.SIGKILL)
    process.communicate()
    assert not known.alive


def test_the_commands_of_a_module_stand_in_a_folder_that_changes_with_what_is_pinned(tmp_path, monkeypatch):
    monkeypatch.setattr(binaries, "MODULES", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd" / "go.mod").write_text("module one")
    (tmp_path / "etcd" / "go.sum").write_text("")
    before = binaries.module_folder("etcd")
    (tmp_path / "etcd" / "go.sum").write_text("other")
    assert before.is_relative_to(tmp_path / "cache" / "reconciler-tests" / "controlplane")
    assert binaries.module_folder("etcd") != before


def test_what_kubebuilder_assets_hold_is_taken_from_there(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "etcd").touch()
    assert binaries.find() == {"etcd": tmp_path / "etcd"}
    assert binaries.provide(["etcd"]) == {"etcd": tmp_path / "etcd"}


def test_what_a_killed_build_left_is_removed_by_the_next_one_and_what_stands_stays(tmp_path):
    (tmp_path / "build-half").mkdir()
    (tmp_path / "build-half" / "etcd").touch()
    (tmp_path / "etcd-1").mkdir()
    with gotool.only_builder(tmp_path / "lock"):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["etcd-1", "lock"]


@pytest.mark.parametrize(
    ("package", "name"),
    [("go.etcd.io/etcd/server/v3", "server"), ("k8s.io/kubernetes/cmd/kubectl", "kubectl"), ("helm.sh/helm/v4/cmd/helm", "helm")],
)
def test_the_name_that_go_gives_a_command_is_the_last_part_of_its_path_that_is_no_version(package, name):
    assert binaries.command_name(package) == name


def test_the_version_that_kubernetes_names_is_the_one_that_is_pinned():
    flags = binaries.link_flags("kubernetes")
    assert "gitVersion=v1.36.3" in flags
    assert "gitMajor=1 " in flags
    assert flags.endswith("gitMinor=36")


@pytest.mark.parametrize(("said", "version"), [("go version go1.26.8 linux/amd64", (1, 26, 8)), ("module x\n\ngo 1.26.0\n", (1, 26, 0)), ("", ())])
def test_versions_of_go_are_compared_as_numbers(said, version):
    assert gotool.go_version(said) == version


def test_every_module_is_pinned_with_its_hashes():
    modules = sorted(path.name for path in binaries.MODULES.iterdir())
    assert modules == sorted({tool.module for tool in binaries.TOOLS.values()})
    for module in modules:
        text = (binaries.MODULES / module / "go.mod").read_text()
        assert (binaries.MODULES / module / "go.sum").stat().st_size > 1000
        assert all(tool.package in text for tool in binaries.TOOLS.values() if tool.module == module)


def test_stages_are_named_once_each_and_about_nodes_or_pods():
    stages = list(yaml.safe_load_all(layout.STAGES.read_text()))
    names = [stage["metadata"]["name"] for stage in stages]
    assert len(set(names)) == len(names)
    assert {stage["spec"]["resourceRef"]["kind"] for stage in stages} == {"Node", "Pod"}


def test_only_known_commands_are_built():
    done = run("build", "--with", "kubectl,kubelet")
    assert done.returncode == 2
    assert "no such command: kubelet" in done.stderr


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run("up", tmp_path)
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_is_stopped_where_nothing_was_started(tmp_path):
    done = run("down", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.iterdir())
