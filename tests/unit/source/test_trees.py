import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.source import trees
from reconciler.source.protocol import UnreadableError
from reconciler.source.trees import Entry, normalise, parse, serialise, show

NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: b"\0" not in name)


@given(st.lists(NAMES | st.text("./\\x2e0", min_size=1, max_size=6).map(str.encode), min_size=2, max_size=2, unique=True))
def test_different_names_stay_different_and_all_are_safe_text(names):
    one, other = map(show, names)
    assert one != other
    for name in (one, other):
        assert name.isprintable()
        assert name not in {".", ".."}
        assert "/" not in name
        name.encode()


@given(
    st.dictionaries(
        NAMES, st.tuples(st.sampled_from([0o40000, 0o100644, 0o100755, 0o120000, 0o160000]), st.binary(min_size=20, max_size=20)), max_size=6
    )
)
def test_what_is_written_reads_back(content):
    entries = [Entry(name, mode, oid.hex()) for name, (mode, oid) in content.items()]
    assert sorted(parse(serialise(entries), "t").values()) == sorted(entries)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_tree_or_an_error(data):
    try:
        entries = parse(data, "t")
    except UnreadableError:
        return
    assert len(serialise(entries.values())) <= len(data)  # a mode may have been written with a zero before it


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], ("",)),
        ([""], ("",)),
        (["."], ("",)),
        (["a", ""], ("",)),
        (["b/", "./a//c"], ("a/c", "b")),
        (["a", "a/b", "ab"], ("a", "ab")),
    ],
)
def test_paths_of_a_source_are_normalised(paths, expected):
    assert normalise(paths) == expected


def test_folders_of_one_id_are_never_opened():
    def load(oid):
        pytest.fail(f"{oid} was opened")

    same = Entry(b"", trees.TREE, "1" * 40)
    assert list(trees.walk(same, same._replace(raw=b"other"), "a", load)) == []
