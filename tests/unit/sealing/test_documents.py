"""Decrypting: what SOPS wrote comes out, and whatever was changed after it does not."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from reconciler.sealing.command import Command
from reconciler.sealing.opening import Place, place_of, unseal_files
from reconciler.sealing.protocol import Keys, SealError
from reconciler.sealing.tree import resolve
from tests.unit.sealing.encrypting import Person, as_yaml, seal, sealed_secret

PERSON = Person()
KEYS = Keys((f"# created: today\n{PERSON.secret}\n",), (), "a test")


def opened(text: str, keys: Keys = KEYS, path: str = "app/secret.yaml", command: Command | None = None) -> list[str]:
    return list(unseal_files({path: text}, keys, command or Command()).values())


def refused(text: str, keys: Keys = KEYS) -> SealError:
    with pytest.raises(SealError) as caught:
        opened(text, keys)
    return caught.value


def test_a_secret_comes_out_as_it_went_in() -> None:
    values = {"password": "correct horse", "empty": "", "lines": "one\ntwo\n", "umlaut": "süß 🐎", "number": "0123"}
    assert opened(as_yaml(sealed_secret("db", values, PERSON))) == [value for value in values.values() if value]


def test_any_of_several_recipients_opens_it() -> None:
    assert opened(as_yaml(sealed_secret("db", {"a": "x"}, Person(), PERSON, Person()))) == ["x"]


def test_a_key_file_may_hold_several_identities() -> None:
    assert opened(as_yaml(sealed_secret("db", {"a": "x"}, PERSON)), Keys((f"{Person().secret}\n{PERSON.secret}",))) == ["x"]


@pytest.mark.parametrize("only", [False, True])
def test_types_are_kept_as_text(only: bool) -> None:
    tree = {"spec": {"port": 5432, "share": 0.25, "on": True, "off": False, "name": "x", "nothing": None}, "kind_unencrypted": "Other"}
    assert opened(as_yaml(seal(tree, PERSON, only=only))) == ["5432", "0.25", "true", "false", "x"]


def test_json_is_read_as_well() -> None:
    import json

    assert opened(json.dumps(sealed_secret("db", {"a": "x"}, PERSON)), path="a/secret.json") == ["x"]


def test_a_document_within_a_manifest_is_decrypted_by_itself() -> None:
    manifest = {"kind": "Application", "spec": {"components": [{"properties": {"objects": [sealed_secret("db", {"a": "x"}, PERSON)]}}]}}
    assert opened(as_yaml(manifest)) == ["x"]


def test_a_document_that_stands_as_text_in_another_is_decrypted_as_well() -> None:
    manifest = {"kind": "Workflow", "spec": {"steps": [{"parameters": {"yaml": as_yaml(sealed_secret("db", {"a": "x"}, PERSON))}}]}}
    assert opened(yaml.safe_dump(manifest, default_style="|", width=100_000)) == ["x"]


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        (lambda doc: doc["stringData"].update(b="plain"), "stringData.b", "clear text"),
        (lambda doc: doc["metadata"].update(name="other"), "sops.mac", "checksum"),
        (lambda doc: doc["stringData"].pop("b"), "sops.mac", "checksum"),
        (lambda doc: doc.update(stringData={key: doc["stringData"][key] for key in ("b", "a")}), "sops.mac", "checksum"),
        (lambda doc: doc["stringData"].update(a=doc["stringData"]["b"]), "stringData.a", "changed or moved"),
        (lambda doc: doc["stringData"].update(a=doc["stringData"]["a"].replace("type:str", "type:wat")), "stringData.a", "no value as SOPS"),
        (lambda doc: doc["sops"].update(mac=""), "sops.mac", "checksum"),
        (lambda doc: doc["sops"].update(lastmodified="2026-01-02T03:04:06Z"), "sops.mac", "checksum"),
    ],
)
def test_what_was_changed_after_encryption_is_refused_where_it_stands(change: Any, field: str, why: str) -> None:
    document = sealed_secret("db", {"a": "hunter2", "b": "tr0ub4dor"}, PERSON)
    change(document)
    text = as_yaml(document)
    error = refused(text)
    assert error.field == field
    assert why in str(error)
    assert error.path == "app/secret.yaml"
    assert text.splitlines()[error.line - 1].strip().startswith(field.rpartition(".")[2])
    assert "hunter2" not in str(error)
    assert not error.retry


def test_who_has_no_key_is_told_for_whom_it_is() -> None:
    other = Person()
    error = refused(as_yaml(sealed_secret("db", {"a": "x"}, other)))
    assert other.recipient in str(error)
    assert error.field == "sops"
    assert error.retry


def test_without_any_key_the_error_names_the_settings() -> None:
    error = refused(as_yaml(sealed_secret("db", {"a": "x"}, PERSON)), Keys())
    assert "--sops-age-key-file" in str(error)
    assert error.retry


def test_what_needs_the_command_says_so_where_the_command_is_not_allowed() -> None:
    document = sealed_secret("db", {"a": "x"}, PERSON)
    document["sops"] |= {"age": [], "pgp": [{"fp": "ABCD", "enc": "-----BEGIN PGP MESSAGE-----"}]}
    error = refused(as_yaml(document))
    assert "PGP ABCD" in str(error)
    assert "--sops-command" in str(error)


def test_an_age_entry_that_was_changed_is_refused() -> None:
    document = sealed_secret("db", {"a": "x"}, PERSON)
    rows = document["sops"]["age"][0]["enc"].splitlines()
    rows[-2] = ("A" if rows[-2][0] != "A" else "B") + rows[-2][1:]
    document["sops"]["age"][0]["enc"] = "\n".join(rows)
    assert "age" in str(refused(as_yaml(document)))


def test_a_value_that_was_pasted_is_refused() -> None:
    token = sealed_secret("db", {"a": "x"}, PERSON)["stringData"]["a"]
    error = refused(as_yaml({"kind": "Application", "spec": {"value": token}}))
    assert error.field == "spec.value"
    assert error.line == 3


@pytest.mark.parametrize(
    "line",
    ["nonsense", PERSON.secret[:-1], PERSON.secret[:-1] + "q", PERSON.secret.lower()[:20] + PERSON.secret[20:]],
    ids=["word", "short", "typo", "mixed"],
)
def test_a_damaged_key_file_is_named_with_its_line_and_never_shown(line: str) -> None:
    error = refused(as_yaml(sealed_secret("db", {"a": "x"}, PERSON)), Keys((f"# a comment\n{line}",), (), "a test"))
    assert "line 2" in str(error)
    assert line[20:40] not in str(error) or line == "nonsense"


def test_a_rule_that_takes_for_ever_is_not_followed() -> None:
    document = sealed_secret("db", {"a" * 60: "x"}, PERSON)
    document["sops"]["encrypted_regex"] = "^(a+)+$|stringData"
    assert opened(as_yaml(document)) == ["x"]


def test_keys_are_not_shown() -> None:
    assert PERSON.secret[20:] not in repr(KEYS) + str(KEYS)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"),
        ("true", "True"),
        ("0777", "511"),
        ("0o17", "15"),
        ("0x1F", "31"),
        ("1_000", "1000"),
        ("1.50", "1.5"),
        ("1e3", "1000"),
        ("08", "8"),
        (".5", "0.5"),
        ("2024-01-01", "2024-01-01T00:00:00Z"),
        ("2024-1-1 2:3:4.500", "2024-01-01T02:03:04.5Z"),
        ("1.2.3", "1.2.3"),
        ("~", None),
    ],
)
def test_scalars_are_read_as_sops_reads_them(written: str, meant: str | None) -> None:
    assert resolve(written) == meant


def test_the_longest_folder_says_whose_keys() -> None:
    places = [Place("", "a"), Place("teams/", "b"), Place("teams/x", "c")]
    assert [place_of(path, places).age_key_file for path in ("app.yaml", "teams/app.yaml", "teams/x/app.yaml", "teams/xy/app.yaml")] == list("abcb")
    assert place_of("app.yaml", places[1:]) == Place()


def test_the_places_of_a_list_are_not_part_of_what_is_authenticated() -> None:
    document = seal({"items": [{"a": "x"}, {"a": "y"}]}, PERSON)
    document["items"].reverse()
    error = refused(as_yaml(document))
    assert error.field == "sops.mac"  # the checksum still knows the order


def test_a_random_text_is_no_document() -> None:
    assert opened("a: b\n") == []
    assert re.search("cannot be decrypted", str(refused("a: &x ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]\nb: *x\n")))
