"""A store in a SQLite file, or in memory. How it differs from PostgreSQL stands in a table in database.py.

Every program that uses the file runs on one machine. One program writes at a time; readers do not wait for it (WAL).
A commit is synced to the disk, unless `durability` says otherwise; PostgreSQL has a setting of its own for that.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Text, bindparam, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import SQLCompiler

from ..errors import StoreUnavailableError, StoreVersionError
from .database import Store
from .schema import daemons, runs
from .statements import compiled
from .wake_socket import wake


class SqliteStore(Store):
    """A SQLite file, or, for tests, a database in memory that all threads share."""

    backend = "sqlite"
    has_server = False
    is_on_one_machine = True
    has_single_writer = True
    records_before_claims = False
    # Long, because the end of a daemon is seen by its process; a sleeping laptop keeps its lease.
    lease = timedelta(seconds=60)
    lease_renewals = 2

    #: What distinguishes the file that it opened, None until then.
    _opened: tuple[int, int] | None = None

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._opened = _identity(self._file)

    def _make_engine(self) -> Engine:
        in_memory = self.url.database in (None, "", ":memory:")
        self.must_be_polled = not in_memory
        self._file = _file(self.url.database)
        options: dict[str, Any] = {"connect_args": {"timeout": self._busy_timeout_s, "check_same_thread": False}}
        if in_memory:
            # One connection serves every thread, so transactions take turns.
            self._guard = threading.RLock()
            options["poolclass"] = StaticPool
        engine = self._create_engine(**options)
        event.listen(engine, "connect", partial(_prepare, _SYNCS[self._durability]))
        event.listen(engine, "begin", _begin)
        event.listen(engine, "do_connect", self._keep_from_creating)
        return engine

    def _keep_from_creating(self, _dialect: object, _record: object, given: list[Any], options: dict[str, Any]) -> None:
        """Let a store that is open make no file anew: the journal of one that was moved away would be put into it."""
        if self._opened is not None and self._file is not None:
            given[0] = f"{self._file.as_uri()}?mode=rw"
            options["uri"] = True

    # Transactions

    def _set_transaction_options(self, connection: Connection, *, writes: bool) -> None:
        connection.execution_options(writes=writes)

    def _recover(self, error: DBAPIError) -> None:
        # A connection to a file that could not be written stays read-only, even when the file can be written again.
        if self._file is not None and "readonly" in str(error.orig):
            self._engine.dispose()

    def cut(self, connection: Connection) -> None:
        # A statement that waits for a lock ends by itself, and one that waits for a disk cannot be ended.
        driver: Any = connection.connection.dbapi_connection
        driver.interrupt()

    @contextmanager
    def writing_and_notifying(self) -> Iterator[Connection]:
        with self.writing() as connection:
            yield connection
        # Daemons of other hosts, that is containers which share the file, poll it.
        here = select(daemons.c.wake_port).where(daemons.c.host == gethostname())
        with self.reading() as connection:
            ports = list(connection.execute(here).scalars())
        for port in ports:
            wake(port)

    def acquire_mutex(self, connection: Connection) -> None:
        """Nothing to wait for: BEGIN IMMEDIATE has waited already."""

    # Statements

    def new_run_ids(self, connection: Connection, count: int) -> Sequence[int]:
        # No other transaction can take the same ids, because this one holds the write lock.
        last = (connection.execute(_LAST_RUN_ID).scalar() or 0) if count else 0
        return range(last + 1, last + 1 + count)

    def compile_bulk(
        self, statement: Any, names: Sequence[str], constants: dict[str, ColumnElement[Any]]
    ) -> SQLCompiler:
        return compiled(statement.values(constants) if constants else statement, self._dialect("qmark"), names)

    def execute_bulk(
        self, connection: Connection, text: str, order: tuple[int, ...], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        if order != tuple(range(len(rows[0]))):
            rows = [tuple([row[index] for index in order]) for row in rows]
        connection.exec_driver_sql(text, list(rows))

    def is_among(self, key: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        values = func.json_each(bindparam(parameter, type_=Text)).table_valued("value")
        return key.in_(select(values.c.value))

    def list_parameter(self, values: Sequence[int | str]) -> str:
        return json.dumps(list(values))

    # The file

    @property
    def files(self) -> tuple[Path, ...]:
        """The file and the journal beside it; empty for a store in memory, and for an address with `file:`."""
        if self._file is None:
            return ()
        # SQLite puts the journal where a symbolic link leads to.
        file = self._file.resolve()
        return file, file.with_name(f"{file.name}-wal")

    @property
    def is_in_place(self) -> bool:
        return _identity(self._file) == self._opened

    complaints = (
        (
            "database is locked",
            StoreUnavailableError,
            "the store is locked by another program; try again when it is done",
        ),
        (
            "readonly",
            StoreUnavailableError,
            "the store is read-only; check the permissions of the file, its -wal and -shm, and their folder",
        ),
        ("interrupted", StoreUnavailableError, "a statement took too long"),
        ("not a database", StoreVersionError, "the file is not a database; name another file with --store"),
        ("malformed", StoreVersionError, "the database file is damaged; restore it from a backup"),
        (
            "unable to open",
            StoreUnavailableError,
            "the file cannot be opened; does its folder exist, and may it be written?",
        ),
        ("disk is full", StoreUnavailableError, "the disk is full; free some space"),
        ("disk I/O", StoreUnavailableError, "disk I/O error"),
    )


_LAST_RUN_ID = select(func.max(runs.c.id))


#: Durability → when SQLite has the system write the journal to the disk. FULL: at each commit, and the folder's entry
#: of a new journal with it. NORMAL: before and after a checkpoint, so that what a power cut undoes is undone in order.
#: Only macOS knows fullfsync: its fsync leaves data in the cache of the drive.
_SYNCS = {
    "power": ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON"),
    "process": ("synchronous = NORMAL",),
}


def _prepare(syncs: Iterable[str], connection: sqlite3.Connection, _record: object) -> None:
    """Set up a new connection."""
    connection.isolation_level = None  # transactions are begun by _begin, not by the driver's guess
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # Before the journal's mode, so that the file itself is created durably, too.
    for sync in syncs:
        cursor.execute(f"PRAGMA {sync}")
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA cache_size = -32000")
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the write lock at once, so that nothing changes between what it reads and what it writes.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _file(database: str | None) -> Path | None:
    """The file of an address; None for memory, and for a URI, which only SQLite can read."""
    database = database or ":memory:"
    return None if database == ":memory:" or database.startswith("file:") else Path(database).absolute()


def _identity(file: Path | None) -> tuple[int, int] | None:
    """What distinguishes a file from another of the same name, None for a missing one."""
    if file is None:
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
