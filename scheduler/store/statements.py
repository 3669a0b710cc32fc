"""Bulk, Among and Query: statements that SQLAlchemy compiles once, and that go straight to the driver.

SQLAlchemy's own executemany takes 7 µs a row to arrange the parameters by name, more than SQLite takes to store them;
and each of its statements takes 40 µs more than SQLite's driver does. PostgreSQL gets many rows as arrays, one for each
column, in one statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Executable, literal_column
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from .database import Store, store_of


class Bulk:
    """A statement with tuples of parameters in the order of `names`; no two of them may affect the same row.

    For an insert, `constants` are further columns and the SQL of their value, the same in every row: each constant that
    is not a parameter saves a tenth of a microsecond a row.
    """

    def __init__(self, statement: Executable, names: Sequence[str], constants: Mapping[str, str] | None = None) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._constants: dict[str, ColumnElement[Any]] = {
            name: literal_column(sql) for name, sql in (constants or {}).items()
        }
        #: By database: the SQL, and the index in a row of each of its parameters.
        self._compiled: dict[type[Store], tuple[str, tuple[int, ...]]] = {}

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement for each row; each is a tuple of plain values (int, str, float, bool, None)."""
        if not rows:
            return
        store = store_of(connection)
        text, order = self._compiled.get(type(store)) or self._compile(store)
        store.execute_bulk(connection, text, order, rows)

    def _compile(self, store: Store) -> tuple[str, tuple[int, ...]]:
        sql = store.compile_bulk(self._statement, self._names, self._constants)
        order = tuple(self._names.index(name) for name in sql.positiontup or ())
        self._compiled[type(store)] = str(sql), order
        return self._compiled[type(store)]


class Query:
    """A query for the statements of every claim; parameters are plain values."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        #: By database.
        self._prepared: dict[type[Store], Any] = {}

    def tuples(self, connection: Connection, **parameters: Any) -> Sequence[Any]:
        """The rows as the driver gives them, without the conversions of SQLAlchemy's types."""
        store = store_of(connection)
        prepared = self._prepared.get(type(store))
        if prepared is None:
            prepared = self._prepared[type(store)] = store.prepare(self.statement)
        return store.run(connection, prepared, parameters)


class Among:
    """A statement about the rows whose `key` is among any number of values, which are one parameter."""

    def __init__(self, statement: Any, key: ColumnElement[Any]) -> None:
        self._statement = statement
        self._key = key
        #: By database, because each has its own type of list.
        self._complete: dict[type[Store], Executable] = {}
        self._prepared: dict[type[Store], Any] = {}

    def execute(self, connection: Connection, values: Sequence[int | str], **parameters: Any) -> CursorResult[Any]:
        """Run a statement that writes; `parameters` are its own."""
        store = store_of(connection)
        return connection.execute(self._completed(store), {**parameters, _VALUES: store.list_parameter(values)})

    def rows(self, connection: Connection, values: Sequence[int | str], **parameters: Any) -> Sequence[Any]:
        """The rows of a query, as SQLAlchemy gives them; empty if there are no values."""
        return self.execute(connection, values, **parameters).all() if values else []

    def tuples(self, connection: Connection, values: Sequence[int | str], **parameters: Any) -> Sequence[Any]:
        """The rows as the driver gives them, as those of a Query; empty if there are no values, or it has no rows."""
        if not values:
            return []
        store = store_of(connection)
        prepared = self._prepared.get(type(store))
        if prepared is None:
            prepared = self._prepared[type(store)] = store.prepare(self._completed(store))
        return store.run(connection, prepared, {**parameters, _VALUES: store.list_parameter(values)})

    def _completed(self, store: Store) -> Executable:
        statement = self._complete.get(type(store))
        if statement is None:
            statement = self._complete[type(store)] = self._statement.where(store.is_among(self._key, _VALUES))
        return statement


_VALUES = "wanted"


def compiled(statement: Any, dialect: Dialect, names: Sequence[str] | None = None) -> SQLCompiler:
    """A statement compiled for a dialect; `names` are the columns of an insert."""
    sql = statement.compile(dialect=dialect, column_keys=names and list(names))
    assert isinstance(sql, SQLCompiler)
    return sql
