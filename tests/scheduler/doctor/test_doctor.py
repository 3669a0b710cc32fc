"""scheduler doctor: a finding for each check, with its severity and the fix."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, update

from scheduler.core.timestamps import stamp
from scheduler.doctor import http_check, machine, store_checks
from scheduler.doctor.findings import Finding, Severity
from scheduler.engine import Engine
from scheduler.store.database import Store
from scheduler.store.schema import daemons, runs, timers
from tests.scheduler.broker_servers import free_port
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.engine.real_server import serving
from tests.scheduler.postgres_server import Server


def test_a_project_in_order_has_no_error(command_line: CommandLine) -> None:
    """Every check is listed with its severity; exit status 0."""
    command_line.write("cloud.py", CLOUD)
    # On the usual port, a service of this machine's user may answer.
    command_line.write("scheduler.toml", f"port = {free_port()}\n")
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60", "--enable")
    found = {finding["name"]: finding for finding in command_line.json("doctor")}
    assert list(found) == (
        [
            "versions",
            "settings",
            "rules",
            "clock",
            "zones",
            "disk",
            "store",
            "daemons",
            "timers",
            "runs",
            "breakers",
            "functions",
            "workers",
        ]
    )
    assert all(finding["ok"] for finding in found.values())
    assert "schema 0" in found["store"]["text"]
    assert "journal wal of" in found["store"]["text"]
    assert "1 timer, 1 enabled; the next fires at 20" in found["timers"]["text"]
    assert found["daemons"]["state"] == "warning"
    assert "no daemon runs, and 1 enabled timer will not fire: " in found["daemons"]["text"]
    assert "pytz 20" in found["zones"]["text"]
    assert "answered a call in" in found["workers"]["text"]


def test_errors_are_listed_and_do_not_keep_further_checks_from_running(command_line: CommandLine) -> None:
    """A missing store and a cloud.py that raises: exit status 1."""
    command_line.write("cloud.py", "1 / 0\n")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count("!!") == 3
    assert "there is no store at" in result.stdout
    assert "ZeroDivisionError" in result.stdout


def test_a_finding_is_one_line(command_line: CommandLine) -> None:
    """Where the folder has no cloud.py, the example of one in the message is left out."""
    found = {finding["name"]: finding for finding in json.loads(command_line.run("doctor", "--json").stdout)}
    assert found["functions"]["text"].endswith("name the file of your functions, or write a cloud.py")


def test_a_timer_without_its_function_is_an_error(command_line: CommandLine) -> None:
    """The function was renamed after the timer was added."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "helo", "--every", "60", "--no-check")
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "timer 't' calls 'helo', which cloud.py does not define; did you mean 'hello'?" in result.stdout


def test_a_declaration_that_up_leaves_out_is_an_error(command_line: CommandLine) -> None:
    """One with an unknown option."""
    declared = "\n\n@engine.timer(every_s=5)\n@engine.define\ndef tick():\n    pass\n"
    command_line.write("cloud.py", CLOUD + declared)
    result = command_line.run("doctor")
    assert result.exit_code == 1
    assert "@engine.timer of 'tick' (cloud.py:" in result.stdout
    assert "there is no option 'every_s'; options are every, at," in result.stdout


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(str(tmp_path / "a.db")) as store:
        yield store


def findings_of(store: Store) -> dict[str, Finding]:
    file = Path(str(store.url.database)) if store.files else None
    return {finding.name: finding for finding in store_checks.check_store(store, file, UTC)}


def timer_row(name: str, **columns: object) -> dict[str, object]:
    every_minute = {"trigger_kind": "every", "trigger": '{"seconds":60,"anchor_at":0}'}
    definition = {"environment": "production", "function": "f", "params": "{}", **every_minute}
    options = {"enabled": True, "limit_s": 15.0, "misfire": "fire_once", "overlap": "skip", "delivery": "at_most_once"}
    state = {"breaker_threshold": 5, "breaker_state": "closed", "consecutive_failures": 0, "openings": 0}
    return {"name": name, **definition, **options, **state, "revision": 1, "created_at": 0, **columns}


def insert_daemon(store: Store, *, lives: bool, left: float = 0.9) -> None:
    until = datetime.now(UTC) + (left * store.lease if lives else timedelta(seconds=-5))
    row = {"id": 7 + lives, "host": "elsewhere", "pid": 1, "process_started": "", "wake_port": 0, "started_at": 0}
    with store.writing() as connection:
        connection.execute(insert(daemons).values(**row, lease_until=stamp(until)))


def test_overdue_timers_are_an_error_where_a_daemon_runs(store: Store) -> None:
    """Without one they wait for it, which is only a warning."""
    with store.writing() as connection:
        late = stamp(datetime.now(UTC) - timedelta(minutes=5))
        connection.execute(insert(timers).values(timer_row("late", next_fire_at=late)))
    assert findings_of(store)["timers"].severity is Severity.WARNING
    insert_daemon(store, lives=True)
    found = findings_of(store)["timers"]
    assert found.severity is Severity.ERROR
    assert "1 timer, 1 enabled; 1 overdue, the longest by 5 min, though a daemon runs" in found.text


def test_an_overdue_timer_whose_zone_is_unknown_is_named(store: Store) -> None:
    """It is not said that the daemon is overloaded."""
    with store.writing() as connection:
        late = stamp(datetime.now(UTC) - timedelta(minutes=5))
        trigger = {"trigger_kind": "cron", "trigger": '{"expression":"* * * * * ?","tz":"Mars/Olympus","dst":"vixie"}'}
        connection.execute(insert(timers).values(timer_row("lost", next_fire_at=late) | trigger))
    insert_daemon(store, lives=True)
    found = findings_of(store)["timers"]
    assert found.severity is Severity.ERROR
    assert "; 1 timer cannot fire here: lost in production (" in found.text
    assert "unknown time zone 'Mars/Olympus'" in found.text


def test_runs_that_should_have_ended_long_ago_are_named(store: Store) -> None:
    """A run that was claimed and that no worker begins; one within its limit is in order."""
    now = datetime.now(UTC)
    run = {
        "timer": "stuck",
        "function": "hello",
        "environment": "production",
        "kind": "scheduled",
        "fire_at": 0,
        "last_fire_at": 0,
        "count": 1,
        "attempt": 1,
        "request_id": "r",
        "message": "",
        "lines_dropped": 0,
        "owner": 7,
    }
    with store.writing() as connection:
        row = timer_row("stuck", limit_s=60.0)
        timer_id = connection.execute(insert(timers).values(row).returning(timers.c.id)).scalar_one()
        claimed_at = stamp(now - timedelta(minutes=2))
        connection.execute(insert(runs).values(**run, timer_id=timer_id, claimed_at=claimed_at))
    assert findings_of(store)["runs"].severity is Severity.OK
    with store.writing() as connection:
        connection.execute(update(runs).values(claimed_at=stamp(now - timedelta(minutes=5))))
    found = findings_of(store)["runs"]
    assert found.severity is Severity.WARNING
    assert "1 run should have ended by its limit, the first was claimed 5 min ago: stuck (production);" in found.text


def test_runs_that_wait_for_a_free_worker_are_counted(store: Store) -> None:
    """More have been claimed than can go on at once; those of a moment ago are in order."""
    now = datetime.now(UTC)
    with store.writing() as connection:
        lease = {"host": "h", "pid": 1, "process_started": "", "wake_port": 1, "started_at": stamp(now)}
        connection.execute(insert(daemons).values(**lease, id=7, lease_until=stamp(now + timedelta(hours=1))))
        timer_id = connection.execute(insert(timers).values(timer_row("t")).returning(timers.c.id)).scalar_one()
        run = {"timer": "t", "function": "f", "environment": "production", "kind": "scheduled", "fire_at": 0}
        run |= {"last_fire_at": 0, "count": 1, "attempt": 1, "request_id": "r", "message": "", "lines_dropped": 0}
        for seconds in (0, 10, 10, 10):
            claimed_at = stamp(now - timedelta(seconds=seconds))
            connection.execute(insert(runs).values(**run, owner=7, timer_id=timer_id, claimed_at=claimed_at))

    def found(most: int) -> Finding:
        every = store_checks.check_store(store, None, UTC, max_workers=most)
        return next(finding for finding in every if finding.name == "runs")

    assert found(3).severity is Severity.OK
    assert found(2).severity is Severity.WARNING
    assert "3 are claimed, and at most 2 run at once, so 1 or more wait for a free worker" in found(2).text


def test_an_open_breaker_is_listed_with_its_error(store: Store) -> None:
    """And how to close it."""
    with store.writing() as connection:
        state = {"breaker_state": "open", "consecutive_failures": 5, "last_error": "ValueError: no luck"}
        connection.execute(insert(timers).values(timer_row("bad", **state)))
    found = findings_of(store)["breakers"]
    assert found.severity is Severity.WARNING
    assert "bad (production) is open after 5 failures: ValueError: no luck" in found.text
    assert "timers reset" in found.text


def test_a_daemon_whose_loop_hangs_is_an_error(store: Store) -> None:
    """It counts as alive until its lease ends, but it should have renewed that."""
    insert_daemon(store, lives=True, left=0.1)
    found = findings_of(store)["daemons"]
    assert found.severity is Severity.ERROR
    assert "process 1 of elsewhere has not renewed its lease for " in found.text


def test_a_server_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections, as the system does for it; where nobody listens, nothing is wrong."""
    monkeypatch.setattr(http_check, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (found,) = http_check.check_http("0.0.0.0", port)
    assert found.severity is Severity.ERROR
    assert f"127.0.0.1 port {port} takes connections, but does not answer within 0.2 s" in found.text
    assert list(http_check.check_http("127.0.0.1", port)) == []
    with serving(Engine()) as url:
        (found,) = http_check.check_http("127.0.0.1", int(url.rpartition(":")[2]))
    assert found.severity is Severity.OK


def test_an_expired_lease_is_a_warning(store: Store) -> None:
    """A living daemon is listed, one whose lease expired is counted."""
    insert_daemon(store, lives=True)
    assert findings_of(store)["daemons"].severity is Severity.OK
    insert_daemon(store, lives=False)
    found = findings_of(store)["daemons"]
    assert found.severity is Severity.WARNING
    assert "1 daemon: elsewhere (process 1" in found.text
    assert ", and 1 expired lease" in found.text


def test_clock_and_notifications_of_a_postgresql_store_are_checked(postgres: Server) -> None:
    """Real ones: server and daemon share a machine here, without a pooler in between."""
    with postgres.database() as url, Store(url) as store:
        found = findings_of(store)
        assert {finding.severity for finding in found.values()} == {Severity.OK}
        assert "PostgreSQL 1" in found["store"].text
        assert "a NOTIFY reached its LISTEN in " in found["notifications"].text


def test_a_pooler_that_drops_notifications_is_an_error(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As transaction pooling does: the session that asked is not the one that listens."""
    monkeypatch.setattr(store_checks, "_NOTIFICATION_TIMEOUT_S", 0.1)
    with postgres.database() as url, Store(url) as store:
        own_connection = store.own_connection

        def pooled() -> Any:
            connection = own_connection()
            execute = connection.exec_driver_sql
            monkeypatch.setattr(connection, "exec_driver_sql", lambda sql: execute(sql.replace("LISTEN", "UNLISTEN")))
            return connection

        monkeypatch.setattr(store, "own_connection", pooled)
        found = findings_of(store)["notifications"]
    assert found.severity is Severity.ERROR
    assert "session pooling" in found.text


def test_a_read_only_store_is_an_error(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding says what to check; exit status 1."""
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
        ({"pytz": "2026a", "system": "2025b", "tzdata": ""}, 2026, Severity.OK),
        ({"pytz": "2025b", "system": "2026a"}, 2026, Severity.WARNING),
        ({"pytz": "2024a"}, 2026, Severity.WARNING),
        ({"pytz": ""}, 2026, Severity.WARNING),
    ],
)
def test_an_old_zone_database_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, databases: dict[str, str], year: int, state: Severity
) -> None:
    """Old by its year, or older than another one; that one which is not used is older is no warning."""
    monkeypatch.setattr(machine, "zone_databases", lambda: databases)
    found = machine.check_zone_databases(date(year, 6, 1))
    assert found.severity is state
    assert ("pip install -U pytz" in found.text) == (state is Severity.WARNING)


@pytest.mark.parametrize(
    ("free", "state"), [(50 * 2**20, Severity.ERROR), (500 * 2**20, Severity.WARNING), (2**40, Severity.OK)]
)
def test_a_full_disk_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: Severity) -> None:
    """By the free bytes of the disk of the store."""
    usage = os.statvfs(tmp_path)

    def measured(_: Path) -> Any:
        return type("usage", (), {"free": free, "total": usage.f_blocks * usage.f_frsize})

    monkeypatch.setattr(machine.shutil, "disk_usage", measured)
    assert machine.check_disk(tmp_path).severity is state


def test_a_clock_that_is_older_than_the_zone_databases_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands at 1970 where there is no battery and no network; these databases are of years to come."""
    monkeypatch.setattr(machine, "zone_databases", lambda: {"pytz": "2199a", "system": ""})
    found = machine.check_clock(UTC)
    assert found.severity is Severity.ERROR
    assert "it is behind: the time zone database is of 2199" in found.text


def test_a_clock_that_is_being_set_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall clock and monotonic clock differ during the check."""
    times: Callable[[], float] = iter([1000.0, 1000.5]).__next__
    monkeypatch.setattr(machine.time, "time", times)
    found = machine.check_clock(UTC)
    assert found.severity is Severity.WARNING
    assert "the clock is being set at this moment" in found.text
