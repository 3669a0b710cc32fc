"""SqliteStore: a store in a SQLite file, or in memory. A table in database.py shows how it differs from PostgreSQL.

Every program that uses the file runs on one machine. One program writes at a time; readers do not wait for it (WAL).
A commit is synced to the disk, unless `durability` says otherwise; PostgreSQL has a setting of its own for that.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import Enum
from functools import partial
from itertools import chain
from pathlib import Path
from socket import gethostname
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import ColumnElement, Connection, Engine, Text, bindparam, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import SQLCompiler

from ..errors import StoreUnavailableError, StoreVersionError
from .database import Store
from .schema import daemons, runs
from .sqlite_files import OpenFiles, create_for_owner
from .statements import Query, compiled
from .store_url import parse_url
from .wake_socket import wake

log = logging.getLogger("scheduler.sqlite")


class SqliteStore(Store):
    """A SQLite file, or, for tests, a database in memory that all threads share."""

    backend = "sqlite"
    has_server = False
    is_on_one_machine = True
    has_single_writer = True
    records_before_claims = False
    # Long, because other daemons see by its process that a daemon has ended, and a suspended laptop keeps its lease.
    lease = timedelta(seconds=60)
    lease_renewals = 2

    def __init__(self, url: str, **options: Any) -> None:
        #: The connections from `own_connection`, which are closed when the journal was lost.
        self._own: weakref.WeakSet[Connection] = weakref.WeakSet()
        #: The driver's connections.
        self._drivers: list[sqlite3.Connection] = []
        self._repair_lock = threading.RLock()
        #: None for a store in memory, and for an address with `file:`; known once it is open.
        self._open_files: OpenFiles | None = None
        #: Its path when it was opened; None for a store in memory, and for an address with `file:`.
        self._file: Path | None = None
        super().__init__(url, **options)
        self.own_statements = self._repair_lock
        self._open_files = OpenFiles(self._file) if self._file is not None else None

    def __str__(self) -> str:
        """The address with the whole path of the file, as it is; SQLAlchemy writes 中 as %E4%B8%AD."""
        database = self.url.database
        if not database or self.url.query:
            return super().__str__()
        # A server may have started this program in another folder than its user thinks, such as /.
        database = str(self._file or database)
        address = f"sqlite:///{database}"
        # In an address, %25 is a percent sign and ? begins settings; a path alone is an address, too.
        return address if parse_url(address).database == database else database

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
        event.listen(engine, "connect", self._note_driver)
        return engine

    def _keep_from_creating(self, _dialect: object, _record: object, given: list[Any], options: dict[str, Any]) -> None:
        """Prevent an open store from creating its file again: SQLite would apply the journal of the moved one to it."""
        if self._open_files is None:
            if self._file is not None:
                create_for_owner(self._file)
        else:
            given[0] = f"{self._open_files.file.as_uri()}?mode=rw"
            options["uri"] = True

    # Transactions

    def _set_transaction_options(self, connection: Connection, *, writes: bool) -> None:
        connection.execution_options(writes=writes)

    def _recover(self, error: DBAPIError) -> None:
        # A connection that found the file read-only stays read-only, even when the file is writable again.
        if self._file is not None and "readonly" in str(error.orig):
            self._engine.dispose()

    def cut(self, connection: Connection) -> None:
        # A statement that waits for a lock ends by itself; one that waits for a disk cannot be interrupted.
        driver: Any = connection.connection.dbapi_connection
        driver.interrupt()

    @contextmanager
    def writing_and_notifying(self) -> Iterator[Connection]:
        with self.writing() as connection:
            yield connection
        # Daemons of other hosts, such as containers that share the file, poll it.
        here = select(daemons.c.wake_port).where(daemons.c.host == gethostname())
        with self.reading() as connection:
            ports = list(connection.execute(here).scalars())
        for port in ports:
            wake(port)

    def acquire_mutex(self, connection: Connection) -> None:
        """Do nothing: BEGIN IMMEDIATE has waited already."""

    # Statements

    def new_run_ids(self, connection: Connection, count: int) -> Sequence[int]:
        # No other transaction can take the same ids, because this one holds the write lock.
        last = (_LAST_RUN_ID.tuples(connection)[0][0] or 0) if count else 0
        return range(last + 1, last + 1 + count)

    def prepare(self, statement: Any) -> _Prepared:
        sql = compiled(statement, self._dialect("qmark"))
        constants = {name: _plain(value) for name, value in sql.params.items()}
        return _Prepared(str(sql), tuple((name, constants.get(name)) for name in sql.positiontup or ()))

    def run(self, connection: Connection, prepared: _Prepared, parameters: Mapping[str, Any]) -> Sequence[Any]:
        values = [parameters.get(name, constant) for name, constant in prepared.parameters]
        driver: Any = connection.connection.dbapi_connection
        try:
            rows: list[Any] = driver.execute(prepared.text, values).fetchall()
        except sqlite3.Error as error:
            _raise_wrapped(connection, error, prepared.text)
        return rows

    def compile_bulk(
        self, statement: Any, names: Sequence[str], constants: dict[str, ColumnElement[Any]]
    ) -> SQLCompiler:
        return compiled(statement.values(constants) if constants else statement, self._dialect("qmark"), names)

    def execute_bulk(
        self, connection: Connection, text: str, order: tuple[int, ...], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        if order != tuple(range(len(rows[0]))):
            rows = [tuple([row[index] for index in order]) for row in rows]
        driver: Any = connection.connection.dbapi_connection
        try:
            done = self._insert_together(driver, text, rows)
            driver.executemany(text, rows[done:])
        except sqlite3.Error as error:
            _raise_wrapped(connection, error, text)

    @staticmethod
    def _insert_together(driver: Any, text: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert rows with one statement for many of them, which takes a fifth less; returns for how many it did."""
        each = min(_INSERT_TOGETHER, _MAX_PARAMETERS // len(rows[0]))
        insert, values, row = text.partition(_VALUES)
        # Nothing but the row: no ON CONFLICT behind it, and no SELECT.
        if len(rows) < each or row.count("(") != 1 or not row.endswith(")"):
            return 0
        together = insert + values + ", ".join([row] * each)
        done = len(rows) - len(rows) % each
        for start in range(0, done, each):
            driver.execute(together, tuple(chain.from_iterable(rows[start : start + each])))
        return done

    def is_among(self, key: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        values = func.json_each(bindparam(parameter, type_=Text)).table_valued("value")
        return key.in_(select(values.c.value))

    def list_parameter(self, values: Sequence[int | str]) -> str:
        return json.dumps(list(values))

    # The file

    @property
    def files(self) -> tuple[Path, ...]:
        """The file and the journal beside it; empty for a store in memory, and for an address with `file:`."""
        return self._open_files.paths if self._open_files is not None else ()

    @property
    def is_in_place(self) -> bool:
        return self._open_files is None or (self._open_files.is_in_place and not self._open_files.has_lost_journal())

    def check_in_place(self) -> None:
        with self.watch:
            if self._open_files is None or self._open_files.are_as_opened:
                return
            self._check_journal()
        super().check_in_place()

    def _check_journal(self) -> None:
        """Save the contents of a journal that was deleted or replaced, and reopen the store; an error if that fails.

        Called before every transaction, so that other programs can read what it commits.
        """
        files = self._open_files
        if files is None or not files.has_lost_journal():
            return
        with self._repair_lock:
            if not files.is_in_place or not files.has_lost_journal():
                return
            is_saved = files.is_saved()
            if not is_saved and files.is_alone() and self._copy_journal():
                files.retire()
                is_saved = True
            if not is_saved:
                raise StoreUnavailableError(
                    f"{self}: its -wal or -shm was deleted while in use, and another program has begun a new one, so "
                    "nothing fires here; stop every program that uses the store, and start again"
                )
            self._close_files(files)
            files.note_journal()
            log.warning("%s: its -wal or -shm was deleted while in use; saved its contents", self)

    def _close_files(self, files: OpenFiles) -> None:
        """Close every connection, but keep the journal that another program has begun."""
        try:
            with files.held():
                for connection in list(self._own):
                    with contextlib.suppress(Exception):
                        connection.connection.dbapi_connection.close()  # type: ignore[union-attr]
                self._engine.dispose()
        except OSError as error:
            raise StoreUnavailableError(f"{self}: the store cannot be reopened ({error})") from error

    def own_connection(self) -> Connection:
        connection = super().own_connection()
        self._own.add(connection)
        return connection

    def close(self) -> None:
        if self._open_files is not None and self._open_files.has_lost_journal():
            with contextlib.suppress(StoreUnavailableError):
                self._check_journal()
            if self._open_files.has_lost_journal():
                self._close_files(self._open_files)
        super().close()

    def _copy_journal(self) -> bool:
        """Copy the journal to the file, through a connection that has it open; False if that was not possible.

        A new connection would open a new journal.
        """
        for driver in self._drivers:
            with contextlib.suppress(sqlite3.Error):
                is_busy, frames, copied = driver.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
                if not is_busy and frames == copied:
                    return True
        return False

    def _note_driver(self, driver: sqlite3.Connection, _record: object) -> None:
        # In place, because views of this store share the list.
        self._drivers[:] = [each for each in self._drivers if _is_open(each)] + [driver]

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
            "the file cannot be opened; does its folder exist, and is it writable?",
        ),
        ("disk is full", StoreUnavailableError, "the disk is full; free some space"),
        ("disk I/O", StoreUnavailableError, "disk I/O error"),
    )


_LAST_RUN_ID = Query(select(func.max(runs.c.id)))


class _Prepared(NamedTuple):
    """The text of a statement, and its parameters in order, with the values of those that are constants."""

    text: str
    parameters: tuple[tuple[str, Any], ...]


def _plain(value: Any) -> Any:
    """A constant of a statement as the driver takes it fastest."""
    return value.value if isinstance(value, Enum) else value


#: How many rows one statement inserts, and the most parameters that it may have: older versions of SQLite refuse more.
_INSERT_TOGETHER, _MAX_PARAMETERS = 50, 999
#: What comes between the columns of an insert and its row.
_VALUES = " VALUES "


def _raise_wrapped(connection: Connection, error: sqlite3.Error, text: str) -> NoReturn:
    """Raise an error of the driver as SQLAlchemy does, for `_transaction`, which translates it."""
    dialect, driver = connection.dialect, connection.connection.dbapi_connection
    is_lost = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
    if is_lost:
        connection.invalidate(error)
    wrapped = DBAPIError.instance(
        text, None, error, sqlite3.Error, hide_parameters=True, connection_invalidated=is_lost, dialect=dialect
    )
    raise wrapped from error


#: Durability → when SQLite syncs the journal to the disk. FULL: at each commit, with the folder's entry of a new
#: journal. NORMAL: before and after a checkpoint, so that a power cut loses only the latest commits, in order. Only
#: macOS knows fullfsync: its fsync leaves data in the cache of the drive.
_SYNCS = {
    "power": ("synchronous = FULL", "fullfsync = ON", "checkpoint_fullfsync = ON"),
    "process": ("synchronous = NORMAL",),
}


def _prepare(syncs: Iterable[str], connection: sqlite3.Connection, _record: object) -> None:
    """Set up a new connection."""
    connection.isolation_level = None  # _begin begins transactions, instead of the driver's heuristics
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # Before the journal's mode, so that creating the file is durable too.
    for sync in syncs:
        cursor.execute(f"PRAGMA {sync}")
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA cache_size = -32000")
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        # Not the size that one large transaction has needed.
        cursor.execute("PRAGMA journal_size_limit = 67108864")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
    cursor.close()


def _begin(connection: Connection) -> None:
    # A writer takes the write lock at once, so that nothing changes between its reads and its writes.
    text = "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes", False) else "BEGIN"
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.execute(text)
    except sqlite3.Error as error:
        _raise_wrapped(connection, error, text)


def _file(database: str | None) -> Path | None:
    """The file of an address; None for memory, and for a URI, which only SQLite can read."""
    database = database or ":memory:"
    return None if database == ":memory:" or database.startswith("file:") else Path(database).absolute()


def _is_open(driver: sqlite3.Connection) -> bool:
    try:
        return driver.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False
