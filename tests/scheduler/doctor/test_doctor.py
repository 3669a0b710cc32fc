"""scheduler doctor: what is well and what is not."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from scheduler.core.timestamps import stamp
from scheduler.doctor import machine, store_checks
from scheduler.doctor.findings import Finding, Severity
from scheduler.store.database import Store
from scheduler.store.schema import daemons, timers
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.postgres_server import Server


def test_a_project_in_order_is_well(command_line: CommandLine) -> None:
    """Everything is named, with its state; exit status 0."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60", "--enable")
    found = {finding["name"]: finding for finding in command_line.json("doctor")}
    assert list(found) == (
        [
            "versions",
            "settings",
            "clock",
            "zones",
            "disk",
            "store",
            "daemons",
            "timers",
            "breakers",
            "functions",
            "workers",
        ]
    )
    assert all(finding["ok"] for finding in found.values())
    assert "schema 0" in found["store"]["text"]
    assert "journal wal of" in found["store"]["text"]
    assert "1 timers, 1 enabled; the next fires at 20" in found["timers"]["text"]
    assert found["daemons"]["state"] == "warning"
    assert "no daemon runs, and 1 enabled timers wait" in found["daemons"]["text"]
    assert "pytz 20" in found["zones"]["text"]
    assert "answered a call in" in found["workers"]["text"]


def test_what_is_not_well_is_named(command_line: CommandLine) -> None:
    """A missing store and a cloud.py that raises; exit status 1, and the rest is looked at all the same."""
    command_line.write("cloud.py", "1 / 0\n")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("!!") == 3
    assert "there is no store at" in result.stdout
    assert "ZeroDivisionError" in result.stdout


def test_a_timer_without_its_function_is_not_well(command_line: CommandLine) -> None:
    """The function was renamed after the timer was added."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "helo", "--every", "60", "--no-check")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "timer 't' calls 'helo', which cloud.py does not define; did you mean 'hello'?" in result.stdout


def test_a_declaration_with_which_up_would_not_start_is_not_well(command_line: CommandLine) -> None:
    """Its option has another name."""
    declared = "\n\n@engine.timer(every_s=5)\n@engine.define\ndef tick():\n    pass\n"
    command_line.write("cloud.py", CLOUD + declared)
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "@engine.timer of 'tick': give an expression or an interval" in result.stdout


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(str(tmp_path / "a.db")) as store:
        yield store


def looked_at(store: Store) -> dict[str, Finding]:
    file = Path(str(store.url.database)) if store.files else None
    return {finding.name: finding for finding in store_checks.findings(store, file, UTC)}


def timer_row(name: str, **columns: object) -> dict[str, object]:
    told = {"environment": "production", "function": "f", "params": "{}", "every_s": 60, "anchor_at": 0}
    kept = {"enabled": True, "limit_s": 15.0, "misfire": "fire_once", "overlap": "skip", "delivery": "at_most_once"}
    state = {"breaker_threshold": 5, "breaker_state": "closed", "consecutive_failures": 0, "openings": 0}
    return {"name": name, **told, **kept, **state, "revision": 1, "created_at": 0, **columns}


def enter_daemon(store: Store, *, lives: bool) -> None:
    until = datetime.now(UTC) + timedelta(seconds=5 if lives else -5)
    row = {"id": 7 + lives, "host": "elsewhere", "pid": 1, "process_started": "", "wake_port": 0, "started_at": 0}
    with store.writing() as connection:
        connection.execute(insert(daemons).values(**row, lease_until=stamp(until)))


def test_overdue_timers_are_bad_where_a_daemon_runs(store: Store) -> None:
    """Without one they wait for it, which is worth a look only."""
    with store.writing() as connection:
        late = stamp(datetime.now(UTC) - timedelta(minutes=5))
        connection.execute(insert(timers).values(timer_row("late", next_fire_at=late)))
    assert looked_at(store)["timers"].state is Severity.WARNING
    enter_daemon(store, lives=True)
    found = looked_at(store)["timers"]
    assert found.state is Severity.BAD
    assert "1 are overdue, the longest by 5 min, though a daemon runs" in found.text


def test_an_open_breaker_is_named_with_its_error(store: Store) -> None:
    """And how to close it."""
    with store.writing() as connection:
        state = {"breaker_state": "open", "consecutive_failures": 5, "last_error": "ValueError: no luck"}
        connection.execute(insert(timers).values(timer_row("bad", **state)))
    found = looked_at(store)["breakers"]
    assert found.state is Severity.WARNING
    assert "bad (production) is open after 5 failures: ValueError: no luck" in found.text
    assert "timers reset" in found.text


def test_leases_are_told_apart(store: Store) -> None:
    """A daemon that lives is named, one whose lease ran out is counted."""
    enter_daemon(store, lives=True)
    assert looked_at(store)["daemons"].state is Severity.WELL
    enter_daemon(store, lives=False)
    found = looked_at(store)["daemons"]
    assert found.state is Severity.WARNING
    assert "1 fire timers: elsewhere (process 1" in found.text
    assert "the leases of 1 more ran out" in found.text


def test_a_store_on_postgresql_has_its_clock_and_its_notifications_looked_at(postgres: Server) -> None:
    """Real ones: server and daemon share a machine here, and nothing stands in between."""
    with postgres.database() as url, Store(url) as store:
        found = looked_at(store)
        assert {finding.state for finding in found.values()} == {Severity.WELL}
        assert "PostgreSQL 1" in found["store"].text
        assert "LISTEN and NOTIFY come through" in found["notifications"].text


def test_a_pooler_that_swallows_notifications_is_found(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As transaction pooling does: the session that asked is not the one that listens."""
    monkeypatch.setattr(store_checks, "_NOTICE_WITHIN_S", 0.1)
    with postgres.database() as url, Store(url) as store:
        own_connection = store.own_connection

        def pooled() -> Any:
            connection = own_connection()
            execute = connection.exec_driver_sql
            monkeypatch.setattr(connection, "exec_driver_sql", lambda sql: execute(sql.replace("LISTEN", "UNLISTEN")))
            return connection

        monkeypatch.setattr(store, "own_connection", pooled)
        found = looked_at(store)["notifications"]
    assert found.state is Severity.BAD
    assert "session pooling" in found.text


def test_a_read_only_store_is_bad(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to look at; the exit status is 1."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60")

    def refused(store: Store) -> None:
        with store.reading() as connection:
            connection.exec_driver_sql("PRAGMA query_only = on")
        with store.writing() as connection:
            connection.execute(update(timers).values(revision=2))

    monkeypatch.setattr(Store, "check_writable", refused)
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "the store is read-only" in result.stdout


@pytest.mark.parametrize(
    ("databases", "year", "state"),
    [
        ({"pytz": "2026a", "system": "2025b", "tzdata": ""}, 2026, Severity.WELL),
        ({"pytz": "2025b", "system": "2026a"}, 2026, Severity.WARNING),
        ({"pytz": "2024a"}, 2026, Severity.WARNING),
        ({"pytz": ""}, 2026, Severity.WARNING),
    ],
)
def test_an_old_zone_database_is_worth_a_look(
    monkeypatch: pytest.MonkeyPatch, databases: dict[str, str], year: int, state: Severity
) -> None:
    """By itself, or because another at hand is newer; an older one that nobody asks is not."""
    monkeypatch.setattr(machine, "zone_databases", lambda: databases)
    found = machine.zones(date(year, 6, 1))
    assert found.state is state
    assert ("pip install -U pytz" in found.text) == (state is Severity.WARNING)


@pytest.mark.parametrize(
    ("free", "state"), [(50 * 2**20, Severity.BAD), (500 * 2**20, Severity.WARNING), (2**40, Severity.WELL)]
)
def test_a_disk_without_room_is_found_before_the_store_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: Severity
) -> None:
    """So much is free where the store is."""
    usage = os.statvfs(tmp_path)

    def measured(_: Path) -> Any:
        return type("usage", (), {"free": free, "total": usage.f_blocks * usage.f_frsize})

    monkeypatch.setattr(machine.shutil, "disk_usage", measured)
    assert machine.disk(tmp_path).state is state


def test_a_clock_that_is_being_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes otherwise than the monotonic one while we look."""
    times: Callable[[], float] = iter([1000.0, 1000.5]).__next__
    monkeypatch.setattr(machine.time, "time", times)
    found = machine.clock(UTC)
    assert found.state is Severity.WARNING
    assert "something sets the clock" in found.text
