import copy
import difflib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.documents import parse
from reconciler.source.edit import EditError, remove_annotation, set_annotation, set_value

BLOCK = """\
# header
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: web   # keep
  annotations:
    # why
    a: "1"   # trailing
spec:
    list:
    - x   # odd indent
    - y
    - name: c   # of c
      image: nginx:1
      env: {a: 1, b: [1, 2]}
    other: | # literal
       text
       more

    # before last
    last: 5
"""
MISREAD = [
    "no",
    "1e3",
    "0777",
    "2026-01-01",
    "y",
    "~",
    "1_000",
    "12:30:45",
    "=",
    "null",
    "",
    "1234e56",
    ".5",
    "0x1F",
    "on",
    "<<",
    "- a",
    "a: b",
    "a #b",
]


def content(text, position=0):
    documents, problems = parse("f.yaml", text)
    assert not [problem for problem in problems if problem.severity == "error"]
    return next(document.content for document in documents if document.position == position)


def changed(before, after):
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return [line for line in lines if line[0] in "+-"]


def edited(text, change, position=0):
    old = content(text, position)
    new = copy.deepcopy(old)
    change(new["spec"])
    return set_value(text, position, old["spec"], new["spec"])


def test_rule_7c_a_new_annotation_adds_one_line_and_touches_no_other():
    assert changed(BLOCK, set_annotation(BLOCK, 0, "gates.reconciler.dev/x", "continue@0123456789ab")) == [
        "+    gates.reconciler.dev/x: continue@0123456789ab"
    ]


def test_rule_7c_an_annotation_is_replaced_within_its_line_and_keeps_its_comment():
    assert changed(BLOCK, set_annotation(BLOCK, 0, "a", "2")) == ['-    a: "1"   # trailing', '+    a: "2"   # trailing']


@pytest.mark.parametrize("value", MISREAD)
def test_text_that_some_yaml_reader_would_misread_is_quoted(value):
    after = set_annotation(BLOCK, 0, "b", value)
    assert content(after)["metadata"]["annotations"]["b"] == value
    assert yaml.safe_load(after)["metadata"]["annotations"]["b"] == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("metadata:\n  name: x\n", "+  annotations:"),
        ("metadata:\n  name: x\n  annotations:\n", '+    k.io/a: "yes"'),
        ("metadata:\n  annotations: # why\n  name: x\n", '+    k.io/a: "yes"'),
        ("metadata: {name: x, annotations: {}}\n", '+metadata: {name: x, annotations: {k.io/a: "yes"}}'),
        ("metadata: {name: x}\n", '+metadata: {name: x, annotations: {k.io/a: "yes"}}'),
        ('{"metadata": {"name": "x"}}', '+{"metadata": {"name": "x", "annotations": {"k.io/a": "yes"}}}'),
        ('{\n  "metadata": {\n    "name": "x"\n  }\n}\n', '+    "annotations": {"k.io/a": "yes"}'),
        ("kind: x\n", "+metadata:"),
        ("kind: x", "+metadata:"),
        ("metadata:\n  annotations: ~\n", "+  annotations:"),
        ("metadata:\n  annotations: &a {b: c}\n  labels: {d: e}\n", '+  annotations: &a {b: c, k.io/a: "yes"}'),
    ],
)
def test_an_annotation_is_set_whatever_style_the_metadata_have(text, line):
    after = set_annotation(text, 0, "k.io/a", "yes")
    assert content(after)["metadata"]["annotations"]["k.io/a"] == "yes"
    assert line in changed(text, after)


def test_line_endings_and_byte_order_mark_stay():
    text = "\ufeffmetadata:\r\n  name: x\r\n  annotations:\r\n    a: b\r\n"
    after = set_annotation(text, 0, "c", "d")
    assert after == text + "    c: d\r\n"


def test_a_document_is_counted_as_the_reader_counts_it_empty_ones_too():
    text = "# only a comment\n---\n---\nkind: x\n---\nmetadata: {name: two}\n...\n"
    positions = [document.position for document in parse("", text)[0]]
    after = set_annotation(text, positions[1], "a", "b")
    assert content(after, positions[1]) == {"metadata": {"name": "two", "annotations": {"a": "b"}}}
    assert content(after, positions[0]) == {"kind": "x"}


def test_removing_what_was_set_gives_the_text_back():
    for text in (BLOCK, "metadata:\n  name: x\nspec: {}\n", "metadata: {name: x}\n", '{"metadata": {"name": "x"}}'):
        assert remove_annotation(set_annotation(text, 0, "k", "v"), 0, "k") == text
        assert remove_annotation(text, 0, "k") == text


def test_rule_7c_only_the_lines_of_changed_values_change():
    def change(spec):
        spec["list"][2]["image"] = "nginx:2"
        spec["list"].append("z")
        spec["last"] = 6

    assert changed(BLOCK, edited(BLOCK, change)) == ["-      image: nginx:1", "+      image: nginx:2", "+    - z", "-    last: 5", "+    last: 6"]


def test_items_of_one_name_are_one_item_wherever_they_move_to():
    text = "spec:\n  c:\n  - name: a\n    v: 1 # one\n  - name: b\n    v: 2 # two\n"
    after = edited(text, lambda spec: spec["c"].pop(0) and spec["c"][0].update(v=3))
    assert after == "spec:\n  c:\n  - name: b\n    v: 3 # two\n"


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        ("spec:\n  a: 'x'\n", lambda s: s.update(a="it's"), "spec:\n  a: 'it''s'\n"),
        ("spec:\n  a: x # c\n", lambda s: s.update(a=5), "spec:\n  a: 5 # c\n"),
        ("spec:\n  a: |\n    t\n  b: 1\n", lambda s: s.update(a="u\nv\n"), "spec:\n  a: |\n    u\n    v\n  b: 1\n"),
        ("spec:\n  a:\n    b: 1\n  c: 2\n", lambda s: s["a"].clear(), "spec:\n  a: {}\n  c: 2\n"),
        ("spec:\n  a:\n    b: 1\n  c: 2\n", lambda s: s.update(a=[1, {"d": 2}]), "spec:\n  a:\n    - 1\n    - d: 2\n  c: 2\n"),
        ("spec:\n- a: 1\n  b: 2\n- c\n", lambda s: s[0].pop("a"), "spec:\n- b: 2\n- c\n"),
        ("spec: [1, 2, 3]\n", lambda s: s.remove(2), "spec: [1, 3]\n"),
        ("spec: [1, 2, 3]\n", lambda s: s.pop(), "spec: [1, 2]\n"),
        ("spec: [1, 3]\n", lambda s: s.insert(1, "2"), 'spec: [1, "2", 3]\n'),
        ("spec: {a: 1, b: 2}\n", lambda s: s.pop("a"), "spec: {b: 2}\n"),
        ("spec:\n  - a\n  -\n  - b\n", lambda s: s.__setitem__(1, {"x": [1]}), "spec:\n  - a\n  - x:\n      - 1\n  - b\n"),
        ("spec:\n  a: &x 1\n  b: *x\n", lambda s: s.update(b=2), "spec:\n  a: &x 1\n  b: 2\n"),
        ("spec:\n  a: # why\n    b: 1\n  c: 2\n", lambda s: s.update(a={"x": {"z": 1}}), "spec:\n  a: # why\n    x:\n      z: 1\n  c: 2\n"),
        ("spec:\n- a: 1\n- b: 2\n- c: 3\n", lambda s: s.pop(1), "spec:\n- a: 1\n- c: 3\n"),
        ("spec:\n- name: a\n- name: c\n", lambda s: s.insert(1, {"name": "b"}), "spec:\n- name: a\n- name: b\n- name: c\n"),
        ("spec:\n- - 1\n  - 2\n", lambda s: s[0].pop(0), "spec:\n- - 2\n"),
        ("spec: [\n  1,\n  2\n]\n", lambda s: s.append(3), "spec: [\n  1,\n  2,\n  3\n]\n"),
        ("spec: {a: {b: 1}}\n", lambda s: s["a"].pop("b"), "spec: {a: {}}\n"),
        ("spec: [{a: -}]\n".replace("-", "'-'"), lambda s: s.append("-"), "spec: [{a: '-'}, \"-\"]\n"),
    ],
)
def test_values_are_changed_in_the_style_that_they_have(text, change, expected):
    after = edited(text, change)
    assert after == expected


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("spec:\n  a: &x {v: 1}\n  b: *x\n", lambda s: s["a"].update(v=2)),
        ("base: &x {v: 1}\nspec:\n  <<: *x\n  w: 2\n", lambda s: s.pop("v")),
        ("spec:\n  a: 1\n", lambda s: s.update(b=2**80)),
        ("spec:\n  a: 1\n", lambda s: s.update(b=float("nan"))),
        ("spec:\n  a: 1\n", lambda s: s.update(b="\ud800")),
    ],
)
def test_what_is_shared_or_has_no_exact_text_is_refused(text, change):
    old = content(text)["spec"]
    new = json.loads(json.dumps(old))  # nothing shared
    change(new)
    with pytest.raises(EditError):
        set_value(text, 0, old, new)


@pytest.mark.parametrize(
    "text", ["", "---\n---\n", "a: [", "- a\n", "a: 1\na: 2\n", "metadata: []\n", "metadata: {annotations: [a]}\n", "a: *b\n", "\0", "[" * 5000]
)
def test_text_that_is_no_readable_mapping_is_refused_never_a_crash(text):
    with pytest.raises(EditError):
        set_annotation(text, 0, "a", "b")


def test_an_edit_on_a_stale_value_is_refused():
    with pytest.raises(EditError, match="not what was expected"):
        set_value("spec: {a: 1}\n", 0, {"a": 1.0}, {"a": 2})


def test_a_broken_neighbour_document_does_not_stop_an_edit():
    text = "metadata: {name: a}\n---\na: 1\na: 2\n"
    assert set_annotation(text, 0, "k", "v") == "metadata: {name: a, annotations: {k: v}}\n---\na: 1\na: 2\n"


def test_wide_mappings_and_long_lists_are_edited_in_place():
    wide = {f"k{index}": index for index in range(5000)}
    keys = [f"    {key}: {value} # c\n" for key, value in wide.items()]
    items = [f"  - {index} # c\n" for index in range(5000)]
    text = "".join(["spec:\n  m:\n", *keys, "  l:\n", *items])
    old = content(text)["spec"]
    new = {"m": {key: value for key, value in wide.items() if value % 2}, "l": ["x", *old["l"][1:-1], "y", "z"]}
    after = set_value(text, 0, old, new)
    assert after == "".join(["spec:\n  m:\n", *keys[1::2], "  l:\n", "  - x # c\n", *items[1:-1], '  - "y" # c\n', "  - z\n"])


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(MISREAD)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4)
STYLES = st.sampled_from(
    [{"default_flow_style": False}, {"default_flow_style": True}, {"default_flow_style": None}, {"default_style": '"'}, {"indent": 5}]
)


def written(value, style, newline):
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, sort_keys=False, **style).replace("\n", newline)


class _Dumper(yaml.SafeDumper):
    """Quotes all text, so that what it wrote reads back the same by every reader; no anchors."""

    def ignore_aliases(self, data):
        return True

    def represent_text(self, data):
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"')


_Dumper.add_representer(str, _Dumper.represent_text)


def readable(text):
    documents, problems = parse("", text)
    return documents[0].content if documents and not problems else None


@given(MAPPINGS, VALUES, STYLES, st.sampled_from(["\n", "\r\n"]))
def test_any_edit_reads_back_as_the_edited_value_or_is_refused(old, new, style, newline):
    text = written({"kind": "x", "spec": old, "z": [1]}, style, newline)
    before = readable(text)
    if before is None:
        return
    try:
        after = set_value(text, 0, before["spec"], new)
    except EditError:
        return
    assert content(after) == {**before, "spec": new}


@given(MAPPINGS, MAPPINGS)
def test_plain_values_are_never_refused(old, new):
    text = written({"spec": old}, {"default_flow_style": False}, "\n")
    before = readable(text)
    if before is None or before["spec"] != old:
        return
    assert content(set_value(text, 0, old, new))["spec"] == new


@given(st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=4), TEXTS.filter(bool), TEXTS.filter(lambda value: "\n" not in value))
def test_an_annotation_in_block_style_is_at_most_one_line(annotations, key, value):
    meta = {"name": "x", **({"annotations": annotations} if annotations else {})}
    text = written({"metadata": meta, "spec": {}}, {"default_flow_style": False, "width": 10**6}, "\n")
    after = set_annotation(text, 0, key, value)
    assert content(after)["metadata"]["annotations"] == {**annotations, key: value}
    lines = changed(text, after)
    assert len([line for line in lines if line.startswith("-")]) <= 1
    assert len([line for line in lines if line.startswith("+")]) <= (1 if annotations else 2)
