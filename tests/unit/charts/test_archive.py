"""Archives from strangers: what is refused, and that nothing is handed on then."""

import contextlib
import gzip
import io
import tarfile
import tracemalloc

import pytest

from reconciler.charts import archive
from reconciler.charts.archive import pack_archive, read_archive, unpack_charts
from reconciler.charts.protocol import ChartError
from tests.charts import chart, chart_files, pack, pack_members


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


YAML = (member("web/Chart.yaml", size=2), b"{}")


def test_a_chart_is_read_by_path_below_its_own_folder():
    assert read_archive(chart("web", "1.0.0", {"templates/a.yaml": "a", ".helmignore": "x"})) == {
        "Chart.yaml": b"apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "templates/a.yaml": b"a",
        ".helmignore": b"x",
    }


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "web/../../evil",
        "/etc/passwd",
        "web//etc",
        "web/./a",
        "web\\..\\evil",
        "C:/web/a",
        "web/a\nb",
        "web/\x1b[2J",
        "./../x",
        "web/" + "a" * 600,
    ],
)
def test_a_path_that_leads_out_or_is_no_plain_one_is_refused(name):
    with pytest.raises(ChartError, match=r"leads out of the chart or is no plain path|broken"):
        read_archive(pack_members([YAML, (member(name, size=1), b"x")]))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "no plain file"),
        (tarfile.BLKTYPE, "no plain file"),
        (tarfile.FIFOTYPE, "no plain file"),
        (b"Z", "no plain file"),
    ],
)
def test_links_and_devices_are_refused(kind, said):
    with pytest.raises(ChartError, match=said):
        read_archive(pack_members([YAML, (member("web/values.yaml", kind, "/etc/passwd"), b"")]))


def test_a_gzip_bomb_is_refused_before_it_is_unpacked():
    bomb = gzip.compress(b"\0" * (200 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ChartError, match="unpacks to more than 32 MiB"):
            read_archive(bomb)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_in_a_vendored_chart_is_one_too():
    inner = pack({"sub/Chart.yaml": "{}", "sub/values.yaml": b"\0" * (20 << 20)})
    outer = chart("web", "1.0.0", {"charts/a-1.tgz": inner, "charts/b-1.tgz": inner})
    with pytest.raises(ChartError, match="unpacks to more than 32 MiB"):
        read_archive(outer)


def test_too_many_files_are_refused():
    with pytest.raises(ChartError, match="more than 4000 files"):
        read_archive(pack({f"web/{number}": b"" for number in range(4001)}))


def test_archives_in_archives_end_somewhere():
    data = chart("web", "1.0.0")
    for _ in range(8):
        data = chart("web", "1.0.0", {"charts/web-1.tgz": data})
    with pytest.raises(ChartError, match="more than 5 deep"):
        read_archive(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut short|no gzip"),
        (b"no gzip", "no gzip"),
        (gzip.compress(b"no tar file"), "broken"),
        (chart("web", "1.0.0")[:-12], "cut short"),
        (gzip.compress(b""), "broken|Chart.yaml"),
        (pack({"web/values.yaml": "a"}), "no Chart.yaml"),
        (pack({"Chart.yaml": "a"}), "beside the chart's folder"),
        (pack({"web/Chart.yaml": "{}", "other/Chart.yaml": "{}"}), "more than one folder"),
    ],
    ids=["empty", "text", "no-tar", "cut", "empty-gzip", "no-chart", "no-folder", "two-folders"],
)
def test_what_is_no_chart_is_said_so(data, said):
    with pytest.raises(ChartError, match=said):
        read_archive(data)


def test_a_file_that_is_there_twice_is_refused():
    with pytest.raises(ChartError, match="twice"):
        read_archive(pack_members([YAML, (member("web/a", size=1), b"1"), (member("web/a", size=1), b"2")]))


def test_every_truncation_and_bit_flip_is_an_error_or_a_chart():
    data = gzip.decompress(chart("web", "1.0.0", {"a": "b"}))
    for at in range(0, len(data), 7):
        broken = bytearray(data)
        broken[at] ^= 0x5A
        for raw in (bytes(broken), data[:at]):
            with contextlib.suppress(ChartError):
                assert "Chart.yaml" in read_archive(gzip.compress(raw, 1))


def test_vendored_archives_become_folders():
    sub = chart("sub", "1.0.0", {"templates/x.yaml": "x", "charts/deep-1.tgz": chart("deep", "1.0.0")})
    files = read_archive(chart("web", "1.0.0", {"charts/sub-1.0.0.tgz": sub, "files/other.tgz": b"data"}))
    assert {path for path in files if path.startswith("charts/")} == {
        "charts/sub-1.0.0/Chart.yaml",
        "charts/sub-1.0.0/templates/x.yaml",
        "charts/sub-1.0.0/charts/deep-1/Chart.yaml",
    }
    assert files["files/other.tgz"] == b"data"
    plain = {
        path: content.encode() if isinstance(content, str) else content
        for path, content in chart_files("web", "1.0.0", {"charts/sub-1.0.0.tgz": sub}).items()
    }
    assert unpack_charts(plain).keys() == files.keys() - {"files/other.tgz"}


def test_a_vendored_chart_that_lies_there_packed_and_unpacked_is_refused():
    with pytest.raises(ChartError, match="packed and unpacked"):
        read_archive(chart("web", "1.0.0", {"charts/sub.tgz": chart("sub", "1.0.0"), "charts/sub/Chart.yaml": "{}"}))


def test_what_is_written_anew_is_the_same_for_the_same_files_and_holds_nothing_else():
    files = {"templates/b.yaml": b"b", "Chart.yaml": b"{}", "templates/a.yaml": b"a"}
    packed = pack_archive("web", files)
    assert packed == pack_archive("web", dict(reversed(files.items())))
    assert read_archive(packed) == files
    with tarfile.open(fileobj=io.BytesIO(packed)) as written:
        assert [(info.name, info.mode, info.mtime, info.uid) for info in written] == [(f"web/{path}", 0o644, 0, 0) for path in sorted(files)]


def test_a_packed_archive_that_is_too_large_is_refused_unread(monkeypatch):
    monkeypatch.setattr(archive, "MOST_PACKED", 10)
    with pytest.raises(ChartError, match="larger"):
        read_archive(chart("web", "1.0.0"))
