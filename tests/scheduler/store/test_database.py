"""Opening a store: its migrations, and one clear error for each fault of a file or an address."""

import gc
import os
import sqlite3
import stat
import weakref
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, insert
from sqlalchemy.exc import IntegrityError

from scheduler.alerts.courier_process import _address
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.errors import StoreError, StoreUnavailableError, StoreVersionError
from scheduler.project.project import Project
from scheduler.project.settings import read_settings
from scheduler.store import schema
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from scheduler.store.upgrade import MIGRATIONS, VERSION_TABLE, known_versions
from tests.scheduler.postgres_server import Server


# The collector finds garbage of other tests, too.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_was_closed_is_freed(store_url: str) -> None:
    """SQLAlchemy's caches keep the dialect of the last hundred engines, and what that refers to."""
    store = Store(store_url)
    store.close()
    kept = weakref.ref(store)
    del store
    gc.collect()
    assert kept() is None


def test_the_migrations_make_the_tables_that_the_code_expects(store: Store) -> None:
    """Alembic finds no difference."""
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "scheduler_version"})
        assert compare_metadata(context, schema.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_names() -> None:
    """A new migration must become the head."""
    assert max(known_versions()) == schema.HEAD


OLD_TIMER = {
    "id": 7, "name": "t", "environment": "stage", "function": "f", "params": '{"n":1}', "expression": "0 0 8 ? * MON",
    "tz": "Asia/Tokyo", "dst": "quartz", "enabled": True, "limit_s": 2.5, "misfire": "skip", "overlap": "allow",
    "delivery": "at_least_once", "breaker_threshold": 3, "breaker_state": "closed", "consecutive_failures": 2,
    "openings": 0, "next_fire_at": 1_800_000_000_000_000, "revision": 4, "created_at": 1_700_000_000_000_000,
}  # fmt: skip
#: From 0006 on, a timer has one column for its trigger and one for the kind.
_TRIGGER = {"trigger_kind": "cron", "trigger": '{"expression":"0 0 8 ? * MON","tz":"Asia/Tokyo","dst":"quartz"}'}
OLD_TIMER_0006 = {name: value for name, value in OLD_TIMER.items() if name not in ("expression", "tz", "dst")} | {
    **_TRIGGER,
    "jitter_s": 0,
    "retries": 0,
    "retry_backoff_s": 10.0,
}
OLD_RUN = {
    "id": 9, "timer_id": 7, "timer": "t", "function": "f", "environment": "stage", "kind": "scheduled",
    "fire_at": 1_700_000_000_000_000, "last_fire_at": 1_700_000_000_000_000, "count": 1, "attempt": 1,
    "request_id": "r", "claimed_at": 1_700_000_000_000_000, "ended_at": 1_700_000_000_000_000, "outcome": "succeeded",
    "message": "", "lines_dropped": 0,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "old.db")
    server: Server = request.getfixturevalue("postgres")
    name = f"old_{tmp_path.name}"
    server.execute(f'CREATE DATABASE "{name}"')
    return server.url(name)


@pytest.mark.parametrize("version", sorted(known_versions() - {schema.HEAD}))
def test_a_store_of_every_older_version_is_migrated_with_what_it_holds(version: str, empty_database: str) -> None:
    """A timer and a run that the older version wrote are read by this one."""
    write_store(empty_database, version)
    with Store(empty_database) as store:
        (entry,) = TimerTable(store).list()
        assert entry.timer == Timer(
            name="t",
            function="f",
            environment=Environment.STAGE,
            trigger=Cron("0 0 8 ? * MON", "Asia/Tokyo", "quartz"),
            params={"n": 1},
            enabled=True,
            limit_s=2.5,
            misfire=MisfirePolicy.SKIP,
            overlap=OverlapPolicy.ALLOW,
            delivery=Delivery.AT_LEAST_ONCE,
            breaker_threshold=3,
        )
        assert (entry.breaker.consecutive_failures, entry.declared_in) == (2, None)
        (run,) = RunHistory(store).runs()
        assert (run.id, run.timer_id, run.outcome) == (9, 7, Outcome.SUCCEEDED)
        TimerTable(store).add([replace(entry.timer, name="u")], now=entry.created_at)


def write_store(url: str, version: str) -> None:
    """A store as an older version left it."""
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, version)
        tables = MetaData()
        tables.reflect(connection, only=["timers", "runs"])
        connection.execute(insert(tables.tables["timers"]), OLD_TIMER if version < "0006" else OLD_TIMER_0006)
        connection.execute(insert(tables.tables["runs"]), OLD_RUN)
        if store.has_server:
            connection.exec_driver_sql("SELECT setval('timers_id_seq', 7), setval('runs_id_seq', 9)")


def test_a_store_opens_twice(tmp_path: Path) -> None:
    """The second time finds what the first one left."""
    for _ in range(2):
        with Store(str(tmp_path / "a.db")) as store, store.reading() as connection:
            assert connection.execute(schema.timers.select()).all() == []


def test_an_open_store_does_not_make_a_file_that_was_moved_away_anew(tmp_path: Path) -> None:
    """Its next connection fails; when the file is back, it finds what it held. The name may hold any character."""
    file, away = tmp_path / "a ?#%41é.db", tmp_path / "away.db"
    with Store(str(file)) as store:
        with store.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE t (n)")
        store.close()
        file.rename(away)
        with pytest.raises(StoreUnavailableError, match="cannot be opened"), store.reading():
            pass
        assert not file.exists()
        away.rename(file)
        with store.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 0


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """All or nothing."""
    with pytest.raises(IntegrityError), store.writing() as connection:
        connection.execute(insert(schema.daemons), [DAEMON, DAEMON])
    with store.reading() as connection:
        assert connection.execute(schema.daemons.select()).all() == []


DAEMON = {"id": 1, "host": "h", "pid": 1, "process_started": "", "wake_port": 1, "started_at": 1, "lease_until": 1}


def test_a_file_that_is_not_a_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    """A user's notes are not overwritten."""
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, " * 200)
    with pytest.raises(StoreVersionError, match="not a database"):
        Store(str(file))
    assert file.read_text() == "dear diary, " * 200


def test_a_store_of_a_newer_version_is_refused_and_not_changed(tmp_path: Path) -> None:
    """The error names both versions and says how to upgrade."""
    file = str(tmp_path / "a.db")
    Store(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE scheduler_version SET version_num = '0999'")
    connection.close()
    with pytest.raises(StoreVersionError, match=r"newer version.*'0999'.*upgrade"):
        Store(file)


def test_a_database_with_tables_of_the_same_names_is_refused(tmp_path: Path) -> None:
    """Another program's table `runs` is left alone."""
    file = str(tmp_path / "a.db")
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.close()
    with pytest.raises(StoreVersionError, match="tables named runs"):
        Store(file)


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    """Another program holds the write lock for longer than the busy timeout."""
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


def test_whether_a_store_can_be_written_can_be_checked_beforehand(tmp_path: Path) -> None:
    """Before a service reports that it is ready."""
    file = tmp_path / "a.db"
    with Store(str(file)) as store:
        store.check_writable()
    with Store(f"sqlite:///file:{file}?mode=ro&uri=true") as store, pytest.raises(StoreUnavailableError):
        store.check_writable()


def test_a_store_opened_read_only_says_so(tmp_path: Path) -> None:
    """The same for root, by a read-only connection of SQLite."""
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
        ("mysql://localhost/x", "SQLite or PostgreSQL, got 'mysql'"),
        ("sqlite:/oops://", "is not a store"),
        ("sqlite:///x.db?timeout=abc", "a setting in the address is wrong"),
        ("postgresql://me:secret@host:notaport/x", "'postgresql://me:...@host:notaport/x' is not a store"),
        ("/nonexistent/folder/a.db", "cannot be opened"),
        ("host=h dbname=x password=secret", "not libpq's names and values"),
    ],
)
def test_an_invalid_address_is_refused(url: str, words: str) -> None:
    """Before anything is written."""
    with pytest.raises(StoreError, match=words):
        Store(url)


@pytest.mark.parametrize("folder", ["中文 目录", "100%25", "what?", "a#b", "me@home:3000"])
def test_a_store_is_shown_by_an_address_that_opens_it(tmp_path: Path, folder: str) -> None:
    """With the name of its folder as it is."""
    (tmp_path / folder).mkdir()
    file = tmp_path / folder / "store.db"
    with Store(file) as store:
        shown = str(store)
    assert folder in shown
    file.unlink()
    Store(shown).close()
    assert file.exists()
    assert Project(read_settings(tmp_path, {}, {"store": shown})).store_file == file


def test_a_password_is_never_shown() -> None:
    """Neither in messages nor in logs."""
    with pytest.raises(StoreError) as refused:
        Store("postgresql://me:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)


def test_a_relative_path_is_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even after the program has gone to another folder; a server may have started it in one that nobody expects."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUnavailableError, match=f"sqlite:///{tmp_path}/nowhere/a.db: the file cannot be opened"):
        Store("nowhere/a.db")
    with Store("a.db") as store:
        monkeypatch.chdir("/")
        assert str(store) == f"sqlite:///{tmp_path}/a.db"
        assert _address(store) == f"sqlite:///{tmp_path}/a.db"
