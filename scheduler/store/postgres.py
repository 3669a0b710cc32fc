"""PostgresStore: a store in a PostgreSQL database. A table in database.py shows how it differs from SQLite.

Programs on many machines read and write it at the same time, so a transaction locks the rows that it will change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, bindparam, column, event, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BindParameter

from ..errors import StoreUnavailableError
from .database import Store
from .postgres_rights import missing_right
from .statements import compiled
from .wake_socket import CHANNEL

#: After how long the server ends a session that is idle in a transaction, because it may lock due timers. On a busy
#: machine, a program may well get no processor for ten seconds; a migration computes much between its statements.
IDLE_TIMEOUT_S, IDLE_IN_MIGRATION_S = 30.0, 600.0
#: How long a connection may take, unless `timeout_s` is shorter, in whole seconds.
CONNECT_S = 5
#: How libpq detects that a server is unreachable, in seconds; by default it waits for hours.
REACH = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,  # the only one in milliseconds
    "application_name": "scheduler",
}


class PostgresStore(Store):
    """A database of a PostgreSQL server."""

    backend = "postgresql"
    has_server = True
    is_on_one_machine = False
    has_single_writer = False
    records_before_claims = True
    # Short, because only the lease shows that a daemon's machine is gone.
    lease = timedelta(seconds=10)
    lease_renewals = 4

    def _make_engine(self) -> Engine:
        reach = {**REACH, "connect_timeout": max(1, min(CONNECT_S, ceil(self.timeout_s)))}
        reach = {name: value for name, value in reach.items() if name not in self.url.query}
        engine = self._create_engine(pool_pre_ping=True, connect_args=reach)
        # Not the store: the dialect keeps this function, and SQLAlchemy's caches keep the last 128 dialects.
        timeout_s = self.timeout_s

        def connect(_dialect: object, _record: object, arguments: Any, named: dict[str, Any]) -> Any:
            from .bounded_connection import BoundedConnection

            connection = BoundedConnection.connect(*arguments, **named)
            connection.timeout_s = timeout_s
            return connection

        def prepare(connection: Any, _record: object) -> None:
            connection.execute(f"SET lock_timeout = {int(self._busy_timeout_s * 1000)}")
            connection.execute(f"SET idle_in_transaction_session_timeout = {int(IDLE_TIMEOUT_S * 1000)}")
            connection.commit()

        event.listen(engine, "do_connect", connect)
        event.listen(engine, "connect", prepare)
        return engine

    # Transactions

    def _set_transaction_options(self, connection: Connection, *, writes: bool) -> None:
        if not writes:
            connection.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def writing_and_notifying(self) -> Iterator[Connection]:
        with self.writing() as connection:
            yield connection
            connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def acquire_mutex(self, connection: Connection) -> None:
        # The number spells "quartz" in ASCII. The end of the transaction releases the lock.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(124748960003194)")

    def _wait_without_bound(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.timeout_s = None
        connection.exec_driver_sql(f"SET idle_in_transaction_session_timeout = {int(IDLE_IN_MIGRATION_S * 1000)}")
        # Detached, so that the pool gives this connection to no other transaction.
        connection.detach()

    # Statements

    def new_run_ids(self, connection: Connection, count: int) -> Sequence[int]:
        if count == 0:
            return []
        ids = connection.exec_driver_sql(
            "SELECT nextval(pg_get_serial_sequence('runs', 'id')) FROM generate_series(1, %s)", (count,)
        )
        return sorted(ids.scalars())

    def prepare(self, statement: Any) -> Any:
        return statement

    def run(self, connection: Connection, prepared: Any, parameters: Mapping[str, Any]) -> Sequence[Any]:
        result = connection.execute(prepared, parameters)
        return result.all() if result.returns_rows else []

    def compile_bulk(
        self, statement: Any, names: Sequence[str], constants: dict[str, ColumnElement[Any]]
    ) -> SQLCompiler:
        """A statement on a table of all rows, whose parameters are arrays, one for each column."""
        dialect = self._dialect("format")
        types = {name: bind.type for name, bind in compiled(statement, dialect, names).binds.items()}
        arrays = [bindparam(name, type_=ARRAY(types[name])) for name in names]
        table = func.unnest(*arrays).table_valued(*(column(name, types[name]) for name in names)).render_derived()
        if isinstance(statement, Insert):
            given = select(*(table.c[name] for name in names), *constants.values())
            return compiled(statement.from_select([*names, *constants], given), dialect)

        def of_table(element: Any, **_: Any) -> Any:
            return table.c[element.key] if isinstance(element, BindParameter) and element.key in types else None

        return compiled(visitors.replacement_traverse(statement, {}, of_table), dialect)

    def execute_bulk(
        self, connection: Connection, text: str, order: tuple[int, ...], rows: Sequence[tuple[Any, ...]]
    ) -> None:
        columns = list(zip(*rows, strict=True))
        connection.exec_driver_sql(text, tuple(list(columns[index]) for index in order))

    def is_among(self, key: ColumnElement[Any], parameter: str) -> ColumnElement[bool]:
        return key == func.any(bindparam(parameter, type_=ARRAY(key.type)))

    def list_parameter(self, values: Sequence[int | str]) -> list[int | str]:
        return list(values)

    def _missing_right(self, error: BaseException | None) -> str | None:
        return missing_right(str(error), getattr(error, "sqlstate", None), self.url.username)

    complaints = (
        (
            "idle-in-transaction timeout",
            StoreUnavailableError,
            f"this program did nothing for {IDLE_TIMEOUT_S:g} s within a transaction, which the server ended; "
            "is the machine overloaded, or was it suspended?",
        ),
        ("password authentication failed", StoreUnavailableError, "the server refuses this user or this password"),
        (
            "no password supplied",
            StoreUnavailableError,
            "the server requires a password: postgresql://USER:PASSWORD@HOST/DATABASE, or PGPASSWORD",
        ),
        ("no pg_hba.conf entry", StoreUnavailableError, "the server accepts no connection of this user from here"),
        ("lock timeout", StoreUnavailableError, "the store is locked by another program; try again when it is done"),
        ("read-only transaction", StoreUnavailableError, "the store is read-only; is this the primary server?"),
        ("No space left", StoreUnavailableError, "the disk is full; free some space"),
    )
