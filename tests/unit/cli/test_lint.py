"""`lint`: all that is wrong below a path, in the shape that scripts rely on, from ordinary files alone."""

import os
import socket
from pathlib import Path

import pytest

from reconciler.cli.disk import DiskFiles

EXAMPLES = Path(__file__).parents[3] / "examples" / "repo"
APP = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: web
  namespace: shop
spec:
  components:
    - name: web
      type: webservice
      properties:
        image: nginx:1.27
"""


@pytest.fixture
def write(tmp_path):
    def write(path, text):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
        return place

    return write


def test_nothing_is_wrong_with_the_examples(call):
    assert call("lint", EXAMPLES).out == "Nothing is wrong.\n"


def test_nothing_wrong_is_nothing_and_0(call, tmp_path, write):
    write("apps/web.yaml", APP)
    assert (call("lint", tmp_path).code, call("lint", tmp_path).out) == (0, "Nothing is wrong.\n")
    assert call("lint", tmp_path, "--output", "json").json() == []


def test_what_is_wrong_with_a_file_that_several_refer_to_is_told_once(call, tmp_path, write):
    write("workflows/flow.yaml", "apiVersion: core.oam.dev/v1alpha1\nkind: Workflow\nmetadata: {name: flow}\nsteps: [{tipe: suspend}]\n")
    for name in ("one", "two"):
        component = "{name: web, type: webservice, properties: {image: a}}"
        spec = f"{{components: [{component}], workflow: {{ref: flow}}}}"
        write(f"{name}.yaml", f"apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    lines = call("lint", tmp_path).out.splitlines()
    assert sum("steps[0].tipe: unknown field" in line for line in lines) == 1, lines
    assert len(lines) == len(set(lines))


def test_an_error_is_a_line_with_its_place_and_1(call, tmp_path, write):
    write("apps/web.yaml", APP.replace("webservice", "webservce"))
    answer = call("lint", tmp_path)
    assert answer.code == 1
    assert answer.out.startswith("error: apps/web.yaml:9: Application web: spec.components[0].type: unknown component type webservce")
    assert answer.out.endswith("1 errors, 0 warnings\n")


def test_json_has_every_field_of_the_interface(call, tmp_path, write):
    write("web.yaml", APP.replace("webservice", "webservce"))
    write("broken.yaml", "a: [\n")
    answer = call("lint", tmp_path, "--output", "json")
    assert answer.code == 1
    findings = answer.json()
    assert all(set(finding) == {"path", "line", "object", "field", "severity", "message"} for finding in findings)
    assert [finding["path"] for finding in findings] == ["broken.yaml", "web.yaml"]
    assert findings[1].items() >= {"line": 9, "object": "Application web", "field": "spec.components[0].type", "severity": "error"}.items()


def test_a_warning_alone_is_0(call, tmp_path, write):
    write("web.yaml", APP.replace("core.oam.dev", "core.oma.dev"))
    answer = call("lint", tmp_path, "--output", "json")
    assert [finding["severity"] for finding in answer.json()] == ["warning"]
    assert answer.code == 0


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("gates.reconciler.dev/aprove: continue@0123456789ab", "gates.reconciler.dev/aprove names no gate of this workflow (its gates: approve)"),
        ("gates.reconciler.dev/approve: contniue@0123456789ab", "is no decision; write continue@CODE"),
        ("gate.reconciler.dev/approve: continue@0123456789ab", "did you mean gates.reconciler.dev/approve?"),
        ("gates.reconcilr.dev/approve: continue@0123456789ab", "nothing reads gates.reconcilr.dev/approve: its domain is not reconciler.dev"),
        ("reconciler.dev/suspnd: lunch", "did you mean reconciler.dev/suspend?"),
    ],
)
def test_rule_4f_an_annotation_that_nothing_would_read_is_a_warning(call, tmp_path, write, annotation, words):
    text = APP.replace("  namespace: shop\n", f"  namespace: shop\n  annotations:\n    {annotation}\n")
    write("web.yaml", text + "  workflow:\n    steps:\n      - {name: approve, type: suspend}\n")
    answer = call("lint", tmp_path)
    assert answer.code == 0
    assert answer.out.startswith("warning: web.yaml:6: Application web: metadata.annotations: ")
    assert words in answer.out
    assert answer.out.endswith("0 errors, 1 warnings\n")


def test_annotations_of_others_and_decisions_that_are_written_well_are_fine(call, tmp_path, write):
    lines = ["gates.reconciler.dev/approve: continue@0123456789ab", "gates.reconciler.dev/run: end", "gates.example.dev/approve: x", "note: x"]
    text = APP.replace("  namespace: shop\n", "  namespace: shop\n  annotations:\n" + "".join(f"    {line}\n" for line in lines))
    write("web.yaml", text + "  workflow:\n    steps:\n      - {name: approve, type: suspend}\n")
    assert call("lint", tmp_path).out == "Nothing is wrong.\n"


def test_two_documents_with_one_identity_name_each_other(call, tmp_path, write):
    write("a.yaml", APP)
    write("b.yaml", f"# two\n---\n{APP}---\n{APP}")
    answer = call("lint", tmp_path, "--output", "json")
    assert answer.code == 1
    assert [(finding["path"], finding["line"]) for finding in answer.json()] == [("a.yaml", 1), ("b.yaml", 3), ("b.yaml", 15)]
    assert answer.json()[0]["message"] == "the identity shop/web is also that of b.yaml:3, b.yaml:15"


def test_one_name_in_two_namespaces_is_two_applications(call, tmp_path, write):
    write("a.yaml", APP)
    write("b.yaml", APP.replace("namespace: shop", "namespace: other"))
    assert call("lint", tmp_path).code == 0


OBJECT = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  components:
    - name: web
      type: k8s-objects
      properties:
        objects:
          - apiVersion: example.com/v1
            kind: Release
            metadata: {name: web}
            spec:
              replicas: 3
              imageTag: TEXT
"""


@pytest.mark.parametrize(("text", "number"), [("1234567", "1234567"), ("1e10", "10000000000.0"), ("0755", "493")])
def test_a_commit_that_yaml_reads_as_a_number_is_told(call, tmp_path, write, text, number):
    write("web.yaml", f"# a comment\n---\n{OBJECT.replace('TEXT', text)}")
    answer = call("lint", tmp_path, "--output", "json")
    assert answer.code == 0
    (finding,) = answer.json()
    assert finding["field"] == "spec.components[0].properties.objects[0].spec.imageTag"
    assert finding["line"] == 17
    assert finding["message"].startswith(f"is read as the number {number}: quote it")


@pytest.mark.parametrize("text", ['"1234567"', "12ab567", "v1.10", "true"])
def test_a_commit_that_stays_text_is_fine(call, tmp_path, write, text):
    write("web.yaml", OBJECT.replace("TEXT", text))
    assert call("lint", tmp_path, "--output", "json").json() == []


def test_the_ignore_file_is_honoured_and_its_mistakes_told(call, tmp_path, write):
    write("old/web.yaml", "a: [\n")
    write(".reconcilerignore", "old/\n")
    assert call("lint", tmp_path).code == 0
    write(".reconcilerignore", "x" * 100_000)
    assert ".reconcilerignore" in call("lint", tmp_path).out


def test_the_environment_above_a_manifest_gives_it_its_namespace(call, tmp_path, write):
    bare = APP.replace("  namespace: shop\n", "")
    for name in ("dev", "prod"):
        write(f"{name}/web.yaml", bare)
    assert call("lint", tmp_path).code == 1
    for name in ("dev", "prod"):
        write(
            f"{name}/environment.yaml",
            f"apiVersion: reconciler.dev/v1alpha1\nkind: Environment\nmetadata: {{name: {name}}}\nspec: {{namespace: shop-{name}, global: {{}}}}\n",
        )
    assert call("lint", tmp_path).code == 0


def test_a_wrong_environment_file_is_told(call, tmp_path, write):
    write("environment.yaml", "kind: Environment\n")
    assert "environment.yaml" in call("lint", tmp_path).out
    assert call("lint", tmp_path).code == 1


def test_files_of_a_folder_that_a_component_refers_to_are_no_manifests(call, tmp_path, write):
    plain = "apiVersion: core.oam.dev/v1beta1\nkind: Applicaton\nmetadata: {name: x}\n"
    write("plain/a.yaml", plain)
    assert call("lint", tmp_path).code == 1
    write("web.yaml", APP.replace("type: webservice", "type: manifests").replace("image: nginx:1.27", "path: plain"))
    out = call("lint", tmp_path).out
    assert "plain/a.yaml" not in out


def test_a_part_is_reported_with_the_whole_known(call, tmp_path, write):
    write("a/web.yaml", APP)
    write("b/web.yaml", APP)
    write("b/broken.yaml", "a: [\n")
    assert call("lint", tmp_path / "a").code == 0
    findings = call("lint", tmp_path / "a", "--top", tmp_path, "--output", "json").json()
    assert [finding["path"] for finding in findings] == ["a/web.yaml"]
    assert "b/web.yaml:1" in findings[0]["message"]
    outside = call("lint", tmp_path / "a", "--top", tmp_path / "b")
    assert outside.code == 2
    assert "is not below" in outside.err


def test_a_single_file_may_be_named(call, tmp_path, write):
    write("broken.yaml", "a: [\n")
    assert call("lint", write("web.yaml", APP)).code == 0
    assert call("lint", tmp_path / "broken.yaml").code == 1
    assert call("lint", tmp_path / "none.yaml").code == 4


def test_rule_13f_only_ordinary_files_below_the_path_are_read(call, tmp_path, write):
    top = tmp_path / "top"
    top.mkdir()
    secret = write("outside/secret.yaml", "hunter2: [\n")
    (top / "link.yaml").symlink_to(secret)
    (top / "folder").symlink_to(secret.parent)
    (top / "gone.yaml").symlink_to("nowhere")
    (top / "loop").symlink_to(".")
    os.mkfifo(top / "pipe.yaml")
    write("top/.git/config.yaml", "a: [\n")
    write("top/web.yaml", APP.replace("type: webservice", "type: manifests").replace("image: nginx:1.27", "path: ../outside"))
    answer = call("lint", top)
    assert "hunter2" not in answer.out
    assert "secret.yaml" not in answer.out
    assert DiskFiles(top).paths == ["web.yaml"]
    found = call("lint", top, "--output", "json").json()
    told = {problem["path"] for problem in found if problem["message"] == "a link or no ordinary file: it is not read"}
    assert told == {"link.yaml", "gone.yaml", "pipe.yaml"}, "the daemon says so too"
    for name in ("link.yaml", "folder/secret.yaml", "../outside/secret.yaml", "pipe.yaml", str(secret)):
        with pytest.raises(FileNotFoundError):
            DiskFiles(top).read(name)


def test_rule_13f_what_became_a_link_or_a_pipe_meanwhile_is_not_followed(tmp_path, write):
    secret = write("outside/secret.yaml", "hunter2")
    place = write("top/web.yaml", APP)
    files = DiskFiles(tmp_path / "top")
    place.unlink()
    place.symlink_to(secret)
    with pytest.raises(OSError):
        files.read("web.yaml")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(FileNotFoundError):
        files.read("web.yaml")
    assert files.oid("web.yaml") is None


def test_rule_13f_lint_makes_no_connection_and_needs_no_daemon(call, tmp_path, write, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    write("web.yaml", APP)
    assert call("lint", tmp_path).code == 0


def test_rule_13e_a_file_of_any_name_stays_on_its_line(call, tmp_path, write):
    write("a\nb\x1b[2J.yaml", "a: [\n")
    out = call("lint", tmp_path).out
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out
    (tmp_path / os.fsdecode(b"\xff\xfe.yaml")).write_bytes(b"a: [\n")
    assert call("lint", tmp_path, "--output", "json").code == 1


def test_files_have_the_ids_that_git_gives_them(tmp_path, write):
    write("a/b.yaml", "hello\n")
    assert DiskFiles(tmp_path).oid("a/b.yaml") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert DiskFiles(tmp_path).folder("a") == {"a/b.yaml": "ce013625030ba8dba906f756967f9e9ca394464a"}
    assert DiskFiles(tmp_path).folder("") == DiskFiles(tmp_path).folder("a/")
    assert DiskFiles(tmp_path).folder("b") == {}


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"\x00" * 100, b"&a [*a]", b"{" * 10_000, b"", b"---\n---\n", b"kind: List\nitems: []\n", b"\xef\xbb\xbfa: 1"]
)
def test_no_content_is_a_stack_trace(call, tmp_path, write, data):
    write("odd.yaml", data)
    assert call("lint", tmp_path).code in (0, 1)


def test_a_file_that_is_too_large_is_told(call, tmp_path, write):
    with write("large.yaml", "a: b\n").open("r+b") as stream:
        stream.truncate(64 << 20)
    answer = call("lint", tmp_path)
    assert answer.code == 1
    assert "large.yaml: cannot be read: larger than" in answer.out


def test_rule_13f_lint_loads_no_plug_in_and_says_which_steps_it_can_not_check(call, tmp_path, write, monkeypatch):
    from reconciler.engine.plugins import loading

    monkeypatch.setattr(loading, "entry_points", lambda **_: pytest.fail("it looked for plug-ins"))
    steps = "  workflow:\n    steps:\n      - {type: warm-cache, name: warm, properties: {anything: 1}, outputs: [{name: size, valueFrom: bytes}]}\n"
    write("apps/web.yaml", APP + steps)
    unknown = call("lint", tmp_path)
    assert unknown.code == 1
    assert "unknown step type warm-cache" in unknown.out
    known = call("lint", tmp_path, "--step-plugin", "warm-cache", "--output", "json")
    assert known.code == 0
    [finding] = known.json()
    assert (finding["severity"], finding["field"], finding["line"]) == ("warning", "spec.workflow.steps[0].type", 14)
    assert finding["message"] == "warm-cache is a plug-in: its properties are not checked here"


def test_a_type_that_only_the_cluster_defines_is_unknown_with_what_helps_and_believed_where_the_daemon_may_ask(call, tmp_path, write):
    text = APP.replace("type: webservice", "type: site").replace("        image: nginx:1.27\n", "        image: 1\n      traits: [{type: note}]\n")
    steps = "  workflow:\n    steps:\n      - {type: put, name: put, properties: {anything: 1}}\n"
    write("apps/web.yaml", text + steps)
    unknown = call("lint", tmp_path)
    assert unknown.code == 1
    for what in ("component type site", "trait type note", "step type put"):
        assert any(f"unknown {what}" in line and "--cluster-definitions" in line for line in unknown.out.splitlines())
    (tmp_path.parent / "settings.yaml").write_text("clusterDefinitions: vela-system\n")
    for words in (("--cluster-definitions", "vela-system"), ("--config", str(tmp_path.parent / "settings.yaml"))):
        known = call("lint", tmp_path, *words, "--output", "json")
        assert known.code == 0
        assert [(found["severity"], found["field"], found["line"]) for found in known.json()] == [
            ("warning", "spec.components[0].type", 9),
            ("warning", "spec.components[0].traits[0].type", 12),
            ("warning", "spec.workflow.steps[0].type", 15),
        ]
        assert "site is defined by the cluster, if anywhere (a ComponentDefinition in the namespace vela-system)" in known.out
    wrong = call("lint", tmp_path, "--cluster-definitions", "Vela System")
    assert (wrong.code, "not the name of a namespace" in wrong.err) == (2, True)


def depending(name, needs="", step=""):
    said = f"  annotations: {{reconciler.dev/depends-on: '{needs}'}}\n" if needs else ""
    workflow = f"  workflow: {{steps: [{{name: w, type: depends-on-app, properties: {{name: {step}}}}}]}}\n" if step else ""
    return APP.replace("  name: web\n  namespace", f"{said}  name: {name}\n  namespace") + workflow


def test_one_that_waits_for_an_application_that_is_declared_nowhere_is_an_error(call, tmp_path, write):
    write("a.yaml", depending("a", "b, other/b"))
    write("b.yaml", depending("b"))
    answer = call("lint", tmp_path)
    assert answer.out.splitlines()[:-1] == [
        "error: a.yaml:1: Application a: metadata.annotations: it waits for other/b, which no manifest here declares"
    ]
    assert answer.code == 1


def test_applications_that_wait_for_each_other_are_an_error_of_each_also_through_a_step(call, tmp_path, write):
    for name, needs, step in (("a", "b", ""), ("b", "", "c"), ("c", "a", ""), ("d", "a", "")):
        write(f"{name}.yaml", depending(name, needs, step))
    lines = call("lint", tmp_path).out.splitlines()[:-1]
    assert [line.partition(":1:")[0] for line in lines] == ["error: a.yaml", "error: b.yaml", "error: c.yaml"]
    assert all(line.endswith("these applications wait for each other: shop/a → shop/b → shop/c → shop/a") for line in lines)


@pytest.mark.parametrize(("needs", "words"), [("b c", "names no application"), ("web", "an application can't wait for itself")])
def test_a_dependency_that_is_written_wrongly_is_an_error_of_its_line(call, tmp_path, write, needs, words):
    write("web.yaml", depending("web", needs))
    answer = call("lint", tmp_path)
    assert answer.out.startswith("error: web.yaml:4: Application web: metadata.annotations")
    assert words in answer.out
    assert "reconciler.dev/depends-on" in answer.out


def test_rule_13a_with_the_daemons_settings_what_a_path_does_not_allow_is_an_error_at_its_line(call, tmp_path, write):
    write("repo/teams/a/web.yaml", APP)
    write("repo/teams/b/web.yaml", APP.replace("name: web\n  namespace: shop", "name: other\n  namespace: shop"))
    settings = write("settings.yaml", "access:\n- {path: teams/a, namespaces: [shop]}\n- {path: teams/b, namespaces: [b]}\n")
    assert call("lint", tmp_path / "repo").code == 0
    done = call("lint", tmp_path / "repo", "--config", settings)
    assert done.code == 1
    assert (
        done.out
        == "error: teams/b/web.yaml:5: Application other: metadata.namespace: manifests below teams/b may not use namespace shop\n1 errors, 0 warnings\n"
    )
    settings.write_text("acces: []\n")
    assert "did you mean access?" in call("lint", tmp_path / "repo", "--config", settings).err


def test_health_rules_are_checked_too(call, write, tmp_path):
    rule = "apiVersion: reconciler.dev/v1alpha1\nkind: HealthRule\nmetadata: {name: a}\nspec:\n  kind: Service\n  healthy: stats.phase == 1\n"
    write(".reconciler/health/a.yaml", rule)
    write(".reconciler/health/b.yaml", rule.replace("stats", "status"))
    write(".reconciler/health/c.yaml", rule.replace("stats", "status"))
    out = call("lint", tmp_path).out
    assert ".reconciler/health/a.yaml:6: HealthRule a: spec.healthy: unknown name stats (did you mean status?)" in out
    assert ".reconciler/health/c.yaml:1: HealthRule Service: spec.kind: Service has a rule already, in .reconciler/health/b.yaml:1" in out
