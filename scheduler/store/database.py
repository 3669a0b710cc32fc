"""Store: an open database, its transactions, and how SQLite and PostgreSQL differ.

`Store(url)` opens one and is a SqliteStore or a PostgresStore. The differences are in their classes:
other files ask only for the properties below, such as `has_server`. schema.py and the migrations name both databases.

    what differs                  SqliteStore (sqlite.py)              PostgresStore (postgres.py)
    ------------                  -----------------------              ---------------------------
    has_server                    no: a file, or memory                yes: a clock, sessions, NOTIFY
    is_on_one_machine             yes: one clock, one process table    unknown
    has_single_writer             yes: BEGIN IMMEDIATE                 no: rows are locked
    must_be_polled                a file: no notification from others  no: LISTEN receives every change
    records_before_claims         no: idle timers are found fast       yes: finding them is slow
    lease, lease_renewals         60 s, renewed twice                  10 s, renewed four times
    files, is_in_place            the file and its journal             none; always in place
    check_in_place                saves a journal that was deleted     nothing to check
    own_connection                closed when a journal was saved      a session of its own
    close                         keeps the journal of others          nothing more
    writing_and_notifying         a datagram to each daemon            NOTIFY, sent by the commit
    cut                           an interrupt                         nothing: answers have a time limit
    acquire_mutex                 nothing: there is one writer         an advisory lock
    new_run_ids                   the highest id and up                a sequence
    prepare, run                  on the driver's connection           by SQLAlchemy
    compile_bulk, execute_bulk    fifty rows at a time, or executemany one statement on arrays
    is_among, list_parameter      json_each of a JSON text             = ANY of an array
    complaints                    SQLite's messages and meanings       PostgreSQL's messages and meanings
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler

from ..core.addresses import hide_passwords, without_password
from ..core.alerts import AlertRule, AlertRules
from ..errors import StoreError, StoreUnavailableError
from ..install import install_command
from . import schema
from .store_url import parse_url
from .transaction_watch import TransactionWatch, Unwatched
from .upgrade import check_unmigrated, check_upgrade, log_upgrade, upgrade, version_of

#: How long a write waits for another writer before the store counts as locked.
BUSY_TIMEOUT_S = 5.0
#: What a commit to a SQLite file survives: `power`, a power loss of the machine; `process`, a kill of processes.
DURABILITIES = ("power", "process")
#: How long a server may take to answer; a statement that takes longer fails, and its connection is closed.
TIMEOUT_S = 10.0


class Store:
    """An open store; safe to share between threads, never between processes.

    `url` is `sqlite:///path/to/file.db`, `sqlite://` (in memory, for tests), a bare path, or
    `postgresql://user@host/database`. Opening creates an empty store, or migrates an older one. A server that takes
    longer than `timeout_s` to answer counts as out of reach. `durability` is `power`, which syncs a SQLite file to the
    disk at each commit, or `process`, which leaves that to the system. Unless it `brings_up_to_date`, it creates and
    migrates nothing, and refuses a store without the tables of this version. `alerts` are the rules by which its
    transactions write alerts.

    Raises StoreVersionError for a store of a newer version and for a file that is not a store; StoreUnavailableError
    for one that is locked, read-only or out of reach.
    """

    #: SQLAlchemy's name of the database.
    backend: ClassVar[str]
    #: Whether the store is on a server: with its own clock, sessions that end with their client, LISTEN and NOTIFY.
    has_server: ClassVar[bool]
    #: Whether all programs that use the store run on one machine, with one clock and one process table.
    is_on_one_machine: ClassVar[bool]
    #: Whether a writing transaction excludes all others from its beginning; else it has to lock the rows that it reads.
    has_single_writer: ClassVar[bool]
    #: Whether a daemon records its results before it claims, because finding the due timers without an open run is
    #: slow.
    records_before_claims: ClassVar[bool]
    #: How long a daemon counts as alive after it last renewed its lease, and how often it renews it in that time.
    lease: ClassVar[timedelta]
    lease_renewals: ClassVar[int]
    #: A part of the database's message, the error to raise, and what it means for the user; the first match counts.
    complaints: ClassVar[tuple[tuple[str, type[StoreError], str], ...]]

    #: Whether other programs may change the store without a notification, so that it has to be polled.
    must_be_polled = False

    _classes: ClassVar[dict[str, type[Store]]] = {}

    def __init_subclass__(cls) -> None:
        if "backend" in cls.__dict__:
            Store._classes[cls.backend] = cls

    def __new__(cls, url: str | os.PathLike[str], **_: Any) -> Store:
        """An instance of the class of the database that `url` names."""
        return super().__new__(cls._classes[parse_url(url).get_backend_name()] if cls is Store else cls)

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        timeout_s: float = TIMEOUT_S,
        durability: str = "power",
        brings_up_to_date: bool = True,
        alerts: Iterable[AlertRule] = (),
    ) -> None:
        if durability not in DURABILITIES:
            raise StoreError(f"durability must be {' or '.join(DURABILITIES)}, got {durability!r}")
        self.url = parse_url(url)
        self.timeout_s = timeout_s
        self._busy_timeout_s = min(busy_timeout_s, timeout_s)
        self._durability = durability
        #: Which events its transactions write alerts of.
        self.alerts = AlertRules(alerts)
        #: Notified before and after each operation that may block, see `watched_by`.
        self.watch: TransactionWatch = Unwatched()
        #: Entered for the length of each statement on an `own_connection`.
        self.own_statements: AbstractContextManager[Any] = nullcontext()
        #: Entered for the length of each transaction.
        self._guard: AbstractContextManager[Any] = nullcontext()
        self._connect()
        try:
            self._bring_up_to_date(brings_up_to_date)
        except BaseException:
            self._engine.dispose()
            raise

    def _connect(self) -> None:
        """Connect for the first time, so that an error in a setting of the address is reported as such."""
        try:
            self._engine = self._make_engine()
            self._engine.connect().close()
        except (ImportError, NoSuchModuleError) as error:
            driver = self.url.drivername
            raise StoreError(f"no driver for {driver}: {install_command('postgres')} ({error})") from error
        except (TypeError, ValueError, ArgumentError) as error:
            raise StoreError(f"{self}: a setting in the address is wrong: {self._shown(error)}") from None
        except DBAPIError as error:
            if isinstance(error.orig, self._engine.dialect.loaded_dbapi.ProgrammingError):
                raise StoreError(f"{self}: a setting in the address is wrong: {self._shown(error.orig)}") from None
            self.raise_translated(error)

    def __str__(self) -> str:
        return without_password(self.url.render_as_string(hide_password=False))

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection, one in use when it is released; the store cannot be used afterwards."""
        event.listen(self._engine.pool, "checkin", _close_released)
        self._engine.dispose()

    # Transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose reads see one state of the store."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or rolls back when an exception leaves it."""
        with self._transaction(writes=True) as connection:
            yield connection

    def writing_and_notifying(self) -> AbstractContextManager[Connection]:
        """Like `writing`; after the commit, it wakes every daemon, because a timer or a run has changed."""
        raise NotImplementedError

    def watched_by(self, watch: TransactionWatch) -> Self:
        """The same open store for one thread, with `watch` on its transactions; closing this store closes it too."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view.watch = watch
        return view

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with self.watch, self._guard:
                self._check_journal()
                with self._engine.connect() as connection:
                    self.watch.uses(connection)
                    self._set_transaction_options(connection, writes=writes)
                    with connection.begin():
                        yield connection
        except DBAPIError as error:
            self._recover(error)
            self.raise_translated(error)

    def cut(self, connection: Connection) -> None:
        """From another thread: interrupt the statement that a connection runs, if the database can."""

    def _set_transaction_options(self, connection: Connection, *, writes: bool) -> None:
        """Set how the next transaction of a connection begins."""
        raise NotImplementedError

    def _recover(self, error: DBAPIError) -> None:
        """Prepare for the next transaction after an error."""

    def own_connection(self) -> Connection:
        """A connection for its caller only, in autocommit mode; closing it ends its session."""
        try:
            with self.watch:
                connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                connection.detach()
                return connection
        except DBAPIError as error:
            self.raise_translated(error)

    def acquire_mutex(self, connection: Connection) -> None:
        """Within a transaction that writes: wait until no other transaction that acquired the mutex is open."""
        raise NotImplementedError

    # Statements

    def new_run_ids(self, connection: Connection, count: int) -> Sequence[int]:
        """Ascending ids for new runs, for a transaction that writes."""
        raise NotImplementedError

    def prepare(self, statement: Any) -> Any:
        """A statement in the form that `run` takes; see statements.Query."""
        raise NotImplementedError

    def run(self, connection: Connection, prepared: Any, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """Run a prepared statement; returns its rows, empty for one that has none."""
        raise NotImplementedError

    def compile_bulk(
        self, statement: Any, names: Sequence[str], constants: dict[str, ColumnElement[Any]]
    ) -> SQLCompiler:
        """A statement for many rows, with parameters by position; see statements.Bulk."""
        raise NotImplementedError

    def execute_bulk(
        self, connection: Connection, text: str, order: tuple[int, ...], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Run a compiled statement for many rows; `order` has the index in a row of each of its parameters."""
        raise NotImplementedError

    def is_among(self, key: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        """The condition that a column's value is among those of one parameter; see statements.Among."""
        raise NotImplementedError

    def list_parameter(self, values: Sequence[int | str]) -> Any:
        """Values as that parameter."""
        raise NotImplementedError

    def _dialect(self, paramstyle: str) -> Dialect:
        """The database's dialect with another style of parameters: positional ones go straight to the driver."""
        dialect: Any = type(self._engine.dialect)
        made: Dialect = dialect(paramstyle=paramstyle)
        return made

    # The engine and its errors

    def _make_engine(self) -> Engine:
        raise NotImplementedError

    def _create_engine(self, **options: Any) -> Engine:
        # `store_of` finds the store of a connection by this option.
        return create_engine(self.url, execution_options={_STORE: self}, **options)

    @property
    def driver_error(self) -> type[Exception]:
        """The base class of the driver's errors, for callers that use its connection directly."""
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    def raise_translated(self, error: DBAPIError) -> NoReturn:
        """Translate a driver error, and raise it as a StoreError; IntegrityError is re-raised, because it is a bug."""
        message = self._shown(error.orig)
        if meaning := self._missing_right(error.orig):
            raise StoreUnavailableError(f"{self}: {meaning} ({message})") from error
        for sign, kind, meaning in self.complaints:
            if sign in message:
                raise kind(f"{self}: {meaning} ({message})") from error
        if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError, InternalError)):
            raise StoreUnavailableError(f"{self}: the store does not answer ({message})") from error
        raise error

    def _missing_right(self, error: BaseException | None) -> str | None:  # noqa: ARG002
        """What an administrator has to do about an error of the driver; None if there is nothing to do."""
        return None

    def _shown(self, error: BaseException | None) -> str:
        """A driver's message in one line, without passwords."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # If a host has several addresses, the first line says only that none of them works.
        line = " ".join(map(str.strip, lines)) if lines[0].endswith(":") else lines[0]
        return hide_passwords(line, self.url.render_as_string(hide_password=False))

    def check_writable(self) -> None:
        """Raise StoreUnavailableError for a store that is locked or read-only, before anything depends on it."""
        with self.writing() as connection:
            connection.execute(schema.daemons.delete().where(schema.daemons.c.id == -1))

    # The file

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the store; empty if they are unknown."""
        return ()

    @property
    def is_in_place(self) -> bool:
        """Whether the path still leads to the open file."""
        return True

    def check_in_place(self) -> None:
        """Raise StoreUnavailableError for a file that was deleted, moved or replaced: writes to it would be lost.

        The file that has replaced it is not opened, because SQLite would mix it with the journal of the missing one.
        """
        with self.watch:
            is_in_place = self.is_in_place
        if not is_in_place:
            raise StoreUnavailableError(
                f"{self}: the file was deleted, moved or replaced while in use, so nothing fires; put it back, "
                "or stop, put a backup in its place (or begin anew), remove its -wal and -shm, and start again"
            )

    def _check_journal(self) -> None:
        """Before a transaction: check that it does not commit to a deleted journal, which no other program can read."""

    # The version of the tables

    def version(self) -> str:
        """The version of its tables, which is that of this program, because opening migrates the store."""
        with self.reading() as connection:
            return str(version_of(connection))

    def check_version(self) -> None:
        """StoreMigratedError if a newer version has migrated the tables since this store was opened."""
        check_unmigrated(str(self), self.version())

    def _bring_up_to_date(self, brings_up_to_date: bool) -> None:
        """Create or migrate the tables, or refuse a store without those of this version."""
        with self.reading() as connection:
            version = version_of(connection)
        if version == schema.HEAD:
            return
        if version is not None or not brings_up_to_date:
            check_upgrade(str(self), version, upgrades=brings_up_to_date)
        with self.writing() as connection:
            self._wait_without_bound(connection)
            self.acquire_mutex(connection)
            upgrade(connection, str(self))
        if version is not None:
            log_upgrade(str(self), version)

    def _wait_without_bound(self, connection: Connection) -> None:
        """Remove the time limit of a transaction's statements, as a migration needs."""


_STORE = "scheduler_store"


def store_of(connection: Connection) -> Store:
    """The store that a connection belongs to."""
    store: Store = connection.get_execution_options()[_STORE]
    return store


def _close_released(_: object, entry: ConnectionPoolEntry) -> None:
    """Close a connection that comes back to a pool that was disposed of, which would keep it until it is collected."""
    entry.close()
