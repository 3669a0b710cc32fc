"""A SQLite store that cannot be written for a while: the daemon reports it once, waits, and goes on where it was."""

from __future__ import annotations

import logging
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from scheduler.daemon.turn_errors import RETRY_S
from scheduler.store.database import Store
from scheduler.store.outage import STEADY_S
from scheduler.store.schema import lines, runs, timers
from tests.scheduler.daemon_processes import account, daemon_group
from tests.scheduler.scripted_service import Service
from tests.waiting import eventually, slowdown, slowed

TIMERS = 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store in a file."""
    with Store(str(tmp_path / "a.db"), busy_timeout_s=0.02) as store:
        yield store


@contextmanager
def full(store: Store) -> Iterator[None]:
    """The file cannot grow."""
    with store.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite lowers it only to the number of pages in use
    yield
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")


@contextmanager
def read_only(store: Store) -> Iterator[None]:
    """The file can only be read; a connection that is made meanwhile stays read-only."""

    def refuse_to_write(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA query_only = on")

    store.close()
    event.listen(store._engine, "connect", refuse_to_write)
    yield
    event.remove(store._engine, "connect", refuse_to_write)


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Another program holds the write lock, for longer than the busy timeout."""
    other = sqlite3.connect(str(store.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


def contents(store: Store) -> list[Any]:
    """The rows of the store, except the lease, which may be renewed while nothing larger can be written."""
    with store.reading() as connection:
        return [connection.execute(table.select().order_by(table.c.id)).all() for table in (timers, runs, lines)]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (full, "the disk is full; free some space"),
        (read_only, "the store is read-only; check the permissions"),
        (locked, "the store is locked by another program"),
    ],
)
def test_the_daemon_outlives_a_store_that_cannot_be_written(
    store: Store,
    service: Service,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[Store], AbstractContextManager[None]],
    words: str,
) -> None:
    """Nothing is half-written, nothing lost; one log line reports the fault, and one its end."""
    caplog.set_level(logging.INFO)
    service.executor.script = lambda _: None
    service.add(seconds=10)
    service.after(10)
    (task,) = service.executor.going_on
    before = contents(store)
    with fault(store):
        for number in range(100):
            service.executor.print(task, f"{number} " + "x" * 4000)
        service.executor.end(task)
        for _ in range(3):
            service.clock.advance(RETRY_S)
            assert service.daemon is not None
            assert service.daemon.turn() == RETRY_S
        assert contents(store) == before
    for _ in range(2):
        service.daemon.turn()
    service.after(10)
    assert service.rows() == [(10, 1, "succeeded"), (20, 1, None)]
    assert len(service.history.lines(task.run_id)) == 100
    service.clock.advance(STEADY_S)
    service.daemon.turn()
    said = [record.getMessage() for record in caplog.records if record.name == "scheduler.daemon"]
    assert len(said) == 2
    assert words in said[0]
    assert said[1].endswith("the store answers again")


def test_the_misfire_policy_decides_about_fire_times_missed_meanwhile(store: Store, service: Service) -> None:
    """An hour without a store is one run, and a row that counts the rest."""
    service.add(seconds=60)
    service.settle()
    with locked(store):
        service.clock.advance(3600)
        service.daemon.turn()  # type: ignore[union-attr]
    service.daemon.turn()  # type: ignore[union-attr]
    service.settle()
    assert service.rows() == [(60, 59, "misfired"), (3600, 1, "succeeded")]


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the fault is made by Linux")
def test_a_disk_that_takes_nothing_for_seconds_costs_nothing(tmp_path: Path) -> None:
    """A real daemon under load, whose writes all fail; the processes that run its functions go on."""
    with daemon_group(str(tmp_path / "a.db"), tmp_path) as group:
        group.add(TIMERS, overlap=OverlapPolicy.ALLOW)
        group.start(1)
        (daemon,) = group.daemons
        eventually(lambda: len(group.notes()), lambda seen: seen > TIMERS)
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        time.sleep(2)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, limits)
        back_at = time.time()
        eventually(
            lambda: len([note for note in group.notes() if note.begun_at > back_at]), lambda seen: seen > 2 * TIMERS
        )
        result = account(group, group.end())
        fires_again_s = min(note.begun_at for note in group.notes() if note.begun_at > back_at) - back_at
        print(f"fired again {fires_again_s:.3f} s after the return")
        assert daemon.returncode == 0
        assert (result.doubled, result.lost, result.fired + result.passed_over) == (0, 0, result.due)
        assert result.passed_over == 0 or slowdown() > 1
        # What it logs meanwhile goes to a file, which takes nothing either.
        assert group.logs[0].count("answers again") == 1
        assert Outcome.ABANDONED not in {run.outcome for run in group.runs()}
        assert fires_again_s < slowed(1)
