"""
Git trees from their raw bytes: parse, compare, write.

The bytes come from whoever may push, so nothing here trusts a name: one that is not plain printable text is escaped in a way
that keeps different names different, and what `git fsck` calls corrupt is an error, never a guess (rule 1a).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from reconciler.source.protocol import Blob, Change, UnreadableError

TREE = 0o040000
FILE = 0o100644
ORDINARY = frozenset({FILE, 0o100755})
# Linux has about 90,000 files. A tree of trees that name one another grows as a power of its depth: both are bounded.
MAX_ENTRIES = 1_000_000
MAX_DEPTH = 256

_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)


class Entry(NamedTuple):
    """One line of a tree. `raw`: its name as git stores it."""

    raw: bytes
    mode: int
    oid: str

    @property
    def blob(self) -> Blob:
        return Blob(self.oid, self.mode)


Folder = Mapping[str, Entry]
Load = Callable[[str], Folder]
Store = Callable[[bytes], str]
_EMPTY: Folder = {}


def parse(data: bytes, oid: str) -> dict[str, Entry]:
    """The entries of a tree object by shown name. Raises UnreadableError where it is malformed or holds a name twice."""
    entries: dict[str, Entry] = {}
    end = 0
    for match in _ENTRY.finditer(data):
        if match.start() != end:
            break
        end = match.end()
        name = show(match[2])
        if name in entries:
            raise UnreadableError(f"tree {oid} holds the name {name!r} twice: the repository is corrupt (git fsck)")
        entries[name] = Entry(match[2], int(match[1], 8), match[3].hex())
    if end != len(data):
        raise UnreadableError(f"tree {oid} is malformed at byte {end}: the repository is corrupt (git fsck)")
    return entries


def show(raw: bytes) -> str:
    r"""
    A name as text: itself when it is printable, else with `\xNN` and `\uNNNN` for what is not, and `\\` for a backslash.

    The answer is never `.` or `..`, holds no `/`, no control character and no lone surrogate; different names stay different.
    """
    name = raw.decode("utf-8", "surrogateescape")
    if name.isprintable() and "\\" not in name and "/" not in name and name not in {".", ".."}:
        return name
    if name in {".", ".."}:
        return name.replace(".", "\\x2e")
    return "".join(char if char.isprintable() and char not in "\\/" else _escape(char) for char in name)


def _escape(char: str) -> str:
    if char == "/":
        return "\\x2f"
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def find(root: str, path: str, load: Load) -> Entry | None:
    """The entry at exactly `path` below the tree `root`, a folder included; None where there is none."""
    entry = Entry(b"", TREE, root)
    for part in path.split("/") if path else ():
        if entry.mode != TREE:
            return None
        found = load(entry.oid).get(part)
        if found is None:
            return None
        entry = found
    return entry


def walk(old: Entry | None, new: Entry | None, prefix: str, load: Load) -> Iterator[Change]:
    """
    What differs between two entries at the path `prefix`, sorted within each folder. Folders of one id are never opened.

    Raises UnreadableError beyond `MAX_DEPTH`, or when the folders that differ hold more than `MAX_ENTRIES` entries.
    """
    seen = 0

    def bounded(oid: str) -> Folder:
        nonlocal seen
        folder = load(oid)
        seen += 1 + len(folder)
        if seen > MAX_ENTRIES:
            raise UnreadableError(f"more than {MAX_ENTRIES} entries below {prefix or 'the top'}: name a smaller path")
        return folder

    pending = [(old, new, prefix, 0)]  # the last one is next; one loop for all, since a repository may have 200,000 files
    while pending:
        before, after, path, depth = pending.pop()
        if before is not None and after is not None and before[1:] == after[1:]:
            continue
        if depth > MAX_DEPTH:
            raise UnreadableError(f"folders are nested more than {MAX_DEPTH} deep at {path[:80]}…")
        old_tree, new_tree = before is not None and before.mode == TREE, after is not None and after.mode == TREE
        old_blob = before.blob if before is not None and not old_tree else None
        new_blob = after.blob if after is not None and not new_tree else None
        if old_blob != new_blob:
            yield Change(path, old_blob, new_blob)
        if old_tree or new_tree:
            was = bounded(before.oid) if before is not None and old_tree else _EMPTY
            now = bounded(after.oid) if after is not None and new_tree else _EMPTY
            above = f"{path}/" if path else ""
            pending += [(was.get(name), now.get(name), above + name, depth + 1) for name in sorted(_differing(was, now), reverse=True)]


def _differing(before: Folder, after: Folder) -> Iterable[str]:
    if not before or not after:
        return before or after
    return {name for name, entry in after.items() if before.get(name) != entry} | (before.keys() - after.keys())


def rewrite(root: str, edit: Mapping[str, str | None], load: Load, store: Store) -> str:
    """
    The id of the tree `root` with `edit` (path to blob id, or None to remove) in it; only touched folders are written.

    A folder left empty goes. Raises ValueError for a path that no commit may write (`checked`), UnreadableError where what
    stands at a path is not an ordinary file.
    """
    written = _rewrite(root, [(checked(path).split("/"), oid) for path, oid in edit.items()], "", load, store)
    return written if written is not None else store(b"")


def _rewrite(oid: str | None, edits: list[tuple[list[str], str | None]], where: str, load: Load, store: Store) -> str | None:
    entries = dict(load(oid)) if oid else {}
    below: dict[str, list[tuple[list[str], str | None]]] = {}
    for (name, *rest), content in edits:
        if rest:
            below.setdefault(name, []).append((rest, content))
            continue
        there = entries.get(name)
        if there is not None and there.mode not in ORDINARY:
            raise UnreadableError(f"{where}{name} is not an ordinary file, it is left alone")
        if content is None:
            entries.pop(name, None)
        else:
            entries[name] = Entry(name.encode(), there.mode if there else FILE, content)
    for name, inner in below.items():
        there = entries.get(name)
        if there is not None and there.mode != TREE:
            raise UnreadableError(f"{where}{name} is a file, not a folder")
        folder = _rewrite(there.oid if there else None, inner, f"{where}{name}/", load, store)
        if folder is None:
            entries.pop(name, None)
        else:
            entries[name] = Entry(there.raw if there else name.encode(), TREE, folder)
    if oid and entries == load(oid):
        return oid
    return store(serialise(entries.values())) if entries else None


def serialise(entries: Iterable[Entry]) -> bytes:
    """A tree object's bytes, in git's order: folders sort as if their names ended in `/`."""
    ordered = sorted(entries, key=lambda entry: entry.raw + b"/" if entry.mode == TREE else entry.raw)
    return b"".join(b"%o %s\0%s" % (entry.mode, entry.raw, bytes.fromhex(entry.oid)) for entry in ordered)


def checked(path: str) -> str:
    """`path` if a commit may write it, else ValueError: relative, no empty part, `.`, `..`, `.git`, backslash or control character."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts) or "\\" in path or not path.isprintable():
        raise ValueError(f"not a path that a commit may write: {path!r:.200}")
    return path


def normalise(paths: Iterable[str]) -> tuple[str, ...]:
    """
    Paths of a source: sorted, none below another; `""` and `.` are the whole repository and so the only one.

    Raises ValueError for an absolute one and for `..`.
    """
    plain = set()
    for path in paths:
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if path.startswith("/") or ".." in parts:
            raise ValueError(f"not a path within the repository: {path!r:.200} (relative to its top, without ..)")
        plain.add("/".join(parts))
    if not plain or "" in plain:
        return ("",)
    return tuple(sorted(path for path in plain if not any(path.startswith(other + "/") for other in plain)))
