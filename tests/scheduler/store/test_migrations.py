"""A store of any released version opens, with everything that it held."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, func, insert, inspect, select, text
from sqlalchemy.schema import CreateIndex

from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import EPOCH, instant
from scheduler.core.triggers import Cron, Every
from scheduler.errors import DuplicateTimerError, StoreUnavailableError, StoreVersionError
from scheduler.store import schema, upgrade
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.log_lines import LineFilter, LogLines
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from scheduler.store.upgrade import MIGRATIONS, VERSION_TABLE, known_versions, version_of
from tests.scheduler.postgres_server import Server

AT = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
REPORT = Timer(name="report", function="send", trigger=Cron("0 0 8 ? * MON", "UTC"), params={"to": "é"}, enabled=True)
CLEAN = Timer(name="clean", function="clean_up", trigger=Every(90), environment=Environment.STAGE)

#: The columns of a trigger up to 0005.
BEFORE = ("expression", "tz", "dst", "every_s", "anchor_at")
RENAMED = {"tail_run_id": "counter_run_id", "tail_outcome": "counter_outcome"}
#: What the first version wrote: each row as it was then, in the order of the tables.
ROWS: list[tuple[str, dict[str, Any]]] = [
    (
        "timers",
        {
            "name": "report", "environment": "production", "function": "send", "params": '{"to":"é"}',
            "expression": "0 0 8 ? * MON", "tz": "UTC", "dst": "vixie", "enabled": True, "limit_s": 15.0,
            "misfire": "fire_once", "overlap": "skip", "delivery": "at_most_once", "breaker_threshold": 5,
            "breaker_state": "open", "consecutive_failures": 5, "openings": 1, "opened_at": AT,
            "next_probe_at": AT + 60, "last_error": "boom", "next_fire_at": AT, "revision": 3, "created_at": AT,
            "tail_run_id": 1, "tail_outcome": "short_circuited",
        },
    ),
    (
        "timers",
        {
            "name": "clean", "environment": "stage", "function": "clean_up", "params": "{}", "every_s": 90,
            "anchor_at": 0, "enabled": False, "limit_s": 15.0, "misfire": "fire_once", "overlap": "skip",
            "delivery": "at_most_once", "breaker_threshold": 5, "breaker_state": "closed", "consecutive_failures": 0,
            "openings": 0, "revision": 1, "created_at": AT,
        },
    ),
    *(
        (
            "runs",
            {
                "timer_id": timer_id, "timer": timer, "function": "send", "environment": "production",
                "kind": "scheduled", "fire_at": AT, "last_fire_at": AT, "count": 1, "attempt": 1,
                "request_id": f"r{timer_id}", "owner": owner, "claimed_at": AT, "started_at": AT, "ended_at": ended_at,
                "outcome": outcome, "message": "", "result": "1", "lines_dropped": 2,
            },
        )
        for timer_id, timer, owner, ended_at, outcome in (
            (1, "report", 7, AT, "succeeded"),
            (None, "gone", 7, AT, "timed_out"),
            (1, "report", None, None, None),
        )
    ),
    *(("lines", {"run_id": 1, "at": AT + n, "level": "info", "text": f"line {n}"}) for n in range(3)),
]  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that outlives its store."""
    if request.param == "sqlite":
        yield str(tmp_path / "store.db")
        return
    server: Server = request.getfixturevalue("postgres")
    name = f"migrated_{next(_NUMBERS)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


_NUMBERS = count()


def as_written(version: str, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as that version wrote it: from 0006 on, a timer has one column for its trigger and one for the kind."""
    if table != "timers" or version < "0006":
        return row
    values = {name: row[name] for name in BEFORE if name in row}
    kind = "every" if "every_s" in values else "cron"
    trigger = {"seconds" if name == "every_s" else name: value for name, value in values.items()}
    others = {RENAMED.get(name, name): value for name, value in row.items() if name not in BEFORE}
    return {**others, "trigger_kind": kind, "trigger": json.dumps(trigger, separators=(",", ":"))}


def make(url: str, version: str, rows: Sequence[tuple[str, dict[str, Any]]] = ROWS) -> None:
    """Make a store as that version had it, with data."""
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, version)
        tables = MetaData()
        tables.reflect(connection)
        for table, row in rows:
            connection.execute(insert(tables.tables[table]).values(as_written(version, table, row)))


@pytest.mark.parametrize("version", sorted(known_versions()))
def test_a_store_of_any_version_opens_with_what_it_held(url: str, version: str) -> None:
    """Timers, breakers, history and lines, in the tables that the code expects."""
    make(url, version)
    with Store(url) as store:
        has_the_tables_that_the_code_expects(store)
        by_name = {entry.timer.name: entry for entry in TimerTable(store).list()}
        assert by_name["report"].timer == REPORT
        assert by_name["clean"].timer == CLEAN
        assert by_name["report"].breaker.last_error == "boom"
        history = RunHistory(store)
        assert [(run.id, run.timer, run.outcome) for run in history.runs()] == [
            (3, "report", None),
            (2, "gone", Outcome.TIMED_OUT),
            (1, "report", Outcome.SUCCEEDED),
        ]
        assert [line.text for line in history.lines(1)] == ["line 0", "line 1", "line 2"]
        assert LogLines(store).latest(LineFilter(), 10)[0][0].timer == "report"
        lines_are_removed_with_their_run(store)


def has_the_tables_that_the_code_expects(store: Store) -> None:
    """Alembic finds no difference; it does not compare the conditions of indexes."""
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
        if connection.dialect.name == "sqlite":
            wanted = [CreateIndex(index) for table in schema.metadata.sorted_tables for index in table.indexes]
            assert index_definitions(connection) == {str(create.compile(connection)) for create in wanted}


def lines_are_removed_with_their_run(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(schema.runs.delete().where(schema.runs.c.id == 1))
        assert connection.execute(select(func.count()).select_from(schema.lines)).scalar() == 0


def tables_of(store: Store) -> dict[str, Any]:
    """All that a database knows of its tables, apart from the order of columns."""
    with store.reading() as connection:
        inspector = inspect(connection)
        return {
            table: {
                "columns": {
                    column["name"]: {**column, "type": str(column["type"])} for column in inspector.get_columns(table)
                },
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": inspector.get_foreign_keys(table),
                "unique": inspector.get_unique_constraints(table),
                "checks": inspector.get_check_constraints(table),
                "rows": connection.execute(select(func.count()).select_from(text(f'"{table}"'))).scalar(),
            }
            for table in inspector.get_table_names()
        } | {"version": version_of(connection), "definitions of indexes": index_definitions(connection)}


def index_definitions(connection: Connection) -> set[str]:
    """The SQL of each index, with its condition."""
    query = "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql <> ''"
    if connection.dialect.name == "postgresql":
        query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
    return set(connection.exec_driver_sql(query).scalars())


@pytest.mark.usefixtures("real_migrations")
def test_a_new_store_has_the_tables_that_all_migrations_make(url: str) -> None:
    """It is created at once, by the present definitions."""
    with Store(url) as store:
        created = tables_of(store)
        assert created.keys() > {"timers", "runs", VERSION_TABLE}
        with store.writing() as connection:
            for table in reversed([*schema.metadata.sorted_tables, Table(VERSION_TABLE, MetaData())]):
                connection.exec_driver_sql(f'DROP TABLE "{table.name}"')
    make(url, schema.HEAD, rows=())
    with Store(url) as store:
        assert tables_of(store) == created


@pytest.mark.usefixtures("real_migrations")
def test_a_process_killed_while_it_creates_the_tables_leaves_none(url: str) -> None:
    """They are created in one transaction with their version."""
    killed = patch.object(upgrade._VERSIONS, "create", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        Store(url)
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.reading() as connection:
        assert inspect(connection).get_table_names() == []
    with Store(url) as store:
        TimerTable(store).add([REPORT], now=instant(AT), quota=0)


def timer_of_0005(number: int) -> dict[str, Any]:
    """A timer as 0005 kept it: an interval where the number is odd; every third one is declared by its function."""
    row: dict[str, Any] = {
        **ROWS[1][1], **dict.fromkeys(BEFORE), "id": 3 * number, "name": f"t{number}", "enabled": bool(number % 5),
        "next_fire_at": AT + number if number % 5 else None, "jitter_s": number % 2, "retries": 2,
        "retry_backoff_s": 1.5, "revision": number, "tail_run_id": number, "tail_outcome": "skipped_overlap",
        "declared_in": "stage", "suspended": None if number % 7 else True, "declaration": None,
    }  # fmt: skip
    if number % 2:
        row |= {"every_s": number, "anchor_at": AT + number}
    else:
        row |= {"expression": f"0 {number % 60} 8 ? * MON", "tz": "Asia/Tokyo", "dst": "quartz"}
    if number % 3 == 0:
        trigger = [row[name] for name in ("expression", "tz", "dst", "every_s")]
        row["declaration"] = json.dumps({"trigger": trigger, "function": "ф\0"}, ensure_ascii=False)
    return row


def test_many_timers_keep_everything_when_their_triggers_move(url: str) -> None:
    """Ids, triggers of both kinds, states, counters, declarations; and names stay unique."""
    before = [timer_of_0005(number) for number in range(1, 1001)]
    make(url, "0005", [("timers", row) for row in before])
    with Store(url) as store:
        by_id = {entry.id: entry.timer for entry in TimerTable(store).list()}
        with store.reading() as connection:
            after = {row.id: row._asdict() for row in connection.execute(select(schema.timers))}
        for number, row in enumerate(before, start=1):
            new, trigger = after.pop(row["id"]), by_id[row["id"]].trigger
            expected = {RENAMED.get(name, name): value for name, value in row.items() if name not in BEFORE}
            if row["declaration"] is not None:
                declared = {"kind": trigger.stored()[0], **trigger.anchored(EPOCH).as_json()}
                assert json.loads(new["declaration"]) == {"trigger": declared, "function": "ф\0"}
                expected["declaration"] = new["declaration"]
            assert {name: new[name] for name in expected} == expected
            assert trigger.stored() == (new["trigger_kind"], new["trigger"])
            every = Every(number, anchor=instant(AT + number))
            assert trigger == (every if number % 2 else Cron(f"0 {number % 60} 8 ? * MON", "Asia/Tokyo", "quartz"))
        assert not after
        with pytest.raises(DuplicateTimerError):
            TimerTable(store).add([by_id[3]], now=instant(AT), quota=0)


def test_a_declared_timer_of_an_older_version_is_as_declared(url: str) -> None:
    """An edit by hand is kept, and a changed declaration is recognized."""
    declared = Timer(name="t", function="f", trigger=Cron("0 0 8 ? * MON", "UTC"), environment=Environment.STAGE)
    by_hand = {"every_s": 90, "anchor_at": 0}
    attributes = {"function": "f", "params": "{}", "enabled": False, "limit_s": 15.0, "misfire": "fire_once"}
    trigger = {"trigger": ["0 0 8 ? * MON", "UTC", "vixie", None]}
    row = {**ROWS[1][1], "name": "t", "function": "f", "declared_in": "stage", **by_hand}
    make(url, "0005", [("timers", {**row, "declaration": json.dumps({**attributes, **trigger})})])
    with Store(url) as store:
        assert synchronise(store, [declared], Environment.STAGE, now=instant(AT)) == []
        assert TimerTable(store).get("t", Environment.STAGE).timer.trigger == Every(90)
        changed = replace(declared, trigger=Every(60))
        (change,) = synchronise(store, [changed], Environment.STAGE, now=instant(AT))
        assert str(change) == "changed the timer 't', disabled: trigger every 90 s → every 1 min"


@pytest.mark.parametrize("version", ["0001", "0005"])
def test_a_store_that_is_only_read_is_not_migrated(url: str, version: str) -> None:
    """It is refused with the commands that bring it up to date; what does so says it."""
    make(url, version)
    with pytest.raises(StoreVersionError, match=rf"earlier version .*'{version}'.*`scheduler up` and"):
        Store(url, brings_up_to_date=False)
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.reading() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar() == version


def test_a_migration_is_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Once, because earlier versions refuse the store from then on."""
    make(url, "0005")
    Store(url).close()
    Store(url, brings_up_to_date=False).close()
    (told,) = [record.getMessage() for record in caplog.records if record.name == "scheduler.migration"]
    assert f"brought from schema 0005 to {schema.HEAD}; earlier versions of scheduler refuse it from now on" in told


def test_a_store_that_is_only_read_is_not_created(url: str) -> None:
    """An empty database stays empty."""
    with pytest.raises(StoreUnavailableError, match="there is no store yet; `scheduler up` and"):
        Store(url, brings_up_to_date=False)
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.reading() as connection:
        assert inspect(connection).get_table_names() == []
