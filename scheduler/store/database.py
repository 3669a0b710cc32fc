"""The store: opening a database, its version, and transactions that raise errors of ours. SQLite and PostgreSQL.

What is kept in it lives in three rooms of their own: timetable.py (timers), claims.py (what a daemon does to them)
and history.py (runs and what they printed).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import StaticPool

from ..errors import StoreError, StoreUnavailableError, StoreVersionError
from . import schema

#: How long a write waits for another writer before the store is said to be locked.
BUSY_TIMEOUT_S = 5.0
#: When PostgreSQL gives up a session that stands still within a transaction: the timers that it holds are the others'.
IDLE_TIMEOUT_S = 5.0
#: How libpq finds out that a server is out of reach, in seconds; without these it waits for hours.
REACH = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,  # milliseconds, alone among its like
    "application_name": "scheduler",
}
#: A name of our own, so that the store may live in a database that an application migrates with Alembic too.
VERSION_TABLE = "scheduler_version"
MIGRATIONS = Path(__file__).with_name("migrations")


class Store:
    """An open store; safe to share between threads, never between processes.

    `url` is `sqlite:///path/to/file.db`, `sqlite://` (in memory, for tests), a bare path, or
    `postgresql://user@host/database`. Opening creates an empty store, or migrates an older one.

    Raises StoreVersionError for a store of a newer version and for a file that is no store; StoreUnavailableError for
    one that is locked, read-only or out of reach.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.url = _url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.in_memory = self.is_sqlite and self.url.database in (None, "", ":memory:")
        self._lock = threading.RLock()
        self._file = _file(self.url)
        try:
            self._engine = _engine(self.url, busy_timeout_s, in_memory=self.in_memory)
            # The first connection is made here, so that a wrong setting is not mistaken for anything else.
            self._engine.connect().close()
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self}: a setting in the address is wrong: {error}") from error
        except DBAPIError as error:
            raise_translated(error, self)
        try:
            self._bring_up_to_date()
        except BaseException:
            self._engine.dispose()
            raise
        self._opened = _identity(self._file)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the store cannot be used afterwards."""
        self._engine.dispose()

    @property
    def driver_error(self) -> type[Exception]:
        """What the driver's errors have in common, for those who use a connection of it."""
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    def version(self) -> str:
        """The version of its tables; that of this program, as opening it brings it up to date."""
        with self.reading() as connection:
            return str(_version(connection))

    def check_writable(self) -> None:
        """StoreUnavailableError for a store that is locked or read-only, before anything depends on it."""
        with self.writing() as connection:
            connection.execute(schema.daemons.delete().where(schema.daemons.c.id == -1))

    @property
    def files(self) -> tuple[Path, ...]:
        """What a SQLite store writes to: its file and the journal beside it; none of a store without a file."""
        if self._file is None:
            return ()
        # SQLite puts the journal where a symbolic link leads to.
        file = self._file.resolve()
        return file, file.with_name(f"{file.name}-wal")

    @property
    def is_in_place(self) -> bool:
        """Whether the path of a SQLite file still leads to the file that is open."""
        return _identity(self._file) == self._opened

    def check_in_place(self) -> None:
        """StoreUnavailableError for a file that was deleted, moved or replaced: what is written to it would be lost.

        What stands in its place is not opened, because SQLite would mix it with the journal of the file that is gone.
        """
        if not self.is_in_place:
            raise StoreUnavailableError(
                f"{self}: the file was deleted, moved or replaced while in use, so nothing fires; put it back, "
                "or stop, put a backup in its place, remove its -wal and -shm, and start again"
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose reads see one state of the store."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end, or undone when an exception leaves the block.

        SQLite takes its write lock at once, so that nobody can slip in between what was read and what is written.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    def own_connection(self) -> Connection:
        """A connection for its caller alone, in which each statement is a transaction; closing it ends its session."""
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            return connection
        except DBAPIError as error:
            raise_translated(error, self)

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        # One connection serves every thread of an in-memory store, so they take turns.
        guard: Any = self._lock if self.in_memory else nullcontext()
        try:
            with guard, self._engine.connect() as connection:
                connection.execution_options(writes=writes)
                if not writes and not self.is_sqlite:
                    connection.execution_options(isolation_level="REPEATABLE READ")
                with connection.begin():
                    yield connection
        except DBAPIError as error:
            if self._file is not None and "readonly" in str(error.orig):
                # A connection to a file that could not be written stays so, even when the file can be.
                self._engine.dispose()
            raise_translated(error, self)

    def _bring_up_to_date(self) -> None:
        with self.reading() as connection:
            version = _version(connection)
        if version == schema.HEAD:
            return
        if version is not None and version not in _known_versions():
            raise StoreVersionError(
                f"{self}: the store was written by a newer version of scheduler (its schema is {version!r}, this "
                f"version knows {schema.HEAD!r}); upgrade the package: pip install -U 'quartzcron[scheduler]'"
            )
        self._migrate()

    def _refuse_foreign_tables(self, connection: Connection) -> None:
        tables = set(inspect(connection).get_table_names())
        if tables & set(schema.metadata.tables):
            raise StoreVersionError(
                f"{self}: the database holds tables named {', '.join(sorted(tables)[:5])}, but no version of a "
                "scheduler store; choose another database"
            )

    def _migrate(self) -> None:
        # Alembic takes a quarter of a second to import; a store that is up to date never pays for it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        with self.writing() as connection:
            one_at_a_time(connection)
            # Another process may have made the store since we looked; then nothing is left to do.
            if _version(connection) is None:
                self._refuse_foreign_tables(connection)
            config.attributes.update(connection=connection, version_table=VERSION_TABLE)
            command.upgrade(config, "head")


def one_at_a_time(connection: Connection) -> None:
    """Within a transaction that writes: wait until nobody else is in one that asked for the same."""
    # Every writer of SQLite is alone anyway. The number is ours: "quartz" in ASCII.
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(124748960003194)")


def _url(text: str) -> URL:
    """The database's address; a bare path means a SQLite file."""
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        shown = re.sub(r"(?<=://)[^/@]*@", "…@", text)
        raise StoreError(f"{shown!r} is no store: expected a path, sqlite:///FILE or postgresql://…") from error
    if backend not in ("sqlite", "postgresql"):
        raise StoreError(f"{text!r}: a store is SQLite or PostgreSQL, not {backend!r}")
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    return url


def _file(url: URL) -> Path | None:
    """The SQLite file of an address, None where there is none, or SQLite alone can tell."""
    database = url.database or ":memory:"
    if url.get_backend_name() != "sqlite" or database == ":memory:" or database.startswith("file:"):
        return None
    return Path(database).absolute()


def _identity(file: Path | None) -> tuple[int, int] | None:
    """What tells a file from another of the same name, None where there is none."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _engine(url: URL, busy_timeout_s: float, *, in_memory: bool) -> Engine:
    try:
        if url.get_backend_name() != "sqlite":
            return _postgres_engine(url, busy_timeout_s)
        options: dict[str, Any] = {"connect_args": {"timeout": busy_timeout_s, "check_same_thread": False}}
        if in_memory:
            options["poolclass"] = StaticPool
        engine = create_engine(url, **options)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(f"no driver for {url.drivername}: pip install 'quartzcron[postgres]' ({error})") from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres_engine(url: URL, busy_timeout_s: float) -> Engine:
    reach = {name: value for name, value in REACH.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=reach)

    def prepare(connection: Any, _record: object) -> None:
        connection.execute(f"SET lock_timeout = {int(busy_timeout_s * 1000)}")
        connection.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_TIMEOUT_S * 1000)}")
        connection.commit()

    event.listen(engine, "connect", prepare)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver's guess
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA cache_size = -32000")
        cursor.execute("PRAGMA wal_autocheckpoint = 4000")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()


def _known_versions() -> set[str]:
    return {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


#: What the database says, and what it means for the user; the first match counts.
_COMPLAINTS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("database is locked", StoreUnavailableError, "the store is locked by another program; try again when it is done"),
    ("lock timeout", StoreUnavailableError, "the store is locked by another program; try again when it is done"),
    ("read-only transaction", StoreUnavailableError, "the store is read-only; is this the primary server?"),
    (
        "readonly",
        StoreUnavailableError,
        "the store is read-only; check the permissions of the file, its -wal and -shm, and their folder",
    ),
    ("not a database", StoreVersionError, "the file is not a database; name another file with --store"),
    ("malformed", StoreVersionError, "the database file is damaged; restore it from a backup"),
    (
        "unable to open",
        StoreUnavailableError,
        "the file cannot be opened; does its folder exist, and may it be written?",
    ),
    ("disk is full", StoreUnavailableError, "the disk is full; free some space"),
    ("No space left", StoreUnavailableError, "the disk is full; free some space"),
    ("disk I/O", StoreUnavailableError, "the disk does not answer as it should"),
)


def raise_translated(error: DBAPIError, store: Store) -> NoReturn:
    """Raise what a database's complaint means; a broken constraint keeps its own words, being an error of ours."""
    said = (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]
    for sign, kind, meaning in _COMPLAINTS:
        if sign in said:
            raise kind(f"{store}: {meaning} ({said})") from error
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError, InternalError)):
        raise StoreUnavailableError(f"{store}: the store does not answer ({said})") from error
    raise error
