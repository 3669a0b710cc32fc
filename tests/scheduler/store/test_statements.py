"""Statements that go straight to the driver: the rows that they write and read, and what happens when they fail."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, literal_column, select, text, update
from sqlalchemy.exc import IntegrityError

from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.schema import changes, runs
from scheduler.store.statements import Among, Bulk, Query

_COLUMNS = ("at", "author", "way", "why", "subject", "action", "name")
_ADD = Bulk(insert(changes), _COLUMNS, {"environment": "'stage'"})
_NAMES = Query(select(changes.c.name).where(changes.c.at >= bindparam("since")).order_by(changes.c.id))


def _rows(count: int) -> list[tuple[object, ...]]:
    return [(at, "me", "library", "", "timer", "added", f"t{at}") for at in range(count)]


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
def test_an_insert_of_many_rows_writes_each_once_and_in_order(store: Store, count: int) -> None:
    """SQLite gets fifty of them in one statement, and the rest one by one."""
    with store.writing() as connection:
        _ADD.execute(connection, _rows(count))
        names = [name for (name,) in _NAMES.tuples(connection, since=0)]
        environments = set(connection.execute(select(changes.c.environment)).scalars())
    assert (names, environments) == ([f"t{at}" for at in range(count)], {"stage"})


def test_a_query_fills_in_constants_and_parameters(store: Store) -> None:
    query = Query(select(literal_column("1"), bindparam("b", 2)).where(bindparam("c", 3) == 3))
    with store.reading() as connection:
        assert [tuple(row) for row in query.tuples(connection)] == [(1, 2)]
        assert [tuple(row) for row in query.tuples(connection, b=5)] == [(1, 5)]
        assert list(query.tuples(connection, c=4)) == []


def test_a_statement_about_some_rows_changes_only_those(store: Store) -> None:
    """`run` has no rows to return for an update, and runs nothing without values."""
    rename = Among(update(changes).values(name=bindparam("new")), changes.c.at)
    with store.writing() as connection:
        _ADD.execute(connection, _rows(3))
        assert list(rename.tuples(connection, [0, 2], new="x")) == []
        assert list(rename.tuples(connection, [], new="y")) == []
        assert [name for (name,) in _NAMES.tuples(connection, since=0)] == ["x", "t1", "x"]


def test_an_error_of_the_driver_is_that_of_the_store(tmp_path: Path) -> None:
    """And the store serves on, even after the driver's connection was closed."""
    missing = Query(select(literal_column("1")).select_from(text("no_such_table")))
    lacking = Bulk(insert(runs), ("timer_id",))
    with Store(tmp_path / "store.db") as store:
        with pytest.raises(StoreUnavailableError, match="no such table"), store.reading() as connection:
            missing.tuples(connection)
        with pytest.raises(IntegrityError, match="NOT NULL"), store.writing() as connection:
            lacking.execute(connection, [(1,)])
        with pytest.raises(StoreUnavailableError, match="closed database"):
            _read_from_closed(store)
        with store.reading() as connection:
            assert list(_NAMES.tuples(connection, since=0)) == []


def _read_from_closed(store: Store) -> None:
    with store.reading() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.close()
        _NAMES.tuples(connection, since=0)
