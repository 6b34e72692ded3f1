"""Conditions of steps: what they mean, that they bind as CUE's, and that every text gets an answer or a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.expression import MAX_DEPTH, MAX_LENGTH, ExpressionError, parse_expression

NAMES = {
    "status": {"a": {"failed": True, "phase": "failed", "count": 3}, "b-c": {"failed": False, "message": 'x\n"y"'}},
    "inputs": {"x.y": None, "list": [1, {"k": "v"}]},
}


def read(text):
    return parse_expression(text).read(NAMES)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("always", True),
        (" true ", True),
        ("status.a.failed", True),
        ('status["b-c"].failed', False),
        ('status."b-c".failed', False),
        ("!status.a.failed || true", True),
        ("false && true || true", True),
        ("true || true && false", True),
        ("(true || true) && false", False),
        ("1 + 2 - 4 == -1", True),
        ("1 < 2 && 2 <= 2 && 3 > 2.5 && 2 >= 2", True),
        ("status.a.count == 3.0", True),
        ('"a" + "b" == "ab" && "a" < "b"', True),
        ('status.a.phase =~ "^fail" && status.a.phase !~ "^x"', True),
        ('inputs["x.y"] == null && status.a.phase != null', True),
        ('inputs.list[1].k == "v"', True),
        ('status["b-c"].message == "x\\n\\"y\\""', True),
        ("!!true", True),
        ("false && status.nothing.failed", False),
        ("2 * 3 + 4 / 2 == 8.0 && 2 + 2 * 2 == 6", True),
        ("status.a != _|_ && status.zzz == _|_ && status.zzz.failed == _|_", True),
        ('inputs["x.y"] != _|_', False),
        ("(status.a.failed != _|_) == true && true", True),
        ('len(inputs.list) == 2 && len("ä") == 2 && len(status.a) > len("")', True),
        ('"\\(status.a.count)-\\("x" + "y").\\(true)" == "3-xy.true"', True),
        ('"\\(status["b-c"].failed)" == "false" && "a\\\\(b)" != ""', True),
        ("true || status.nothing.failed", True),
    ],
)
def test_it_is_true_or_false(text, answer):
    assert read(text) is answer


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the end is not expected there"),
        ("status.a.failed = true", "= means nothing here; write =="),
        ("true & true", "& means nothing here; write &&"),
        ("status.a.phase == 'x'", "a text stands in double quotes"),
        ("(true", "a ) is missing"),
        ("true)", ") is not expected there"),
        ('status["a"', "a ] is missing"),
        ("status.a.", "comes the end, which is no name"),
        ('"\\q" == ""', "\\q means nothing in a text"),
        ('"x" =~ "("', "is no pattern that is read here"),
        ("f(1)", "f() can't be called here: the only function is len()"),
        ('strings.Contains("a", "b")', "strings.Contains() can't be called here"),
        ("_|_ == status.a", "_|_ stands only behind == or !="),
        ("status.a < _|_", "_|_ stands only behind"),
        ('"x', 'the " that ends a text is missing'),
        ('"\\(status.a', "a ) is missing"),
        ('"\\(1 1)"', "1 is not expected there"),
        ('"\\(' * 60, "nested deeper"),
        ("true true", "true is not expected there"),
        ("!" * (MAX_DEPTH + 1) + "true", "nested deeper"),
        ("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH, "nested deeper"),
        (" + ".join(["1"] * 200), "too many parts"),
        ("x" * (MAX_LENGTH + 1), "longer than"),
    ],
)
def test_what_can_not_be_read_says_why(text, reason):
    with pytest.raises(ExpressionError, match=reason.replace("(", r"\(").replace(")", r"\)").replace("\\q", r"\\q").replace("+", r"\+")):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("status.zzz.failed", "there is no status.zzz"),
        ('status["z-z"].failed', 'there is no status\\["z-z"\\]'),
        ("inputs.list[7] == 1", "there is no inputs.list\\[7\\]"),
        ("status.a.phase", "it is a text, not true or false"),
        ("status", "it is a mapping"),
        ('1 == "1"', "a number can't be compared with a text"),
        ("true == 1", "can't be compared"),
        ("1 && true", "&& needs true or false, not a number"),
        ("!1 == false", "! needs true or false"),
        ('"a" - "b" == ""', "- needs numbers"),
        ("true < false", "< needs numbers or texts"),
        ("1 / 0 > 1", "divided by 0"),
        ("len(1) > 0", "len\\(\\) needs a text"),
        ('"\\(inputs.list)" == ""', "a list can't be part of a text"),
        ('1 =~ "a"', "=~ needs a text"),
        ("status.a.count =~ status.a.phase", "=~ needs a text"),
        ("9" * 400 + " + 0.5 > 0", "too large"),
    ],
)
def test_what_has_no_answer_says_why(text, reason):
    with pytest.raises(ExpressionError, match=reason):
        read(text)


def test_it_knows_what_it_asks_for():
    expression = parse_expression('status.a.failed && status["b-c"].failed && status.a.phase == inputs["x.y"]')
    assert (expression.subjects("status"), expression.subjects("inputs")) == (["a", "b-c"], ["x.y"])


PIECES = st.sampled_from(
    [
        *"()[].!+-<>=&|~\"' ",
        "&&",
        "||",
        "==",
        "=~",
        "status",
        "a",
        "failed",
        "\\(",
        "_|_",
        "len(",
        "*",
        "/",
        "1",
        "2.5",
        '"x"',
        "true",
        "null",
        "always",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_every_text_has_an_answer_or_a_reason_on_one_line(text):
    try:
        answer = str(read(text))
    except ExpressionError as error:
        answer = str(error)
    assert answer
    assert "\n" not in answer


VALUES = st.booleans()


def combine(children):
    return st.one_of(
        st.tuples(children, children).map(lambda pair: (f"({pair[0][0]} && {pair[1][0]})", pair[0][1] and pair[1][1])),
        st.tuples(children, children).map(lambda pair: (f"({pair[0][0]} || {pair[1][0]})", pair[0][1] or pair[1][1])),
        children.map(lambda one: (f"!{one[0]}", not one[1])),
        st.tuples(children, children).map(lambda pair: (f"({pair[0][0]} == {pair[1][0]})", pair[0][1] == pair[1][1])),
    )


@given(st.recursive(VALUES.map(lambda value: ("true" if value else "false", value)), combine, max_leaves=12))
def test_it_answers_as_python_does(pair):
    text, value = pair
    assert read(text) is value
