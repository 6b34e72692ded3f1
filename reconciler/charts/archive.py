"""Chart archives from strangers: read in bounds, refused as a whole for one bad member, and written anew with nothing but plain files."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from typing import Final

from reconciler.charts.protocol import ChartError
from reconciler.model.text import one_line

MOST_PACKED: Final = 16 << 20
MOST_BYTES: Final = 32 << 20
MOST_FILES: Final = 4000
_LONGEST_PATH: Final = 512
_DEEPEST: Final = 5  # archives in archives
_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)


class _Budget:
    """What all archives in one may still unpack to."""

    def __init__(self) -> None:
        self.bytes, self.files = MOST_BYTES, MOST_FILES

    def spend(self, size: int = 0) -> None:
        """One file more, and so many bytes."""
        self.bytes -= size
        self.files -= 1
        if self.bytes < 0:
            raise ChartError(f"its archive unpacks to more than {MOST_BYTES >> 20} MiB")
        if self.files < 0:
            raise ChartError(f"its archive holds more than {MOST_FILES} files")


def read_archive(data: bytes) -> dict[str, bytes]:
    """
    The files of a chart by path below its own folder (`Chart.yaml`, `templates/…`); archives in `charts/` are unpacked to folders beside them.

    Raises ChartError: more than 32 MiB or 4000 files, a link, a device, a path that leads out, one that is there twice, no `Chart.yaml`.
    """
    return _read(data, _Budget(), 0)


def unpack_charts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same for a chart that lies in a folder: archives in its `charts/` unpacked. Raises ChartError, as above."""
    budget = _Budget()
    for data in files.values():
        budget.spend(len(data))
    return _unpack_nested(dict(files), budget, 0)


def pack_archive(name: str, files: Mapping[str, bytes]) -> bytes:
    """The archive of those files: the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(files[path]), 0o644
            archive.addfile(member, io.BytesIO(files[path]))
    return gzip.compress(buffer.getvalue(), 6, mtime=0)


def _read(data: bytes, budget: _Budget, depth: int) -> dict[str, bytes]:
    if depth > _DEEPEST:
        raise ChartError(f"its archive holds archives more than {_DEEPEST} deep")
    files: dict[str, bytes] = {}
    tops: set[str] = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(_unzip(data, budget)), mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    budget.spend()
                    continue
                top, path = _path_of(member)
                budget.spend()
                tops.add(top)
                if len(tops) > 1:
                    raise ChartError("its archive holds more than one folder")
                if path in files:
                    raise ChartError(f"its archive holds {one_line(path, 80)} twice")
                content = archive.extractfile(member)
                files[path] = content.read() if content is not None else b""
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError, OSError) as error:
        raise ChartError("its archive is broken") from error
    if "Chart.yaml" not in files:
        raise ChartError("its archive holds no Chart.yaml in one folder at its top")
    return _unpack_nested(files, budget, depth)


def _unpack_nested(files: dict[str, bytes], budget: _Budget, depth: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path, data in files.items():
        folder, _, name = path.rpartition("/")
        if not name.endswith((".tgz", ".tar.gz")) or not _holds_charts(folder) or name.startswith(("_", ".")):
            found[path] = data
            continue
        stem = name.removesuffix(".tgz").removesuffix(".tar.gz")
        if any(other.startswith(f"{folder}/{stem}/") for other in files):
            raise ChartError(f"its archive holds {one_line(path, 80)} packed and unpacked")
        inner = _read(data, budget, depth + 1)
        found |= {f"{folder}/{stem}/{below}": content for below, content in inner.items()}
    return found


def _holds_charts(folder: str) -> bool:
    """Whether that is the folder of dependencies of a chart, or of one of its own dependencies."""
    parts = folder.split("/")
    return len(parts) % 2 == 1 and all(part == "charts" for part in parts[::2])


def _unzip(data: bytes, budget: _Budget) -> bytes:
    """The tar file. Not a byte more than the bound is unpacked."""
    if len(data) > MOST_PACKED:
        raise ChartError(f"its archive is larger than {MOST_PACKED >> 20} MiB")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(data, budget.bytes + 1)
    except zlib.error as error:
        raise ChartError("its archive is no gzip file") from error
    budget.spend(len(found))
    if not unpacker.eof:
        raise ChartError("its archive is cut short")
    return found


def _path_of(member: tarfile.TarInfo) -> tuple[str, str]:
    """The chart's folder, and the path below it. Raises ChartError for what is no plain file at a plain path."""
    shown = one_line(member.name, 80)
    if member.type not in _PLAIN:
        kind = "a link" if member.issym() or member.islnk() else "no plain file"
        raise ChartError(f"its archive holds {shown}, which is {kind}")
    parts = member.name.removeprefix("./").split("/")
    odd = any(part in ("", ".", "..") for part in parts) or not member.name.isprintable() or "\\" in member.name or ":" in parts[0]
    if odd or len(member.name) > _LONGEST_PATH:
        raise ChartError(f"its archive holds {shown}, which leads out of the chart or is no plain path")
    if len(parts) < 2:
        raise ChartError(f"its archive holds {shown} beside the chart's folder")
    return parts[0], "/".join(parts[1:])
