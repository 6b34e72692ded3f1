"""Rule 5a: content makes the revision, and nothing else does."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.dialects.documents import parse
from reconciler.model.application import Application, Component, Environment, Reference, Step, Workflow
from reconciler.model.names import CONTINUE_ROLLOUT, CREATE_NAMESPACE, GATE_PREFIX, ROLLBACK, SHARD, SUSPEND
from reconciler.revisions.digest import ALGORITHMS, DIGEST_VERSION, git_digest, git_digests, revision_digest

WORDS = st.text("abcdefghij-", min_size=1, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
SPECS = st.dictionaries(WORDS, JSON, min_size=1, max_size=4)
DECISIONS = st.dictionaries(
    st.sampled_from([GATE_PREFIX + "approve", CONTINUE_ROLLOUT, ROLLBACK, SUSPEND, CREATE_NAMESPACE, "reconcile.reconciler.dev/requestedAt"]),
    WORDS,
)


def application(spec, **more):
    return Application("shop", "web", "kubevela", spec, "web.yaml", **more)


def shuffled(value, random):
    if isinstance(value, dict):
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key], random) for key in keys}
    return [shuffled(item, random) for item in value] if isinstance(value, list) else value


def paths(value, at=()):
    yield at
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*at, key))


def changed(value, path):
    if not path:
        return "something else" if value != "something else" else None
    if isinstance(value, list):
        return [changed(item, path[1:]) if index == path[0] else item for index, item in enumerate(value)]
    return {key: changed(item, path[1:]) if key == path[0] else item for key, item in value.items()}


@given(SPECS, st.randoms(use_true_random=False))
def test_rule_5a_key_order_changes_nothing(spec, random):
    assert git_digest(application(shuffled(spec, random))) == git_digest(application(spec))


@given(SPECS, st.data())
def test_rule_5a_any_change_of_the_spec_is_another_digest(spec, data):
    path = data.draw(st.sampled_from([path for path in paths(spec) if path]))
    assert git_digest(application(changed(spec, path))) != git_digest(application(spec))


@given(SPECS, DECISIONS, st.booleans())
def test_rule_5a_decisions_change_nothing_not_even_if_a_dialect_claims_to_read_them(spec, decisions, read):
    app = application(spec, annotations=decisions, read_annotations=sorted(decisions) if read else [])
    assert git_digest(app) == git_digest(application(spec))


@given(SPECS, st.lists(WORDS, min_size=1, max_size=4), st.integers(0, 3))
def test_rule_5a_comments_and_formatting_change_nothing(spec, comments, indent):
    text = json.dumps(spec, indent=indent + 1)
    noisy = "".join(f"# {comment}\n" for comment in comments) + text.replace("\n", "   # more\n")
    specs = [parse("web.yaml", source.encode())[0][0].content for source in (json.dumps(spec), noisy)]
    assert git_digest(application(specs[0])) == git_digest(application(specs[1]))


@given(SPECS, st.text(max_size=9), st.integers(0, 99))
def test_rule_5a_where_the_file_lies_and_how_we_compile_it_change_nothing(spec, path, line):
    app = application(spec)
    other = msgspec.structs.replace(
        app,
        path=path,
        line=line,
        index=line,
        components=[Component("a", "a", "worker")],
        workflow=Workflow(steps=[Step("s", "suspend", "s")]),
        watched=[path],
    )
    assert git_digest(other) == git_digest(app)


DIFFERENT = {
    "namespace": "other",
    "name": "other",
    "family": "sreworks",
    "labels": {"a": "b"},
    "environment": Environment(name="prod"),
    "references": [Reference("a.yaml", "dir/a.yaml", "1" * 40)],
}


@pytest.mark.parametrize("field", sorted(DIFFERENT))
def test_rule_5a_all_else_that_git_declares_is_content(field):
    app = application({"a": 1})
    assert git_digest(msgspec.structs.replace(app, **{field: DIFFERENT[field]})) != git_digest(app)


@pytest.mark.parametrize("environment", [Environment(name="a"), Environment(namespace="a"), Environment(values={"a": 1})])
def test_rule_5a_each_part_of_the_environment_is_content(environment):
    assert git_digest(application({"a": 1}, environment=environment)) != git_digest(application({"a": 1}))


def test_rule_5a_an_annotation_counts_only_if_the_dialect_reads_it():
    plain, noted = application({"a": 1}), application({"a": 1}, annotations={"note": "x"})
    read = msgspec.structs.replace(noted, read_annotations=["note"])
    assert git_digest(noted) == git_digest(plain) != git_digest(read)


def test_rule_5a_references_count_by_the_name_in_the_manifest_and_the_blob():
    one = [Reference("./a", "x/a", "1" * 40), Reference("./b", "x/b", "2" * 40)]
    moved = [Reference("./b", "y/b", "2" * 40), Reference("./a", "y/a", "1" * 40)]
    edited = [Reference("./a", "x/a", "3" * 40), Reference("./b", "x/b", "2" * 40)]
    digests = [git_digest(application({}, references=references)) for references in (one, moved, edited)]
    assert digests[0] == digests[1] != digests[2]


@given(st.dictionaries(WORDS, WORDS, min_size=1), st.randoms(use_true_random=False))
def test_rule_5a_pins_are_part_of_the_revision_digest_only(pins, random):
    of_git = git_digest(application({"a": 1}))
    assert revision_digest(of_git, pins) == revision_digest(of_git, shuffled(pins, random))
    assert revision_digest(of_git, pins) != revision_digest(of_git, {})


def test_rule_5a_an_upgrade_does_not_change_what_version_1_gives():
    app = Application(
        "shop",
        "web",
        "kubevela",
        {"components": [{"name": "web", "replicas": 3, "ratio": 1.5, "text": "ü"}]},
        "shop/web.yaml",
        labels={"team": "a"},
        annotations={"app.oam.dev/publishVersion": "1", "note": "x"},
        read_annotations=["app.oam.dev/publishVersion"],
        environment=Environment("dev", "shop-dev", {"replicas": 1}),
        references=[Reference("./m", "shop/m", "0" * 40)],
    )
    assert git_digest(app) == git_digest(app, 1) == "873888c6f2b37cc6c70f873db1b935acc7e397275aecd18c40c93216bd91eb8c"


def test_rule_5a_digests_by_every_algorithm_are_at_hand_and_an_unknown_one_is_an_error():
    app = application({"a": 1})
    assert git_digests(app) == {version: git_digest(app, version) for version in ALGORITHMS}
    assert max(ALGORITHMS) == DIGEST_VERSION
    with pytest.raises(KeyError):
        git_digest(app, 99)


@given(SPECS, WORDS)
def test_rule_5a_which_shard_acts_for_it_is_no_content_and_every_other_label_is(spec, word):
    assert git_digest(application(spec, labels={SHARD: word})) == git_digest(application(spec))
    assert git_digest(application(spec, labels={"team": word})) != git_digest(application(spec))
