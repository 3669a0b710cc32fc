"""Opening a store: its migrations, and one clear error for each way in which a file can be wrong."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from scheduler import schema
from scheduler.errors import StoreError, StoreUnavailableError, StoreVersionError
from scheduler.store import Store, _known_versions


def test_the_migrations_make_the_tables_that_the_code_expects(store: Store) -> None:
    """Nothing is left that Alembic would still want to change."""
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "scheduler_version"})
        assert compare_metadata(context, schema.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_names() -> None:
    """A migration that is added must become the head."""
    assert max(_known_versions()) == schema.HEAD


def test_a_store_opens_twice(tmp_path: Path) -> None:
    """The second time finds what the first one left."""
    for _ in range(2):
        with Store(str(tmp_path / "a.db")) as store, store.reading() as connection:
            assert connection.execute(schema.timers.select()).all() == []


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """All or nothing."""
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(insert(schema.daemons), [DAEMON, DAEMON])
    with store.reading() as connection:
        assert connection.execute(schema.daemons.select()).all() == []


DAEMON = {"id": 1, "host": "h", "pid": 1, "process_started": "", "wake_port": 1, "started_at": 1, "lease_until": 1}


def test_a_file_that_is_no_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    """Someone's notes are not overwritten."""
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, " * 200)
    with pytest.raises(StoreVersionError, match="not a database"):
        Store(str(file))
    assert file.read_text() == "dear diary, " * 200


def test_a_store_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    """The error names both versions and the way out."""
    file = str(tmp_path / "a.db")
    Store(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE scheduler_version SET version_num = '0999'")
    connection.close()
    with pytest.raises(StoreVersionError, match=r"newer version.*'0999'.*upgrade"):
        Store(file)


def test_a_database_with_tables_of_the_same_names_is_refused(tmp_path: Path) -> None:
    """Another program's `runs` is not ours."""
    file = str(tmp_path / "a.db")
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.close()
    with pytest.raises(StoreVersionError, match="tables named runs"):
        Store(file)


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    """Another program holds the write lock for longer than we wait."""
    file = str(tmp_path / "a.db")
    with Store(file, busy_timeout_s=0.05) as store:
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked by another program"), store.writing():
            pass
        blocker.close()
        with store.writing():
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to everything")
def test_a_read_only_store_says_so(tmp_path: Path) -> None:
    """The permissions of the file forbid writing."""
    file = tmp_path / "a.db"
    Store(str(file)).close()
    file.chmod(stat.S_IRUSR)
    with Store(str(file)) as store, pytest.raises(StoreUnavailableError, match="read-only"), store.writing() as c:
        c.execute(insert(schema.daemons).values(**DAEMON))


def test_whether_it_may_be_written_can_be_asked_beforehand(tmp_path: Path) -> None:
    """Before a service says that it is ready."""
    file = tmp_path / "a.db"
    with Store(str(file)) as store:
        store.check_writable()
    with Store(f"sqlite:///file:{file}?mode=ro&uri=true") as store, pytest.raises(StoreUnavailableError):
        store.check_writable()


def test_a_store_opened_read_only_says_so(tmp_path: Path) -> None:
    """The same for root: SQLite is asked for a read-only connection."""
    file = tmp_path / "a.db"
    Store(str(file)).close()
    with (
        Store(f"sqlite:///file:{file}?mode=ro&uri=true") as store,
        pytest.raises(StoreUnavailableError, match="read-only"),
        store.writing() as connection,
    ):
        connection.execute(insert(schema.daemons).values(**DAEMON))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://localhost/x", "SQLite or PostgreSQL, not 'mysql'"),
        ("sqlite:/oops://", "no store"),
        ("sqlite:///x.db?timeout=abc", "a setting in the address is wrong"),
        ("postgresql://me:secret@host:notaport/x", "'postgresql://…@host:notaport/x' is no store"),
        ("/nonexistent/folder/a.db", "cannot be opened"),
    ],
)
def test_an_address_that_is_no_store_is_refused(url: str, words: str) -> None:
    """Before anything is written."""
    with pytest.raises(StoreError, match=words):
        Store(url)


def test_a_password_is_never_shown() -> None:
    """Neither in messages nor in logs."""
    with pytest.raises(StoreError) as refused:
        Store("postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)
