"""Several daemons on one store: each race is played move by move, on both databases where it can take place."""

from datetime import timedelta

import pytest
from sqlalchemy import select as select_sql

from scheduler.claims.claims import Claims
from scheduler.claims.due_timers import TAKE_DUE
from scheduler.claims.requested_runs import request_run
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Environment
from scheduler.core.timestamps import stamp
from scheduler.store.schema import timers
from tests.scheduler.claims.second_daemon import Second, begin_runs
from tests.scheduler.scripted_service import FAILURE, START, Service

PRODUCTION = Environment.PRODUCTION


def test_two_daemons_take_a_due_timer_once(service: Service, second: Second) -> None:
    """The second one finds nothing."""
    begin_runs(service)
    service.settle()
    second.step()
    assert (len(service.executor.begun), len(second.executor.begun)) == (1, 0)


def test_two_daemons_begin_a_waiting_run_once(service: Service, second: Second) -> None:
    """A manual run is taken by the first daemon that reads it."""
    service.add(seconds=3600)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    second.daemon.wake()
    second.step()
    service.settle()
    assert (len(service.executor.begun), len(second.executor.begun)) == (0, 1)


def test_a_timer_that_another_daemon_runs_is_skipped_over(service: Service, second: Second) -> None:
    """The overlap policy holds across daemons."""
    service.add(seconds=10)
    service.clock.advance(10)
    second.step()
    service.after(10)
    assert service.rows() == [(10, 1, None), (20, 1, "skipped_overlap")]


def test_an_attempt_that_another_daemon_entered_is_begun_when_that_is_gone(service: Service, second: Second) -> None:
    """It was not notified; it is found in time all the same."""
    service.add(seconds=30, retries=1, retry_backoff_s=8)
    for _ in range(29):
        service.after(1)
        second.settle()
    service.clock.advance(1)
    second.settle()
    service.settle()
    second.executor.end(second.executor.going_on[0], *FAILURE)
    second.settle()
    second.daemon.close()
    assert [run.attempt for run in service.history.runs()] == [2, 1]
    for _ in range(16):
        service.clock.advance(0.5)
        service.daemon.step()  # type: ignore[union-attr]
    assert [task.attempt for task in service.executor.begun] == [2]


def test_a_waiting_run_begins_when_another_daemons_run_has_ended(service: Service, second: Second) -> None:
    """queue_one, across daemons."""
    service.add(seconds=10, overlap=OverlapPolicy.QUEUE_ONE)
    service.clock.advance(10)
    second.step()
    service.after(10)
    assert service.executor.begun == []
    second.executor.end(second.executor.going_on[0])
    second.step()
    service.after(1)
    second.step()
    begun = [*service.executor.begun, *second.executor.begun]
    assert [task.fire_time - START for task in begun] in (
        [timedelta(seconds=20), timedelta(seconds=10)],
        [timedelta(seconds=10), timedelta(seconds=20)],
    )


def test_any_text_that_a_function_prints_can_be_stored(service: Service) -> None:
    """A NUL, which PostgreSQL refuses, and half of a surrogate pair, which is no character."""
    begin_runs(service)
    service.settle()
    (task,) = service.executor.going_on
    service.executor.print(task, "a\0b\ud800c")
    service.executor.end(task)
    service.settle()
    assert [line.text for line in service.history.lines(task.run_id)] == ["a\ufffdb?c"]
    assert service.rows() == [(10, 1, "succeeded")]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
class TestOnPostgreSQL:
    """What takes two open transactions that write, which SQLite never has."""

    def test_what_another_daemon_is_about_to_take_is_left_to_it(self, service: Service, second: Second) -> None:
        """The loop neither waits for its transaction, nor reads its timers, nor spins meanwhile."""
        begin_runs(service)
        now = service.clock.now()
        due = {"now": stamp(now), "limit": 10, "without": ""}
        with service.store.writing() as connection:
            tasks = Claims(service.store, second.daemon._lease)._claim_due(connection, now, TAKE_DUE, due)
            assert service.daemon is not None
            assert service.daemon.step() > 0
        assert (len(tasks), service.executor.begun) == (1, [])

    def test_a_waiting_run_is_not_begun_while_its_timer_is_locked(self, service: Service, second: Second) -> None:
        """Another transaction may be beginning a run of it, which cannot be seen yet."""
        service.add(seconds=3600)
        request_run(service.store, "t", PRODUCTION, now=service.clock.now())
        with service.store.writing() as connection:
            connection.execute(select_sql(timers.c.id).with_for_update())
            service.settle()
            assert service.executor.begun == []
        service.after(1)
        assert len(service.executor.begun) == 1
