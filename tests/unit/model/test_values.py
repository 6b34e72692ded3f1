"""The values of the model: durations, canonical JSON, names, conditions, text, and copies that share nothing."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.canonical import canonical, digest
from reconciler.model.condition import Condition, merge
from reconciler.model.duration import LONGEST, format_duration, parse_duration
from reconciler.model.identity import GVK, AppKey, ObjectRef
from reconciler.model.names import is_ours
from reconciler.model.outcome import Call, Result
from reconciler.model.run import FINAL, Intent, Phase, Run, StepState, copy_run
from reconciler.model.text import nearest, one_line

T = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m15s", 135), ("1.5h", 5400), ("1min", 60), ("1d", 86400), ("300ms", 0.3), (".5s", 0.5), ("1us", 1e-6), ("1µs", 1e-6)],
)
def test_a_duration_is_read_as_go_writes_it(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "5 s",
        " 5s",
        "5s ",
        "-5s",
        "+5s",
        "0s",
        "0.0h",
        "1ns",
        "5x",
        "1.5.5s",
        "٣s",
        "9" * 60 + "s",
        "9" * 99 + "s",
        "3651d",
        None,
        5,
        ["5s"],
    ],
)
def test_what_is_no_useful_duration_is_refused_with_a_reason(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.timedeltas(timedelta(seconds=1), LONGEST))
def test_a_duration_for_people_keeps_its_two_largest_units(value):
    shown = parse_duration(format_duration(value))
    assert shown <= value
    assert value - shown < max(timedelta(seconds=1), shown / 24)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, JSON)
def test_equal_values_and_only_they_have_equal_digests(one, other):
    assert (digest(one) == digest(other)) is (canonical(one) == canonical(other))


def test_canonical_json_knows_no_order_of_keys_and_no_white_space():
    assert canonical({"b": 1, "a": [1.0, True, "ä"]}) == '{"a":[1.0,true,"ä"],"b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_canonical_json_refuses_what_is_no_json(value):
    with pytest.raises(ValueError):
        canonical({"a": value})


@pytest.mark.parametrize(
    ("name", "ours"),
    [("reconciler.dev/suspend", True), ("gates.reconciler.dev/x", True), ("a.b.reconciler.dev/x", True)]
    + [(name, False) for name in ("evilreconciler.dev/x", "reconciler.dev", "x/reconciler.dev", "reconciler.dev.evil/x", "")],
)
def test_rule_5a_which_annotations_are_ours(name, ours):
    assert is_ours(name) is ours


def test_an_object_is_the_same_whatever_version_it_is_named_by():
    one, other = ObjectRef("apps/v1", "Deployment", "shop", "web"), ObjectRef("apps/v1beta1", "Deployment", "shop", "web")
    assert one.identity == other.identity
    assert one != other
    assert ObjectRef.unpack(one.pack()) == one
    assert (one.group, one.gvk, one.gvk.api_version) == ("apps", GVK("apps", "v1", "Deployment"), "apps/v1")
    assert (str(one), str(ObjectRef("v1", "Node", "", "n"))) == ("Deployment shop/web", "Node n")


@pytest.mark.parametrize("obj", [{}, {"metadata": None}, {"metadata": {"name": "n"}}, {"apiVersion": "v1", "kind": "Pod"}])
def test_an_object_without_its_parts_has_a_reference_all_the_same(obj):
    assert ObjectRef.of(obj).name == (obj.get("metadata") or {}).get("name", "")
    assert GVK.of(obj).kind == obj.get("kind", "")


def test_an_application_is_named_by_namespace_and_name():
    key = AppKey("shop", "web.v1")
    assert (str(key), key.object_name, AppKey.parse(str(key))) == ("shop/web.v1", "shop.web.v1", key)


def test_the_time_of_a_condition_moves_only_with_its_status():
    old = [Condition("Ready", "False", "Gate", "waits", T), Condition("Gone", "True", "x", "", T)]
    later = T + timedelta(hours=1)
    merged = merge(old, [Condition("Stalled", "True", "x"), Condition("Ready", "False", "Running")], later)
    assert [(item.type, item.reason, item.since) for item in merged] == [("Ready", "Running", T), ("Stalled", "x", later)]
    assert merge(merged, [Condition("Ready", "True", "Running")], later)[0].since == later


def test_rule_13e_untrusted_text_is_one_line_without_controls():
    assert one_line("a\nb\x1b[31m\u202e\u2028\ud800") == "a\\nb\\x1b[31m\\u202e\\u2028\\ud800"
    assert one_line("x" * 300) == "x" * 255 + "…"
    assert len(one_line("\n" * 300, 10)) == 10


def test_the_nearest_known_word_is_found_or_none():
    assert (nearest("supsend", ["suspend", "deploy"]), nearest("zzz", ["suspend"])) == ("suspend", None)


def test_final_phases_are_those_that_nothing_follows():
    assert {phase for phase in Phase if not phase.final} == {Phase.PENDING, Phase.RUNNING, Phase.WAITING, Phase.ROLLING_BACK}
    assert {phase for phase in Phase if phase.final} == FINAL


def test_rule_6a_a_deadline_moves_by_the_time_that_was_spent_suspended():
    call = Call(AppKey("d", "a"), "s", "x", {}, paused=timedelta(seconds=5))
    assert call.deadline(T, 10) == T + timedelta(seconds=15)
    assert call.deadline(None, 10) is None


def test_a_copied_run_is_equal_and_shares_nothing():
    step = StepState(
        "a", "x", "a", intents={"p": Intent("k", "apply", "d", T)}, results={"p": Result(value={"list": [1]}, at=T)}, outputs={"o": {"deep": []}}
    )
    step.paused_before = timedelta(days=3, microseconds=1)
    run = Run("r", "d/a", "a-v1", "digest", steps=[step], paused=timedelta(seconds=1.5), created_at=T)
    copy = copy_run(run)
    assert copy == run
    copy.steps[0].results["p"].value["list"].append(2)
    copy.steps[0].outputs["o"]["deep"].append(1)
    copy.steps[0].intents.clear()
    assert (step.results["p"].value, step.outputs, list(step.intents)) == ({"list": [1]}, {"o": {"deep": []}}, ["p"])


@given(st.timedeltas(timedelta(), timedelta(days=3650)), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis adds the zone
def test_a_stored_run_keeps_times_to_the_microsecond(paused, moment):
    run = Run("r", "d/a", "a-v1", "digest", paused=paused, created_at=moment)
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run
