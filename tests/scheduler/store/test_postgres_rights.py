"""What a PostgreSQL server refuses is reported in one line, with the SQL that grants it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.errors import StoreError, StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.store_url import parse_url
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CommandLine
from tests.scheduler.postgres_server import Server


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    """With a user `app`, who has no rights but to connect."""
    postgres.execute("CREATE ROLE app LOGIN")
    try:
        yield postgres
    finally:
        postgres.execute("DROP OWNED BY app")
        postgres.execute("DROP ROLE app")


def as_app(url: str) -> str:
    return url.replace("postgres@", "app@")


def grant(url: str, statement: str) -> None:
    """Run a statement as administrator in the database of a store."""
    with Store(url) as store, store.writing() as connection:
        connection.exec_driver_sql(statement)


def sql_of(message: str) -> str:
    """The SQL that a message names."""
    return message.partition(": GRANT ")[1].removeprefix(": ") + message.partition(": GRANT ")[2].partition(";")[0]


def test_the_error_names_the_right_that_a_user_lacks(server: Server) -> None:
    """After the statement of the message, the store is created."""
    name = "rights_new"
    server.execute(f"CREATE DATABASE {name}")
    try:
        url = as_app(server.url(name))
        with pytest.raises(StoreUnavailableError, match="GRANT USAGE, CREATE ON SCHEMA public TO app;") as refused:
            Store(url)
        assert "\n" not in str(refused.value)
        _execute_in(server, name, sql_of(str(refused.value)))
        with Store(url) as store:
            assert TimerTable(store).list() == []
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_user_without_rights_on_the_tables_gets_them_one_after_the_other(server: Server) -> None:
    """By the statements of the messages, which do not repeat themselves."""
    with server.database() as url:
        said = []
        for _ in range(5):
            try:
                with Store(as_app(url)) as store:
                    store.check_writable()
                    with store.writing() as connection:
                        store.new_run_ids(connection, 1)
                break
            except StoreUnavailableError as error:
                said.append(sql_of(str(error)))
                grant(url, said[-1])
        assert said == [
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO app",
        ]


@pytest.mark.parametrize(
    ("user", "database", "expected"),
    [
        ("app", "missing", "there is no such database; as an administrator: CREATE DATABASE missing OWNER app;"),
        ("nobody_1", "ready", "there is no such user; as an administrator: CREATE ROLE nobody_1 LOGIN"),
    ],
)
def test_what_is_missing_is_reported_with_the_statement_that_creates_it(
    server: Server, user: str, database: str, expected: str
) -> None:
    """A database, a user."""
    url = server.url(database).replace("postgres@", f"{user}@")
    with pytest.raises(StoreUnavailableError) as refused:
        Store(url)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("tail", ["&bad=1", "&port=abc", "&connect_timeout=soon", "&sslmode=perhaps"])
def test_a_setting_that_no_address_has_is_one_line(postgres: Server, tail: str) -> None:
    """What libpq says of it, without a traceback."""
    with pytest.raises(StoreError) as refused:
        Store(postgres.url("ready") + tail)
    assert "\n" not in str(refused.value)


def test_both_names_of_the_scheme_are_the_same(postgres: Server) -> None:
    """Other programs write postgres://."""
    with postgres.database() as url, Store(url.replace("postgresql:", "postgres:")) as store:
        assert store.url == parse_url(url)
        assert TimerTable(store).list() == []


def test_the_command_line_says_it_in_one_line(server: Server, command_line: CommandLine) -> None:
    """Of each command; doctor has it as a finding."""
    with server.database() as url:
        for words in (("timers", "list"), ("runs",), ("logs",), ("simulate",)):
            message = command_line.refusal(*words, "--store", as_app(url))
            assert message.count("\n") == 1
            assert "GRANT SELECT" in message
        result = command_line.run("doctor", "--store", as_app(url))
        assert "GRANT SELECT" in result.stdout
        assert "Traceback" not in result.stdout + result.stderr


def _execute_in(server: Server, database: str, statement: str) -> None:
    import psycopg

    folder = Path(server.url(database).partition("?host=")[2])
    with psycopg.connect(host=str(folder), user="postgres", dbname=database, autocommit=True) as connection:
        connection.execute(statement)
