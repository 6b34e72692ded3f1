"""
The state file: one SQLite database that holds every object as JSON bytes.

A write is committed before it is answered. With a write-ahead log that is enough to survive `kill -9` of this process; a
power cut may lose the last moments, never the file's consistency (`synchronous=NORMAL`). The file is created for its owner
alone, because it holds Secrets, and it is locked by `flock` for as long as it is open (rule 3h).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.cluster.protocol import UnavailableError
from reconciler.model.names import GROUP, LABEL_APPLICATION, LABEL_NAMESPACE, LABEL_UID

MEMORY = ":memory:"
INDEXED_LABELS = frozenset({LABEL_APPLICATION, LABEL_NAMESPACE, LABEL_UID})
_DELETING = ""  # no label has an empty key: objects that are being deleted are found by it
_APPLICATION_ID = 0x72636E63  # "rcnc": tells our file from any other SQLite database
_LAYOUT = 1
# Bytes. A write touches five or six pages, mostly a few words of each, and all of them go to the log: with SQLite's pages of 4096 that
# was 128 KiB for one plain application, and the disk was waited for three times as long.
_PAGE = 1024
_LOG = 16 * 2**20  # of the log, until it is brought into the file

_TABLES = """
CREATE TABLE objects (id INTEGER PRIMARY KEY, grp TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX objects_key ON objects (grp, kind, namespace, name);
CREATE TABLE labels (key TEXT NOT NULL, value TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (key, value, id)) WITHOUT ROWID;
CREATE TABLE owners (uid TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (uid, id)) WITHOUT ROWID;
CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
INSERT INTO counter VALUES (1, 0);
"""


class StateError(Exception):
    """The state file cannot be used; the message says why and names the file."""


class StateLockedError(StateError):
    """Another process holds the state file."""


class Key(NamedTuple):
    """What identifies an object, whatever version it is written in."""

    group: str
    kind: str
    namespace: str
    name: str


START = Key("", "", "", "")


class Index(NamedTuple):
    """What is looked up besides the key: the indexed labels and the uids of the owners."""

    labels: frozenset[tuple[str, str]] = frozenset()
    owners: frozenset[str] = frozenset()


class Row(NamedTuple):
    key: Key
    body: bytes


class Storage:
    """Synchronous; each call takes well under a millisecond. One connection, one thread."""

    def __init__(self, path: str) -> None:
        """Opens and locks `path`, or keeps everything in memory for `:memory:`. Raises StateError, StateLockedError."""
        self._lock = -1 if path == MEMORY else _lock(Path(path))
        try:
            self._db = _open(path)
        except BaseException:
            self._unlock()
            raise
        self.version: int = self._db.execute("SELECT version FROM counter").fetchone()[0]

    def close(self) -> None:
        self._db.close()
        self._unlock()

    def _unlock(self) -> None:
        # After the database is closed, never before: closing any descriptor of the file drops SQLite's own locks.
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextmanager
    def write(self) -> Iterator[int]:
        """A transaction; yields the resourceVersion that it takes. Nothing is kept where the block raises."""
        version = self.version + 1
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield version
                self._db.execute("UPDATE counter SET version = ?", (version,))
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise UnavailableError(f"the state file cannot be written: {error}") from error
        self.version = version

    def insert(self, key: Key, body: bytes, index: Index) -> None:
        row = self._db.execute("INSERT INTO objects (grp, kind, namespace, name, body) VALUES (?, ?, ?, ?, ?)", (*key, body)).lastrowid
        assert row is not None
        self._add(row, index)

    def update(self, key: Key, body: bytes, old: Index, new: Index) -> None:
        if old == new:
            self._db.execute("UPDATE objects SET body = ? WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?", (body, *key))
            return
        row = self._row(key)
        self._db.execute("UPDATE objects SET body = ? WHERE id = ?", (body, row))
        self._remove(row, old)
        self._add(row, new)

    def delete(self, key: Key, index: Index) -> None:
        row = self._row(key)
        self._remove(row, index)
        self._db.execute("DELETE FROM objects WHERE id = ?", (row,))

    def get(self, key: Key) -> bytes | None:
        found = self._read("SELECT body FROM objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?", key)
        body: bytes | None = found[0][0] if found else None
        return body

    def page(self, kind: tuple[str, str] | None, namespace: str, label: tuple[str, str] | None, after: Key, limit: int) -> list[Row]:
        """
        Objects behind `after`, in the order of their keys. `kind`: (group, kind), or None for all kinds that a watch of all
        kinds tells of. `label`: an indexed one, or None; its value None asks only that it exists.
        """
        tables, where, values = "objects o", [], []
        if label is not None:
            tables, where, values = "labels l JOIN objects o ON o.id = l.id", ["l.key = ?"], [label[0]]
            if label[1] is not None:
                where, values = [*where, "l.value = ?"], [*values, label[1]]
        if kind is not None:
            where, values = [*where, "o.grp = ? AND o.kind = ?"], [*values, *kind]
        else:
            where, values = [*where, "o.grp <> ? AND o.kind NOT IN ('Event', 'Lease')"], [*values, GROUP]
        if namespace:
            where, values = [*where, "o.namespace = ?"], [*values, namespace]
        order = "o.namespace, o.name" if kind is not None else "o.grp, o.kind, o.namespace, o.name"
        behind = after[2:] if kind is not None else after
        marks = ", ".join("?" * len(behind))
        conditions = " AND ".join([*where, f"({order}) > ({marks})"])
        statement = f"SELECT o.grp, o.kind, o.namespace, o.name, o.body FROM {tables} WHERE {conditions} ORDER BY {order} LIMIT ?"  # noqa: S608 -- constants
        return _rows(self._read(statement, (*values, *behind, limit)))

    def inside(self, namespace: str, limit: int) -> list[Row]:
        """Objects of any kind in a namespace."""
        rows = self._read("SELECT grp, kind, namespace, name, body FROM objects WHERE namespace = ? LIMIT ?", (namespace, limit))
        return _rows(rows)

    def owned(self, uid: str, limit: int = -1) -> list[Row]:
        """Objects that name `uid` among their owners."""
        rows = self._read(
            "SELECT o.grp, o.kind, o.namespace, o.name, o.body FROM owners w JOIN objects o ON o.id = w.id WHERE w.uid = ? ORDER BY o.name LIMIT ?",
            (uid, limit),
        )
        return _rows(rows)

    def unsettled(self) -> list[Key]:
        """
        Objects that are being deleted, or have an owner that is not there: what garbage collection looks at after a restart.
        An owner that SQLite can't parse (nested too deeply for it) counts as not there: who looks finds it.
        """
        text = "CAST(body AS TEXT)"
        living = f"SELECT json_extract({text}, '$.metadata.uid') FROM objects WHERE json_valid({text})"  # noqa: S608 -- constants
        wanted = f"SELECT id FROM labels WHERE key = ? UNION SELECT id FROM owners WHERE uid NOT IN ({living})"  # noqa: S608 -- constants
        rows = self._read(f"SELECT grp, kind, namespace, name FROM objects WHERE id IN ({wanted})", (_DELETING,))  # noqa: S608 -- constants
        return [Key(*row) for row in rows]

    def keys(self, group: str, kind: str) -> list[Key]:
        rows = self._read("SELECT grp, kind, namespace, name FROM objects WHERE grp = ? AND kind = ? ORDER BY namespace, name", (group, kind))
        return [Key(*row) for row in rows]

    def _read(self, statement: str, values: Iterable[object]) -> list[Any]:
        try:
            return self._db.execute(statement, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise UnavailableError(f"the state file cannot be read: {error}") from error

    def _row(self, key: Key) -> int:
        found = self._db.execute("SELECT id FROM objects WHERE grp = ? AND kind = ? AND namespace = ? AND name = ?", key).fetchone()
        row: int = found[0]
        return row

    def _add(self, row: int, index: Index) -> None:
        for key, value in index.labels:
            self._db.execute("INSERT INTO labels VALUES (?, ?, ?)", (key, value, row))
        for uid in index.owners:
            self._db.execute("INSERT INTO owners VALUES (?, ?)", (uid, row))

    def _remove(self, row: int, index: Index) -> None:
        for key, value in index.labels:
            self._db.execute("DELETE FROM labels WHERE key = ? AND value = ? AND id = ?", (key, value, row))
        for uid in index.owners:
            self._db.execute("DELETE FROM owners WHERE uid = ? AND id = ?", (uid, row))


def indexed(labels: Mapping[str, str], owners: Iterable[str], *, deleting: bool) -> Index:
    """The index entries of an object with these labels and owner uids."""
    entries = {(key, value) for key, value in labels.items() if key in INDEXED_LABELS}
    if deleting:
        entries.add((_DELETING, ""))
    return Index(frozenset(entries), frozenset(owners))


def _rows(rows: list[Any]) -> list[Row]:
    return [Row(Key(*row[:4]), row[4]) for row in rows]


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"the state file {path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StateLockedError(f"the state file {path} is in use by another reconciler; stop that one, or give this one its own --state") from error
    return descriptor


def _open(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, cached_statements=64)
    try:
        # Exclusive: no other process may write anyway, and it spares the lock calls of each transaction.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (layout,) = db.execute("PRAGMA user_version").fetchone()
        (owner,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and owner != _APPLICATION_ID:
            raise StateError(f"{path} is another program's database, not a state file")
        if layout > _LAYOUT:
            raise StateError(f"the state file {path} was written by a newer version (layout {layout}, this one knows {_LAYOUT})")
        db.execute(f"PRAGMA page_size = {_PAGE}")  # of a new file
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG // _PAGE}")
        if not tables:
            db.executescript(f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {_LAYOUT}; COMMIT;")
    except sqlite3.Error as error:
        db.close()
        raise StateError(f"the state file {path} cannot be opened: {error}") from error
    except StateError:
        db.close()
        raise
    return db
