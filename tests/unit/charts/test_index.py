"""The index of a chart repository: what is kept of it, and what it costs at most."""

import tracemalloc

import pytest

from reconciler.charts.index import Entry, read_index
from reconciler.charts.protocol import ChartError

INDEX = b"""
apiVersion: v1
generated: "2026-01-01T00:00:00Z"
annotations: {a: [b, {c: d}]}
entries:
  mysql:
    - name: mysql
      version: 9.1.0
      digest: SHA256
      annotations: {nested: {deeper: [1, 2, {x: y}]}}
      urls: [mysql-9.1.0.tgz, http://other.example/mysql.tgz]
      dependencies: [{name: common, version: 1.x.x}]
    - {name: mysql, version: "9.0", urls: [mysql-9.0.tgz], digest: sha256:ab}
    - {name: mysql, version: 8.0.0, urls: []}
    - no mapping
  empty: []
  odd: {}
  redis: [{version: 1.0.0, urls: ["https://example.org/redis.tgz"]}]
serverInfo: {}
"""


def test_each_chart_is_kept_by_version_url_and_digest_alone():
    found = read_index(INDEX)
    assert found["mysql"] == [Entry("9.1.0", "mysql-9.1.0.tgz", "sha256"), Entry("9.0", "mysql-9.0.tgz", "ab")]
    assert found["redis"] == [Entry("1.0.0", "https://example.org/redis.tgz", "")]
    assert found["empty"] == found["odd"] == []


def test_json_is_read_as_well():
    assert read_index(b'{"entries": {"a": [{"version": "1.0.0", "urls": ["a.tgz"]}]}}') == {"a": [Entry("1.0.0", "a.tgz", "")]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no mapping"),
        (b"- a", "no mapping"),
        (b"<html>not found</html>", "no mapping|can't be read"),
        (b"apiVersion: v1", "no entries"),
        (b"entries: [", "can't be read"),
        (b"entries: {a: [{version: 1.0.0, urls: [", "can't be read"),
        (b"\xff\xfe\x00", "can't be read|no mapping"),
        (b"a: &x [1]\nentries: {b: *x}", "aliases"),
        (b"entries: {a: " + b"[" * 200 + b"]" * 200 + b"}", "too deeply"),
    ],
)
def test_what_is_no_index_is_said_so(data, said):
    with pytest.raises(ChartError, match=said):
        read_index(data)


def test_a_large_index_costs_little_beside_itself():
    filler = b"    - {name: big, version: 1.0.0, description: " + b"x" * 4000 + b", urls: [big-1.tgz]}\n"
    data = b"apiVersion: v1\nentries:\n  big:\n" + filler * 2500
    tracemalloc.start()
    try:
        assert len(read_index(data)["big"]) == 2500
        assert tracemalloc.get_traced_memory()[1] < len(data) / 2
    finally:
        tracemalloc.stop()
