"""A store of any released version opens, with everything that it held."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, func, insert, select

from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.store import schema
from scheduler.store.database import MIGRATIONS, VERSION_TABLE, Store, known_versions
from scheduler.store.log_lines import Choice, LogLines
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.postgres_server import Server

AT = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
REPORT = Timer(name="report", function="send", trigger=Cron("0 0 8 ? * MON", "UTC"), params={"to": "é"}, enabled=True)
CLEAN = Timer(name="clean", function="clean_up", trigger=Every(90), environment=Environment.STAGE)

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
    with server.database() as address:
        yield address


def make(url: str, version: str) -> None:
    """Make a store as that version had it, with data."""
    with patch.object(Store, "_bring_up_to_date"), Store(url) as store, store.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, version)
        tables = MetaData()
        tables.reflect(connection)
        for table, row in ROWS:
            connection.execute(insert(tables.tables[table]).values(row))


@pytest.mark.parametrize("version", sorted(known_versions()))
def test_a_store_of_any_version_opens_with_what_it_held(url: str, version: str) -> None:
    """Timers, breakers, history and lines."""
    make(url, version)
    with Store(url) as store:
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
        assert LogLines(store).last(Choice(), 10)[0][0].timer == "report"


@pytest.mark.parametrize("version", sorted(known_versions()))
def test_a_store_of_any_version_has_the_tables_that_the_code_expects(url: str, version: str) -> None:
    """Nothing is left that Alembic would still want to change, and lines still go with their run."""
    make(url, version)
    with Store(url) as store:
        with store.reading() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            assert compare_metadata(context, schema.metadata) == []
        with store.writing() as connection:
            connection.execute(schema.runs.delete().where(schema.runs.c.id == 1))
            assert connection.execute(select(func.count()).select_from(schema.lines)).scalar() == 0
