"""A password of PostgreSQL is in no message, whatever the server refuses: a right, a user, a database, the password."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from scheduler.errors import StoreError
from scheduler.store.database import Store
from tests.scheduler.command_line import CommandLine
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually

PASSWORD = "S3cretA@:/?#%S3cretB"


@pytest.fixture
def server(postgres: Server) -> Iterator[Server]:
    """With a user `keeper` who has to give this password, and has no rights but to connect."""
    postgres.execute(f"CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'")
    rules = Path(postgres.execute("SHOW hba_file")[0][0])
    before = rules.read_text()
    try:
        rules.write_text(f"local all keeper scram-sha-256\n{before}")
        postgres.execute("SELECT pg_reload_conf()")
        eventually(lambda: _is_refused(postgres))
        yield postgres
    finally:
        rules.write_text(before)
        postgres.execute("SELECT pg_reload_conf()")
        postgres.execute("DROP OWNED BY keeper")
        postgres.execute("DROP ROLE keeper")


def _is_refused(server: Server) -> bool:
    """Whether the server asks for the password by now."""
    import psycopg

    folder = server.url("ready").partition("?host=")[2]
    try:
        psycopg.connect(host=folder, user="keeper", dbname="ready", password="wrong").close()
    except psycopg.OperationalError:
        return True
    return False


def with_password(url: str, user: str = "keeper") -> str:
    """A URL with a user and the password, or with another password behind the user's name."""
    return url.replace("postgres@", f"{user}@" if ":" in user else f"{user}:{quote(PASSWORD, safe='')}@")


def shown(text: str) -> list[str]:
    return [part for part in ("S3cretA", "S3cretB", quote(PASSWORD, safe="")) if part in text]


@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("keeper", "missing_1", "there is no such database"),
        ("nobody_2", "ready", "there is no such user"),
        ("keeper", "ready", "GRANT"),
        ("keeper:S3cretA", "ready", "password"),
    ],
)
def test_what_a_server_refuses_is_reported_without_the_password(
    server: Server, user: str, database: str, reason: str
) -> None:
    """Neither the message nor a traceback with the errors before it has a part of it; nor of a wrong one."""
    url = with_password(server.url(database), user)
    with pytest.raises(StoreError, match=reason) as refused:
        Store(url).check_writable()
    assert shown("".join(traceback.format_exception(refused.value))) == []


@pytest.mark.parametrize(
    "words", [("timers", "list"), ("runs",), ("logs",), ("simulate",), ("doctor",), ("doctor", "--json")]
)
def test_no_command_shows_the_password_of_its_store(
    server: Server, command_line: CommandLine, words: tuple[str, ...]
) -> None:
    """Where the user may not read the tables."""
    with server.database() as url:
        result = command_line.run(*words, "--store", with_password(url))
    assert result.exit_code != 0
    assert "GRANT" in result.stdout + result.stderr
    assert shown(result.stdout + result.stderr) == []


def test_a_command_that_succeeds_shows_no_password(server: Server, command_line: CommandLine) -> None:
    """Neither does doctor, which names the store."""
    with server.database() as url:
        with Store(url) as store, store.writing() as connection:
            for kind in ("TABLES", "SEQUENCES"):
                connection.exec_driver_sql(f"GRANT ALL ON ALL {kind} IN SCHEMA public TO keeper")
        for words in (("timers", "list"), ("doctor",), ("doctor", "--json")):
            result = command_line.run(*words, "--store", with_password(url))
            assert "keeper" in result.stdout or words[0] != "doctor"
            assert shown(result.stdout + result.stderr) == []
