import pytest

from reconciler.dialects.documents import MAX_DEPTH, MAX_DOCUMENTS, line_of, lines_of, parse


def value_of(text):
    documents, problems = parse("a.yaml", f"a: {text}\n")
    assert problems == []
    return documents[0].content["a"]


def messages(data, **options):
    return [str(problem) for problem in parse("a.yaml", data, **options)[1]]


@pytest.mark.parametrize("text", ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
def test_each_word_that_kubernetes_takes_for_true_is_true(text):
    assert value_of(text) is True


@pytest.mark.parametrize("text", ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
def test_each_word_that_kubernetes_takes_for_false_is_false(text):
    assert value_of(text) is False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("0777", 511), ("0o7", 7), ("0x1F", 31), ("0b11", 3), ("1_000", 1000), ("-5", -5), ("+1", 1), ("0", 0), ("00", 0)),
        *(("1e3", 1000.0), ("1234e56", 1234e56), (".5", 0.5), ("1.", 1.0), ("08", 8.0), ("99999999999999999999", 1e20)),
    ],
)
def test_numbers_are_read_as_kubernetes_reads_them(text, value):
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize("text", ["12:30:45", "2024-01-01", "=", "1.2.3", "1234abc", "1e999", ".", "+", "_1", "tRue", "nUll", "0x", "0o9"])
def test_dates_times_and_other_near_numbers_are_text(text):
    assert value_of(text) == text


@pytest.mark.parametrize("text", ["~", "null", "Null", "NULL", ""])
def test_nulls_are_null(text):
    assert value_of(text) is None


def test_quoted_scalars_are_text_whatever_they_look_like():
    assert parse("a", "a: 'yes'\nb: \"1\"\nc: |\n  5\n")[0][0].content == {"a": "yes", "b": "1", "c": "5\n"}


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN", "!!float .inf"])
def test_infinity_and_nan_are_refused(text):
    assert "no place in JSON" in messages(f"ok: 1\na: {text}\n")[0]
    assert messages(f"ok: 1\na: {text}\n")[0].startswith("a.yaml:2:")


def test_every_duplicate_key_is_named_with_its_line_and_the_first_ones():
    assert messages("a: 1\nb: 1\na: 2\nb:\n  c: 1\n  c: 2\n") == [
        "a.yaml:3: duplicate key a (first in line 1)",
        "a.yaml:4: duplicate key b (first in line 2)",
        "a.yaml:6: duplicate key c (first in line 5)",
    ]


def test_keys_become_text_and_one_that_changes_is_warned_about():
    documents, problems = parse("a.yaml", "1: a\non: b\n'y': c\n")
    assert documents[0].content == {"1": "a", "true": "b", "y": "c"}
    assert [(problem.line, problem.severity) for problem in problems] == [(2, "warning")]


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later():
    text = "a: &a {p: 1, q: 1}\nb: &b {q: 2, r: 2}\nc: {r: 3, <<: [*a, *b]}\nd: {<<: *a, p: 9}\n"
    content = parse("a", text)[0][0].content
    assert content["c"] == {"r": 3, "p": 1, "q": 1}
    assert content["d"] == {"p": 9, "q": 1}


def test_a_merge_of_something_else_is_an_error():
    assert messages("a: {<<: 1}\n") == ["a.yaml:1: << takes a mapping or a list of mappings"]


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [x]", "!!binary aGk=", "!foo 1", "!!set {a}", "!!python/none x"])
def test_tags_that_are_not_plain_data_are_refused(text):
    documents, problems = parse("a.yaml", f"a: {text}\n")
    assert documents == []
    assert "is not allowed" in problems[0].message


def test_standard_tags_give_their_type_or_an_error():
    assert parse("a", "a: !!str 12\nb: !!int '3'\nc: !!float 3\n")[0][0].content == {"a": "12", "b": 3, "c": 3.0}
    assert messages("a: !!int x\n") == ["a.yaml:1: the value is not of its tag !!int"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "&a ["])
def test_deep_nesting_is_refused_and_crashes_nothing(opening):
    documents, problems = parse("a.yaml", opening * 100_000, limit=1 << 24)
    assert documents == []
    assert len(problems) == 1


def test_nesting_is_allowed_up_to_the_limit():
    depth = MAX_DEPTH - 1
    assert messages(f"a: {'[' * depth}{']' * depth}") == []
    assert messages(f"a: {'[' * (depth + 1)}{']' * (depth + 1)}") == [f"a.yaml:1: nested deeper than {MAX_DEPTH} levels"]


def test_nesting_made_by_aliases_counts():
    chain = "a0: &a0 [x]\n" + "".join(f"a{index}: &a{index} [*a{index - 1}]\n" for index in range(1, 120))
    assert "nested deeper than" in messages(chain)[0]


def test_a_billion_laughs_are_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{index}: &a{index} [{', '.join([f'*a{index - 1}'] * 10)}]\n" for index in range(1, 10))
    assert "aliases count as if written out" in messages(bomb)[0]


def test_long_text_multiplied_by_aliases_is_refused():
    assert "aliases count" in messages(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]\n")[0]


def test_an_anchor_within_itself_is_refused():
    assert messages("a: &x\n  b: *x\n") == ["a.yaml:2: the anchor &x contains itself"]


def test_an_alias_without_anchor_is_refused_also_across_documents():
    assert messages("a: &x 1\n---\nb: *x\n") == ["a.yaml:3: no anchor &x before this alias"]


def test_a_key_that_is_no_scalar_is_refused():
    assert messages("? [a]\n: b\n") == ["a.yaml:1: a key must be a scalar, not a mapping or a list"]


def test_documents_that_are_no_mappings_are_left_out_but_counted():
    documents, problems = parse("a.yaml", "---\n---\na: 1\n---\n- b\n---\n\n---\nc: 2\n")
    assert problems == []
    assert [(document.position, document.line, document.content) for document in documents] == [(1, 3, {"a": 1}), (4, 9, {"c": 2})]


def test_documents_before_a_syntax_error_are_kept_and_the_error_says_that_not_all_was_read():
    documents, problems = parse("a.yaml", "a: 1\n---\nb: [\n---\nc: 1\n")
    assert [document.content for document in documents] == [{"a": 1}]
    assert [(problem.line, problem.severity) for problem in problems] == [(4, "error")]


def test_documents_after_one_with_a_duplicate_key_are_kept():
    documents, problems = parse("a.yaml", "a: 1\na: 2\n---\nb: 1\n")
    assert [document.position for document in documents] == [1]
    assert len(problems) == 1


def test_more_documents_than_the_limit_are_refused():
    documents, problems = parse("a.yaml", "---\na: 1\n" * (MAX_DOCUMENTS + 1))
    assert len(documents) == MAX_DOCUMENTS
    assert "more than 1000 documents" in problems[0].message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("a: 1".encode("utf-16"), "a.yaml:1: the file is UTF-16 (or UTF-32); save it as UTF-8"),
        ("a: 1".encode("utf-16-le"), "a.yaml:1: the file holds a NUL byte (is it UTF-16 or binary?); save it as UTF-8"),
        (b"a: 1\nb: \0", "a.yaml:2: the file holds a NUL byte (is it UTF-16 or binary?); save it as UTF-8"),
        (b"a: 1\nb: \xff", "a.yaml:2: the file is not valid UTF-8"),
        ("a: \udc80", "a.yaml:1: the file is not valid UTF-8"),
        (b"a: \x07", "a.yaml: not valid YAML: the character U+0007 is not allowed"),
        (b"\ta: 1", "a.yaml:1: not valid YAML: while scanning for the next token, found character that cannot start any token"),
    ],
)
def test_bytes_that_are_no_yaml_are_refused_in_words(data, message):
    assert messages(data) == [message]


def test_a_file_over_the_limit_is_not_read():
    assert messages(b"a: 1\n", limit=4) == ["a.yaml: the file has 5 bytes, more than the limit of 4"]


def test_byte_order_mark_and_windows_line_ends_do_no_harm():
    documents, problems = parse("a.yaml", b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: x\r\n")
    assert (documents[0].content, problems) == ({"a": 1, "b": {"c": "x"}}, [])


def test_json_is_read_too():
    assert parse("a.json", '{"a": [1, true, null, "\\u00e9"]}')[0][0].content == {"a": [1, True, None, "é"]}


def test_the_line_of_a_field_is_its_keys_or_its_items():
    text = "a:\n  b:\n  - c: 1\n    d: 2\n  - e\n---\nx:\n- y: 1\n"
    assert line_of(text, 0, ("a", "b", 0, "d")) == 4
    assert line_of(text, 0, ("a", "b", 1)) == 5
    assert line_of(text, 1, ("x", 0, "y")) == 8


def test_the_line_of_a_missing_field_is_its_nearest_parents():
    assert line_of("a:\n  b:\n    c: 1\n", 0, ("a", "b", "zz", 3)) == 2
    assert line_of("a: 1\n", 0, ("zz",)) == 1
    assert line_of("a: 1\n", 7, ("a",)) == 0


def test_lines_of_a_later_document_are_lines_of_the_file():
    document = parse("a", "# first\n---\n# second\n  a: 1\n  b:\n    c: 2\n--- {x: 1,\n  z: 2}\n")[0]
    assert lines_of(document[0], [("b", "c"), ("a",)]) == {("b", "c"): 6, ("a",): 4}
    assert lines_of(document[1], [("z",)]) == {("z",): 8}


def test_the_cost_of_reading_grows_with_the_size_and_no_faster(monkeypatch):
    from reconciler.dialects import documents

    counted = []
    real = documents._events

    def counting(text):
        for event in real(text):
            counted.append(1)
            yield event

    monkeypatch.setattr(documents, "_events", counting)
    parse("a", "---\na: {b: 1}\n" * 50)
    small = len(counted)
    parse("a", "---\na: {b: 1}\n" * 500)
    assert len(counted) - small <= 10 * small
