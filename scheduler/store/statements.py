"""Statements for many rows at once. SQLAlchemy writes them, for each database once; the rows go straight to the driver.

Its own executemany takes 7 µs a row to arrange the parameters by name, more than SQLite takes to store them. PostgreSQL
is sent the rows as arrays, one for each column, so that one statement does for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Executable, Text, bindparam, column, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BindParameter


class Bulk:
    """A statement whose parameters are given as tuples, in the order of `names`; no two rows may touch the same one.

    For an insert, `constants` are further columns and what they get in every row, as SQL: each of them that is no
    parameter saves a tenth of a microsecond a row.
    """

    def __init__(self, statement: Executable, names: Sequence[str], constants: Mapping[str, str] | None = None) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._constants: dict[str, ColumnElement[Any]] = {
            name: literal_column(sql) for name, sql in (constants or {}).items()
        }
        self._compiled: dict[str, tuple[str, tuple[int, ...]]] = {}

    def execute(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run the statement for each row; each is a tuple of plain values (int, str, float, bool, None)."""
        if not rows:
            return
        text, order = self._compiled.get(connection.dialect.name) or self._compile(connection)
        if connection.dialect.name == "postgresql":
            columns = list(zip(*rows, strict=True))
            connection.exec_driver_sql(text, tuple(list(columns[index]) for index in order))
            return
        if order != tuple(range(len(self._names))):
            rows = [tuple([row[index] for index in order]) for row in rows]
        connection.exec_driver_sql(text, list(rows))

    def _compile(self, connection: Connection) -> tuple[str, tuple[int, ...]]:
        # The same dialect, but with parameters by position: every driver can do that.
        same_dialect: Any = type(connection.dialect)
        if connection.dialect.name == "postgresql":
            dialect = same_dialect(paramstyle="format")
            compiled = _compiled(_of_arrays(self._statement, self._names, self._constants, dialect), dialect)
        else:
            statement: Any = self._statement
            statement = statement.values(self._constants) if self._constants else statement
            compiled = _compiled(statement, same_dialect(paramstyle="qmark"), self._names)
        positions = tuple(self._names.index(name) for name in compiled.positiontup or ())
        self._compiled[connection.dialect.name] = str(compiled), positions
        return self._compiled[connection.dialect.name]


class Among:
    """A statement about the rows whose `key` is among many values, given as one parameter: as many as may be."""

    def __init__(self, statement: Any, key: ColumnElement[Any]) -> None:
        wanted = func.json_each(bindparam(_WANTED, type_=Text)).table_valued("value")
        self._sqlite = statement.where(key.in_(select(wanted.c.value)))
        self._postgresql = statement.where(key == func.any(bindparam(_WANTED, type_=ARRAY(key.type))))

    def execute(self, connection: Connection, values: Sequence[int | str], **parameters: Any) -> CursorResult[Any]:
        """Run it once, with whatever other parameters it has."""
        if connection.dialect.name == "postgresql":
            return connection.execute(self._postgresql, {**parameters, _WANTED: list(values)})
        return connection.execute(self._sqlite, {**parameters, _WANTED: json.dumps(list(values))})

    def rows(self, connection: Connection, values: Sequence[int | str], **parameters: Any) -> Sequence[Any]:
        """What a query finds; nothing where there are no values."""
        return self.execute(connection, values, **parameters).all() if values else []


_WANTED = "wanted"


def _compiled(statement: Any, dialect: Dialect, names: Sequence[str] | None = None) -> SQLCompiler:
    compiled = statement.compile(dialect=dialect, column_keys=names and list(names))
    assert isinstance(compiled, SQLCompiler)
    return compiled


def _of_arrays(
    statement: Any, names: Sequence[str], constants: Mapping[str, ColumnElement[Any]], dialect: Dialect
) -> Any:
    """The statement for all rows of a table that is made of its parameters, which are arrays now."""
    types = {name: bind.type for name, bind in _compiled(statement, dialect, names).binds.items()}
    arrays = [bindparam(name, type_=ARRAY(types[name])) for name in names]
    table = func.unnest(*arrays).table_valued(*(column(name, types[name]) for name in names)).render_derived()
    if isinstance(statement, Insert):
        given = select(*(table.c[name] for name in names), *constants.values())
        return statement.from_select([*names, *constants], given)

    def of_table(element: Any, **_: Any) -> Any:
        return table.c[element.key] if isinstance(element, BindParameter) and element.key in types else None

    return visitors.replacement_traverse(statement, {}, of_table)
