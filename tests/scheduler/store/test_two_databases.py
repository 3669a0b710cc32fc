"""What differs between databases is one class each: SqliteStore and PostgresStore, side by side."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from scheduler.store import database
from scheduler.store.database import Store
from scheduler.store.postgres import PostgresStore
from scheduler.store.sqlite import SqliteStore
from tests.imports import ROOT

#: The classes themselves, the choice between them by the address, and migrations, which may need a database's own SQL.
MAY_ASK = (*(f"store/{name}.py" for name in ("database", "sqlite", "postgres", "store_url")), "/migrations/")
#: Ways to ask a store, a connection or an address which database it has.
QUESTIONS = re.compile(
    r"is_sqlite|is_postgres|dialect\.name|get_backend_name|drivername ==|\.backend\b"
    r"|is(instance|subclass)\(.*(Sqlite|Postgres)Store|\) is (not )?(Sqlite|Postgres)Store"
)


def test_no_other_file_asks_which_database_it_has() -> None:
    """A difference is a method or an attribute of the two classes; PostgreSQL's own broker goes by its address."""
    asking = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "scheduler").rglob("*.py"))
        if not any(part in path.as_posix() for part in MAY_ASK)
        for line in path.read_text(encoding="utf-8").splitlines()
        if QUESTIONS.search(line)
    ]
    assert not asking


@pytest.mark.parametrize(
    "line",
    ["if store.is_sqlite:", 'if connection.dialect.name == "sqlite":', "isinstance(store, (SqliteStore, X))"],
)
def test_a_question_is_found(line: str) -> None:
    """The test above would see it."""
    assert QUESTIONS.search(line)


def differing(cls: type[Store]) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_") and name != "backend"}


def test_the_table_of_differences_is_complete() -> None:
    """It names what the two classes define publicly, and nothing else."""
    table = inspect.getdoc(database) or ""
    names = {
        name
        for line in table.partition("what differs")[2].splitlines()[2:]
        for name in re.split(r"\s{2,}", line.strip())[0].split(", ")
    }
    assert names == differing(SqliteStore) | differing(PostgresStore) | {"must_be_polled"}


@pytest.mark.parametrize("cls", [SqliteStore, PostgresStore])
def test_each_class_answers_every_question(cls: type[Store]) -> None:
    """A method that the base class leaves open, or an attribute without a value there, is defined by both."""
    open_methods = {name for name, member in vars(Store).items() if "NotImplementedError" in code_names(member)}
    open_attributes = {name for name in Store.__annotations__ if not hasattr(Store, name)}
    assert open_methods | open_attributes <= set(vars(cls))


def code_names(member: object) -> tuple[str, ...]:
    code = getattr(member, "__code__", None)
    return code.co_names if code is not None else ()


def test_store_opens_the_class_of_the_address(tmp_path: Path, store: Store) -> None:
    """Also through a bare path, and each class by itself."""
    with Store(str(tmp_path / "a.db")) as opened:
        assert type(opened) is SqliteStore
    with SqliteStore(str(tmp_path / "a.db")) as opened:
        assert type(opened) is SqliteStore
    assert isinstance(store, Store)
    assert type(store) is (PostgresStore if str(store).startswith("postgresql") else SqliteStore)
