"""The file of the digest: where it is, its tables, and opening it. It may be deleted at any time."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ...core.run import Outcome
from ...project.data_folder import OWN_FOLDER
from ...store.database import Store

#: The numbers of outcomes in the file are their places here.
OUTCOMES = tuple(Outcome)
#: The outcomes of runs that went wrong.
FAILURES = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED)
#: How long a statement waits for the process of another console.
_BUSY_S = 5.0
_NAME = "console.db"

_RUN = """
    timer INTEGER NOT NULL, fire_at INTEGER NOT NULL, outcome INTEGER, count INTEGER NOT NULL,
    took_ms INTEGER, late_ms INTEGER"""
_TABLES = f"""
CREATE TABLE state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE unread (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, seen_at INTEGER NOT NULL);
CREATE TABLE timers (id INTEGER PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (environment, name));
CREATE TABLE unsettled (run_id INTEGER PRIMARY KEY, {_RUN});
CREATE INDEX unsettled_by_timer ON unsettled (timer);
CREATE TABLE path (run_id INTEGER NOT NULL, {_RUN}, PRIMARY KEY (timer, run_id)) WITHOUT ROWID;
CREATE INDEX path_failures ON path (run_id)
    WHERE outcome IN ({", ".join(str(OUTCOMES.index(outcome)) for outcome in FAILURES)});
CREATE TABLE tally (hour INTEGER NOT NULL, environment TEXT NOT NULL, outcome INTEGER NOT NULL, fires INTEGER NOT NULL,
    PRIMARY KEY (hour, environment, outcome)) WITHOUT ROWID;
CREATE TABLE spread (hour INTEGER NOT NULL, environment TEXT NOT NULL, measure TEXT NOT NULL, bucket INTEGER NOT NULL,
    runs INTEGER NOT NULL, PRIMARY KEY (hour, environment, measure, bucket)) WITHOUT ROWID;
CREATE TABLE failures (day INTEGER NOT NULL, timer INTEGER NOT NULL, fires INTEGER NOT NULL,
    PRIMARY KEY (day, timer)) WITHOUT ROWID;
CREATE TABLE tops (day INTEGER NOT NULL, environment TEXT NOT NULL, measure TEXT NOT NULL, timer INTEGER NOT NULL,
    ms INTEGER NOT NULL, PRIMARY KEY (day, environment, measure, timer)) WITHOUT ROWID;
"""
#: Differs for other tables and other outcomes; a file of another version is made anew.
_VERSION = zlib.crc32(f"{_TABLES}{','.join(OUTCOMES)}".encode()) >> 1


class DigestFile:
    """The file of one store's digest."""

    def __init__(self, store: Store) -> None:
        self.path = next((path for path in _places(store) if self._can_use(path)), None) or self._temporary_place()

    def _can_use(self, path: Path) -> bool:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._connection(path):
                return True
        except (OSError, sqlite3.Error):
            return False

    def _temporary_place(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="scheduler-console-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder / _NAME

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection whose reads see one state."""
        with self._connection(self.path) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, the only one of all consoles that writes."""
        with self._connection(self.path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self, path: Path) -> Iterator[sqlite3.Connection]:
        with closing(_open(path)) as connection:
            if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                _make_tables(connection)
            yield connection

    def discard(self) -> None:
        """Delete the file, as it may be damaged; the next use makes a new one."""
        with suppress(FileNotFoundError):
            self.path.unlink()


def _places(store: Store) -> Iterator[Path]:
    """Where the file may be: in the project's own folder beside the store, or else in the user's cache folder."""
    if not store.files and not store.has_server:
        return
    if store.files and store.files[0].parent.name == OWN_FOLDER and store.files[0].name == "store.db":
        yield store.files[0].with_name(_NAME)
    with suppress(RuntimeError):  # a user without a home
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        address = str(store.files[0].resolve()) if store.files else str(store)
        yield cache / "scheduler" / f"console-{hashlib.sha256(address.encode()).hexdigest()[:16]}.db"


def _open(path: Path) -> sqlite3.Connection:
    # Others must not read it: it has the names of timers.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        # What a power loss damages is read again.
        connection.execute("PRAGMA synchronous = OFF")
        # The runs of a portion belong to many timers, so they are entered all over the file.
        connection.execute("PRAGMA cache_size = -16000")
    except sqlite3.Error:  # it is no database
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE "{name}"')
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


def clear(connection: sqlite3.Connection) -> None:
    """Forget everything, for another store at the same place."""
    for table in ("state", "unread", "gaps", "timers", "unsettled", "path", "tally", "spread", "failures", "tops"):
        connection.execute(f"DELETE FROM {table}")
