"""What may stand in a repository and must harm no one: each bad input next to a good application, through the whole engine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, Clone, Daemon, config_map_app, running

HEAD = "apiVersion: core.oam.dev/v1beta1\nkind: Application\n"
OBJECTS = "spec:\n  components:\n    - name: s\n      type: k8s-objects\n      properties:\n        objects:\n"
CONFIG = "          - {apiVersion: v1, kind: ConfigMap, metadata: {name: bad}, data: {value: x}}\n"


def annotated(lines: str) -> str:
    return f"{HEAD}metadata:\n  name: bad\n  annotations:\n{lines}{OBJECTS}{CONFIG}"


def of_object(text: str) -> str:
    return f"{HEAD}metadata: {{name: bad}}\n{OBJECTS}          - {text}\n"


def with_step(step: str) -> str:
    return f"{HEAD}metadata: {{name: bad}}\n{OBJECTS}{CONFIG}  workflow:\n    steps:\n      - {step}\n"


def suspended_for(duration: str) -> str:
    return with_step(f"{{type: suspend, name: wait, properties: {{duration: {duration}}}}}")


def laughs() -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return HEAD + "\n".join(lines) + "\n"


# What the file holds, the line (0: of the file as a whole), the field, and words of the message.
BAD: dict[str, tuple[str | bytes, int, str, str]] = {
    "tabs": (HEAD + "metadata:\n\tname: bad\n", 4, "", "not valid YAML"),
    "utf-16": (config_map_app("bad", "x").encode("utf-16"), 0, "", "UTF-8"),
    "no text": (b"\x00\x01\x02\xff", 0, "", "UTF-8"),
    "duplicate key": (HEAD + "metadata: {name: bad}\nspec: {components: []}\nspec: {components: []}\n", 5, "", "spec"),
    "billion laughs": (laughs(), 0, "", "alias"),
    "anchor within itself": (HEAD + "metadata: {name: bad}\nspec: &x\n  components: [*x]\n", 5, "", "itself"),
    "python object": (HEAD + 'metadata: {name: bad}\nspec: !!python/object/apply:os.system ["touch /tmp/x"]\n', 4, "", "tag"),
    "nested deep": (HEAD + "spec: " + "[" * 50_000, 3, "", "nested"),
    "open quote": (HEAD + 'metadata: {name: "bad}\n', 4, "", "not valid YAML"),
    "more than 1 MiB": (HEAD + "# " + "x" * (1 << 20), 0, "", "bytes"),
    "annotation no": (annotated("    note: no\n"), 6, "metadata.annotations.note", "text"),
    "annotation octal": (annotated("    note: 0o17\n"), 6, "metadata.annotations.note", "text"),
    "annotation float": (annotated("    note: 1e3\n"), 6, "metadata.annotations.note", "text"),
    "annotation null": (annotated("    note: ~\n"), 6, "metadata.annotations.note", "text"),
    "annotations are a list": (annotated("    - note\n"), 5, "metadata.annotations", "mapping"),
    "annotation of 300 KiB": (annotated(f"    note: {'x' * 307_200}\n"), 5, "metadata.annotations", "262144"),
    "metadata is a list": (f"{HEAD}metadata: [name]\n{OBJECTS}{CONFIG}", 3, "metadata", "mapping"),
    "generateName": (f"{HEAD}metadata: {{generateName: bad-}}\n{OBJECTS}{CONFIG}", 3, "metadata.generateName", "name"),
    "name that is none": (f"{HEAD}metadata: {{name: Bad_Name}}\n{OBJECTS}{CONFIG}", 3, "metadata.name", "Bad_Name"),
    "name with a newline": (f'{HEAD}metadata: {{name: "bad\\nname"}}\n{OBJECTS}{CONFIG}', 3, "metadata.name", "bad\\nname"),
    "nested List": (f"apiVersion: v1\nkind: List\nitems:\n  - {HEAD!r}\n", 1, "kind", "List"),
    "spec missing": (f"{HEAD}metadata: {{name: bad}}\n", 1, "", "spec is required"),
    "spec is null": (f"{HEAD}metadata: {{name: bad}}\nspec:\n", 1, "", "spec is required"),
    "components are a mapping": (f"{HEAD}metadata: {{name: bad}}\nspec:\n  components: {{a: b}}\n", 5, "spec.components", "list"),
    "unknown field": (f"{HEAD}metadata: {{name: bad}}\nspec:\n  component: []\n", 5, "spec.component", "components"),
    "unknown component type": (
        f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: webservise}}\n",
        6,
        "spec.components[0].type",
        "webservice",
    ),
    "unknown step type": (with_step("{type: suspendd, name: wait}"), 13, "spec.workflow.steps[0].type", "suspend"),
    "duration of a week": (suspended_for("1w"), 13, "spec.workflow.steps[0].properties.duration", "1w"),
    "duration below zero": (suspended_for('"-5m"'), 13, "spec.workflow.steps[0].properties.duration", "-5m"),
    "duration beyond all": (suspended_for("9e99h"), 13, "spec.workflow.steps[0].properties.duration", "9e99h"),
    "duration empty": (suspended_for('""'), 13, "spec.workflow.steps[0].properties.duration", "duration"),
    "duration of 300 years": (suspended_for("2629800h"), 13, "spec.workflow.steps[0].properties.duration", "2629800h"),
    "replicas beyond int32": (
        (
            f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - name: s\n      type: webservice\n      properties: {{image: a}}\n"
            f"      traits:\n        - type: scaler\n          properties: {{replicas: {10**20}}}\n"
        ),
        11,
        "spec.components[0].traits[0].properties.replicas",
        "must be a whole number from",
    ),
    "typo in the group": ("apiVersion: core.oam.dve/v1beta1\nkind: Application\nmetadata: {name: bad}\n", 1, "apiVersion", "core.oam.dev"),
    "another version": ("apiVersion: core.oam.dev/v9\nkind: Application\nmetadata: {name: bad}\n", 1, "kind", "core.oam.dev/v1beta1"),
    "folder out of the repository": (
        f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: manifests, properties: {{path: ../../etc}}}}\n",
        6,
        "spec.components[0].properties.path",
        "without ..",
    ),
    "absolute folder": (
        f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: manifests, properties: {{path: /etc}}}}\n",
        6,
        "spec.components[0].properties.path",
        "must be a folder of the repository",
    ),
    "object without a kind": (of_object("{apiVersion: v1, metadata: {name: bad}}"), 10, "spec.components[0].properties.objects[0]", "kind"),
    "object with generateName": (
        of_object("{apiVersion: v1, kind: ConfigMap, metadata: {generateName: bad-}}"),
        10,
        "spec.components[0].properties.objects[0].metadata",
        "name",
    ),
}

# The same application, written as people and editors write it.
ODD: dict[str, tuple[str, bytes]] = {
    "empty documents": ("odd.yaml", f"---\n---\n{config_map_app('odd', '1')}---\n---\n# nothing\n".encode()),
    "a byte order mark": ("odd.yaml", b"\xef\xbb\xbf" + config_map_app("odd", "1").encode()),
    "Windows line ends": ("odd.yaml", config_map_app("odd", "1").replace("\n", "\r\n").encode()),
    "an ending in capitals": ("odd.YAML", config_map_app("odd", "1").encode()),
    "an executable file name with spaces": ("o d d .yml", config_map_app("odd", "1").encode()),
    "a foreign document beside it": (
        "odd.yaml",
        f"{config_map_app('odd', '1')}---\napiVersion: v1\nkind: Service\nmetadata: {{name: foreign}}\n".encode(),
    ),
    "a template's braces": ("odd.yaml", config_map_app("odd", "1").replace('value: "1"', 'value: "1", other: "${HOME} {{ x }} $(id)"').encode()),
}


def write(clone: Clone, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (clone.path / name).write_bytes(data)
    return clone.push({})


async def good(daemon: Daemon) -> None:
    await daemon.synced("good")
    await daemon.looked()
    assert (await daemon.get("ConfigMap", "good"))["data"] == {"value": "1"}


@pytest.mark.parametrize("name", BAD)
async def test_rule_8_a_bad_manifest_is_named_by_file_line_and_field_and_harms_no_other(tmp_path: Path, name: str) -> None:
    text, line, field, words = BAD[name]
    clone = Clone(tmp_path)
    write(clone, {"good.yaml": config_map_app("good", "1").encode(), "bad.yaml": text if isinstance(text, bytes) else text.encode()})
    async with running(clone) as daemon:
        await good(daemon)
        assert daemon.status("bad") is None
        problems = daemon.engine.reader.problems()
        assert {problem["path"] for problem in problems} == {"bad.yaml"}
        found = [problem for problem in problems if words in problem["message"] and problem["field"].startswith(field)]
        assert found, problems
        assert found[0]["line"] == line or not line, found
        assert all(len(problem["message"]) <= 1000 and problem["message"].isprintable() for problem in problems)


@pytest.mark.parametrize("name", ODD)
async def test_what_only_looks_odd_is_applied(tmp_path: Path, name: str) -> None:
    path, data = ODD[name]
    clone = Clone(tmp_path)
    write(clone, {"good.yaml": config_map_app("good", "1").encode(), path: data})
    async with running(clone) as daemon:
        await good(daemon)
        await daemon.synced("odd")
        assert (await daemon.get("ConfigMap", "odd"))["data"]["value"] == "1"
        assert daemon.engine.reader.problems() == []


async def test_text_with_braces_and_dollars_reaches_the_cluster_byte_for_byte(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    write(clone, {"good.yaml": ODD["a template's braces"][1].replace(b"odd", b"good")})
    async with running(clone) as daemon:
        await daemon.synced("good")
        assert (await daemon.get("ConfigMap", "good"))["data"]["other"] == "${HOME} {{ x }} $(id)"


async def test_one_identity_in_two_files_names_both_and_applies_neither(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1"), "a.yaml": config_map_app("bad", "1"), "b.yaml": config_map_app("bad", "2")})
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = daemon.engine.reader.problems()
        assert "a.yaml:1" in problem["message"]
        assert "b.yaml:1" in problem["message"]
        assert (problem["object"], problem["field"]) == ("Application bad", "metadata.name")
        assert await absent(daemon, "bad")


async def test_rule_1e_one_object_in_two_applications_is_an_error_that_names_the_other(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1")})
    async with running(clone) as daemon:
        await good(daemon)
        clone.push({"thief.yaml": config_map_app("thief", "2").replace("{name: thief}", "{name: good}")})
        status = await daemon.until(lambda: (found := daemon.status("thief")) and found.run and found.run.phase == "Failed" and found)
        assert "default/good" in f"{status.run.message} {[step.message for step in status.run.steps]}"
        await good(daemon)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{apiVersion: example.org/v1, kind: Widget, metadata: {name: bad}}", "Widget"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: bad, namespace: kube-system}, data: {value: x}}", "kube-system"),
        ("{apiVersion: v1, kind: ConfigMap, metadata: {name: bad, namespace: reconciler-system}, data: {value: x}}", "the daemon's own"),
        ("{apiVersion: apps/v1, kind: Deployment, metadata: {name: bad}, spec: {replicas: many}}", "replicas"),
    ],
)
async def test_rule_8_what_the_cluster_or_the_operator_refuses_fails_that_application_alone(tmp_path: Path, text: str, words: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1"), "bad.yaml": of_object(text)})
    async with running(clone) as daemon:
        await good(daemon)
        assert await daemon.until(lambda: words in f"{daemon.status('bad')} {daemon.engine.reader.problems()}", words)


async def absent(daemon: Daemon, name: str) -> bool:
    found = await daemon.engine.reader.objects("configmap", "", "")
    return all(item["metadata"]["name"] != name for item in found)


# Hostile trees --------------------------------------------------------------------------------------------------------------


def plumb(clone: Clone, *words: str, data: bytes = b"") -> str:
    done = subprocess.run(["git", "-C", str(clone.origin), *words], input=data, check=True, capture_output=True, env=ENVIRONMENT)
    return done.stdout.decode().strip()


def blob(clone: Clone, data: bytes) -> str:
    return plumb(clone, "hash-object", "-w", "--stdin", data=data)


def tree(clone: Clone, *entries: tuple[str, bytes, str]) -> str:
    """A tree object of (mode, name, id), whatever git thinks of the names."""
    lines = [mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in sorted(entries, key=lambda entry: entry[1])]
    return plumb(clone, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=b"".join(lines))


def land(clone: Clone, *entries: tuple[str, bytes, str]) -> None:
    """The good application and the entries become the branch's next commit."""
    root = tree(clone, ("100644", b"good.yaml", blob(clone, config_map_app("good", "1").encode())), *entries)
    commit = plumb(clone, "commit-tree", root, "-m", "hostile")
    plumb(clone, "update-ref", "refs/heads/main", commit)


LINKS = ["/etc/passwd", "/proc/self/environ", "good.yaml", "../../../../etc/passwd", "nowhere", "bad.yaml", "folder"]


@pytest.mark.parametrize("target", LINKS)
async def test_a_link_is_not_read_wherever_it_leads(tmp_path: Path, target: str) -> None:
    clone = Clone(tmp_path)
    land(clone, ("120000", b"bad.yaml", blob(clone, target.encode())))
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = daemon.engine.reader.problems()
        assert (problem["path"], problem["message"]) == ("bad.yaml", "a symbolic link: it is not read")


@pytest.mark.parametrize("kind", ["link in the folder", "folder is a link", "chain of links", "submodule"])
async def test_a_folder_of_manifests_reads_through_no_link(tmp_path: Path, kind: str) -> None:
    clone = Clone(tmp_path)
    secret = tree(clone, ("100644", b"s.yaml", blob(clone, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n")))
    plain = blob(clone, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain}\n")
    inside = tree(clone, ("100644", b"a.yaml", plain), ("120000", b"s.yaml", blob(clone, b"../other/s.yaml")))
    entries = {
        "link in the folder": [("40000", b"m", inside)],
        "folder is a link": [("120000", b"m", blob(clone, b"other"))],
        "chain of links": [("120000", b"m", blob(clone, b"n")), ("120000", b"n", blob(clone, b"other"))],
        "submodule": [
            ("160000", b"m", "1" * 40),
            ("100644", b".gitmodules", blob(clone, b'[submodule "m"]\n\tpath = m\n\turl = ext::sh -c touch% x\n')),
        ],
    }[kind]
    app = f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: manifests, properties: {{path: m}}}}\n"
    land(clone, ("40000", b"other", secret), ("100644", b"bad.yaml", blob(clone, app.encode())), *entries)
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = [item for item in daemon.engine.reader.problems() if item["path"] == "bad.yaml"]
        assert (problem["line"], problem["field"]) == (6, "spec.components[0].properties.path")
        assert daemon.status("bad") is None
        assert await absent(daemon, "other")


async def test_rule_1_a_manifest_that_becomes_a_link_is_not_taken_for_removed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    entries = [
        ("100644", name, blob(clone, b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n" % name[:1])) for name in (b"a.yaml", b"b.yaml")
    ]
    app = f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: manifests, properties: {{path: m}}}}\n"
    manifest = ("100644", b"bad.yaml", blob(clone, app.encode()))
    land(clone, ("40000", b"m", tree(clone, *entries)), manifest)
    async with running(clone) as daemon:
        await daemon.synced("bad")
        land(clone, ("40000", b"m", tree(clone, entries[0], ("120000", b"b.yaml", blob(clone, b"a.yaml")))), manifest)
        await daemon.until(lambda: (status := daemon.status("bad")) and status.sync == "Unknown")
        await daemon.looked()
        assert not await absent(daemon, "b")
        assert "m/b.yaml is a link" in daemon.conditions("bad")["ManifestInvalid"]


@pytest.mark.parametrize("text", ["- a list\n", "just text\n", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"])
async def test_rule_1a_a_manifest_that_becomes_no_mapping_is_not_taken_for_removed(tmp_path: Path, text: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1")})
    async with running(clone) as daemon:
        await daemon.synced("good")
        clone.push({"good.yaml": text})
        await daemon.until(lambda: {"RemovalInDoubt", "ManifestInvalid"} & daemon.conditions("good").keys())
        await daemon.looked()
        assert (await daemon.get("ConfigMap", "good"))["data"] == {"value": "1"}


NAMES = {
    "newline": b"a\nb.yaml",
    "backslash": b"..\\..\\b.yaml",
    "carriage return and escape": b"a\r\x1b[31mb.yaml",
    "bidi": "a\u202eb.yaml".encode(),
    "not UTF-8": b"a\xff\xfeb.yaml",
    "5000 characters": b"x" * 5000 + b".yaml",
    "slash": b"../../b.yaml",
}


@pytest.mark.parametrize("name", NAMES)
async def test_a_hostile_file_name_is_shown_on_one_line_and_harms_no_other(tmp_path: Path, name: str) -> None:
    clone = Clone(tmp_path)
    land(clone, ("100644", NAMES[name], blob(clone, b"a: [\n")))
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = daemon.engine.reader.problems()
        assert problem["path"].isprintable()
        assert "not valid YAML" in problem["message"]
        assert problem["line"] > 0


@pytest.mark.parametrize("folder", [b".git", b".GIT", b"git~1", b"..", b".", b"trailing."])
async def test_a_folder_that_no_checkout_may_hold_harms_no_other(tmp_path: Path, folder: bytes) -> None:
    clone = Clone(tmp_path)
    land(clone, ("40000", folder, tree(clone, ("100644", b"config.yaml", blob(clone, b"a: [\n")))))
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = daemon.engine.reader.problems()
        assert problem["path"].endswith("config.yaml")
        assert ".." not in problem["path"].split("/")


async def test_names_that_differ_in_case_alone_are_two_files(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    texts = {name: config_map_app(name.lower() + str(number), "1") for number, name in enumerate(["App", "app"])}
    land(clone, *(("100644", f"{name}.yaml".encode(), blob(clone, text.encode())) for name, text in texts.items()))
    async with running(clone) as daemon:
        await good(daemon)
        await daemon.synced("app0")
        await daemon.synced("app1")


@pytest.mark.parametrize("submodule", [True, False])
async def test_a_submodule_or_an_lfs_pointer_in_the_place_of_a_manifest_is_a_problem(tmp_path: Path, submodule: bool) -> None:
    clone = Clone(tmp_path)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"1" * 64 + b"\nsize 12\n"
    land(clone, ("160000", b"bad.yaml", "1" * 40) if submodule else ("100644", b"bad.yaml", blob(clone, pointer)))
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = daemon.engine.reader.problems()
        assert problem["path"] == "bad.yaml"
        assert ("no ordinary file" if submodule else "LFS") in problem["message"]


@pytest.mark.parametrize("broken", ["the same name twice", "cut short"])
async def test_rule_2_a_corrupt_tree_keeps_what_runs_and_says_so(tmp_path: Path, broken: str) -> None:
    clone = Clone(tmp_path)
    clone.push({"good.yaml": config_map_app("good", "1")})
    async with running(clone) as daemon:
        await good(daemon)
        oid = blob(clone, b"a: 1\n")
        twice = tree(clone, ("100644", b"a", oid), ("40000", b"a", tree(clone)))
        cut = plumb(clone, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=b"100644 a\0short")
        land(clone, ("40000", b"d", twice if broken == "the same name twice" else cut))
        assert await daemon.until(lambda: any("corrupt" in str(event.fields) for event in daemon.sink.events if event.kind == "look-failed"))
        assert (await daemon.get("ConfigMap", "good"))["data"] == {"value": "1"}
        status = daemon.status("good")
        assert status is not None
        assert status.run is not None
        assert status.run.phase == "Succeeded"


async def test_a_folder_with_more_files_than_the_limit_is_a_problem_of_its_application_alone(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    empty = blob(clone, b"")
    many = tree(clone, *(("100644", b"%05d.yaml" % number, empty) for number in range(2001)))
    app = f"{HEAD}metadata: {{name: bad}}\nspec:\n  components:\n    - {{name: s, type: manifests, properties: {{path: m}}}}\n"
    land(clone, ("40000", b"m", many), ("100644", b"bad.yaml", blob(clone, app.encode())))
    async with running(clone) as daemon:
        await good(daemon)
        [problem] = [item for item in daemon.engine.reader.problems() if item["path"] == "bad.yaml"]
        assert (problem["line"], problem["field"]) == (6, "spec.components[0].properties.path")
        assert "2000" in problem["message"]
