"""`lint` and Secrets: those in clear text, those that `.sops.yaml` wants encrypted, and what can't be encrypted."""

import pytest
import yaml

from tests.unit.cli.test_lint import APP
from tests.unit.sealing.encrypting import Person, as_yaml, seal, sealed_secret


@pytest.fixture
def write(tmp_path):
    def write(path, text):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    return write


SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {empty: ""}
stringData: {password: hunter2, other: x}
"""
FOLDER = APP[: APP.index("  components:")] + "  components:\n    - {name: all, type: manifests, properties: {path: secrets}}\n"


def test_rule_12_a_secret_in_clear_text_is_a_warning_that_does_not_show_it(call, tmp_path, write):
    write("web.yaml", FOLDER)
    write("secrets/db.yaml", SECRET)
    answer = call("lint", tmp_path)
    assert answer.code == 0
    assert answer.out.startswith("warning: secrets/db.yaml:5: Secret db: stringData.password: a Secret's values stand in git in clear text")
    assert answer.out.endswith("0 errors, 1 warnings\n")
    assert "hunter2" not in answer.out


@pytest.mark.parametrize(
    ("rules", "errors"),
    [
        ("- {age: age1x}", ["password", "other"]),
        ("- {path_regex: ^secrets/, encrypted_regex: ^stringData$}", ["password", "other"]),
        ("- {encrypted_regex: ^password$}", ["password"]),
        ("- {path_regex: ^other/}", []),
        ("- {path_regex: '.*\\.yaml', unencrypted_regex: ^stringData$}\n  - {age: age1x}", []),
        ("- {path_regex: '(?!secrets)'}", []),
        ("nonsense", []),
    ],
)
def test_rule_12_what_the_rules_of_sops_want_encrypted_is_an_error(call, tmp_path, write, rules, errors):
    write("web.yaml", FOLDER)
    write("secrets/db.yaml", SECRET)
    write(".sops.yaml", f"creation_rules:\n  {rules}\n")
    found = [item for item in call("lint", tmp_path, "--output", "json").json() if item["severity"] == "error"]
    assert [item["field"] for item in found] == sorted(f"stringData.{name}" for name in errors)
    assert all(".sops.yaml says" in item["message"] for item in found)


def test_rule_12_the_nearest_rules_count(call, tmp_path, write):
    write("web.yaml", FOLDER)
    write("secrets/db.yaml", SECRET)
    write(".sops.yaml", "creation_rules: [{age: x}]\n")
    write("secrets/.sops.yaml", "creation_rules: [{path_regex: ^db, unencrypted_regex: stringData}]\n")
    assert [item["severity"] for item in call("lint", tmp_path, "--output", "json").json()] == ["warning"]


def test_rule_12_an_encrypted_secret_is_fine(call, tmp_path, write):
    write("web.yaml", FOLDER)
    write("secrets/db.yaml", as_yaml(sealed_secret("db", {"password": "hunter2", "empty": ""}, Person())))
    write(".sops.yaml", "creation_rules: [{age: x}]\n")
    assert call("lint", tmp_path).out == "Nothing is wrong.\n"


def test_a_manifest_that_is_encrypted_as_a_whole_is_an_error_that_says_what_to_do(call, tmp_path, write):
    write("web.yaml", as_yaml(seal(yaml.safe_load(APP), Person(), regex="^image$")))
    answer = call("lint", tmp_path)
    assert answer.code == 1
    assert "can't be encrypted as a whole" in answer.out


def test_a_secret_whose_kind_is_encrypted_is_an_error_that_says_what_to_do(call, tmp_path, write):
    write("web.yaml", FOLDER)
    write("secrets/db.yaml", as_yaml(seal(yaml.safe_load(SECRET), Person())))
    answer = call("lint", tmp_path)
    assert answer.code == 1
    assert "kind is encrypted and can't be known" in answer.out
