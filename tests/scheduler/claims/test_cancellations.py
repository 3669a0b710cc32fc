"""Runs that a user cancels: each ends as cancelled, whichever process has it, and never begins again."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_run
from scheduler.core.breaker import BreakerState
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Delivery, Environment
from scheduler.errors import RunError
from scheduler.store.schema import daemons, runs
from tests.scheduler.claims.second_daemon import Second, begin_runs
from tests.scheduler.scripted_service import FAILURE, Service

PRODUCTION = Environment.PRODUCTION


def cancel(service: Service, run_id: int) -> Run:
    return request_cancel(service.store, run_id, now=service.clock.now())


def outcome(service: Service, run_id: int) -> str | None:
    run = service.history.run(run_id)
    assert run is not None
    return run.outcome


def begun(service: Service) -> int:
    """Let a run begin that goes on; returns its id."""
    begin_runs(service)
    service.settle()
    (task,) = service.executor.going_on
    return task.run_id


def test_a_run_that_goes_on_ends_in_the_daemons_next_turn(service: Service) -> None:
    """The request wakes the daemon, whose executor ends it; the next fire time runs."""
    run_id = begun(service)
    run = cancel(service, run_id)
    assert (run.outcome, run.cancel_requested_at) == (None, service.clock.now())
    service.settle()
    assert service.executor.going_on == []
    assert outcome(service, run_id) == "cancelled"
    service.after(10)
    assert len(service.executor.going_on) == 1


def test_a_run_that_waits_ends_at_once(service: Service) -> None:
    """Without any daemon."""
    run_id = begun(service)
    waiting = request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    assert cancel(service, waiting).outcome is Outcome.CANCELLED
    service.settle()
    assert [task.run_id for task in service.executor.going_on] == [run_id]


def test_a_run_is_cancelled_once(service: Service) -> None:
    """A second request changes nothing; a run that has ended, and one that there is not, are refused."""
    run_id = begun(service)
    first = cancel(service, run_id).cancel_requested_at
    service.clock.advance(0.1)
    assert cancel(service, run_id).cancel_requested_at == first
    service.settle()
    with pytest.raises(RunError, match=f"run {run_id} of t has ended already: cancelled"):
        cancel(service, run_id)
    with pytest.raises(RunError, match="no run 999 in the store"):
        cancel(service, 999)


def test_what_was_claimed_ahead_does_not_begin(service: Service) -> None:
    """Its fire time is not yet come; it is not claimed a second time."""
    service.add(seconds=10)
    service.settle()
    service.clock.advance(9.999)
    service.settle()
    (run,) = service.history.runs()
    cancel(service, run.id)
    service.settle()
    service.after(0.5)
    assert (service.executor.begun, service.rows()) == ([], [(10, 1, "cancelled")])


def test_the_breaker_does_not_count_it(service: Service) -> None:
    """A cancelled probe leaves the breaker open, and the next fire time is the probe."""
    service.executor.script = lambda _: FAILURE
    service.add(seconds=30, breaker_threshold=1)
    service.settle()
    service.after(30)
    service.executor.script = lambda _: None
    service.after(60)
    breaker = service.timetable.get("t").breaker
    assert breaker.state is BreakerState.HALF_OPEN
    cancel(service, service.executor.going_on[0].run_id)
    service.settle()
    after = service.timetable.get("t").breaker
    assert (after.state, after.openings) == (BreakerState.OPEN, breaker.openings)
    service.after(30)
    assert len(service.executor.going_on) == 1


def test_it_is_not_tried_again(service: Service) -> None:
    """Neither after the cancellation, nor where the function failed before it could be ended."""
    service.executor.script = lambda _: None
    service.add(seconds=60, retries=3, retry_backoff_s=1)
    service.settle()
    service.after(60)
    service.executor.end(service.executor.going_on[0], *FAILURE)
    run = service.history.runs()[0]
    # The daemon has not read the result yet.
    cancel(service, run.id)
    service.settle()
    service.after(5)
    assert len(service.executor.begun) == 1
    assert service.rows() == [(60, 1, "failed")]


def test_an_attempt_that_waits_is_cancelled(service: Service) -> None:
    """The fire time is over with it."""
    service.executor.script = lambda _: FAILURE
    service.add(seconds=60, retries=3, retry_backoff_s=5)
    service.settle()
    service.after(60)
    attempt = service.history.runs()[0]
    assert attempt.attempt == 2
    cancel(service, attempt.id)
    service.after(20)
    assert service.rows() == [(60, 1, "failed"), (60, 1, "cancelled")]


@pytest.mark.parametrize("delivery", Delivery)
def test_after_a_kill_of_the_daemon_it_is_not_run_again(service: Service, delivery: Delivery) -> None:
    """Not even where an abandoned run would be delivered once more."""
    begin_runs(service, delivery=delivery)
    service.settle()
    run_id = service.executor.going_on[0].run_id
    cancel(service, run_id)
    service.kill()
    service.start()
    service.settle()
    assert (service.executor.begun, outcome(service, run_id)) == ([], "cancelled")


def test_a_daemon_that_stops_does_not_give_it_back(service: Service) -> None:
    """What it had claimed and not begun."""
    service.add(seconds=10)
    service.settle()
    service.clock.advance(9.999)
    service.settle()
    (run,) = service.history.runs()
    cancel(service, run.id)
    assert service.daemon is not None
    service.daemon.close()
    service.start()
    service.after(0.5)
    assert (service.executor.begun, service.rows()) == ([], [(10, 1, "cancelled")])


def test_it_is_cancelled_by_the_daemon_that_has_it(service: Service, second: Second) -> None:
    """Whichever of them reads the request."""
    begin_runs(service)
    second.settle()
    (task,) = second.executor.going_on
    cancel(service, task.run_id)
    service.settle()
    assert outcome(service, task.run_id) is None
    second.settle()
    assert outcome(service, task.run_id) == "cancelled"


def test_a_request_without_a_wake_up_is_found(service: Service) -> None:
    """Within half a minute."""
    run_id = begun(service)
    with service.store.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_requested_at=1))
    assert service.daemon is not None
    for _ in range(31):
        service.clock.advance(1)
        service.daemon.step()
    assert outcome(service, run_id) == "cancelled"


def test_what_the_executor_does_not_have_yet_is_asked_for_again(service: Service) -> None:
    """Such as a run that the watch has handed out meanwhile."""
    run_id = begun(service)
    (task,) = service.executor.going_on
    service.executor.going_on.clear()
    cancel(service, run_id)
    service.settle()
    assert outcome(service, run_id) is None
    service.executor.going_on.append(task)
    assert service.daemon is not None
    service.clock.advance(0.25)
    settle_without_a_wake_up(service)
    assert outcome(service, run_id) == "cancelled"


def settle_without_a_wake_up(service: Service) -> None:
    assert service.daemon is not None
    for _ in range(4):
        service.daemon.step()
        service.clock.advance(0.1)


def test_queued_fire_times_follow_the_cancelled_run(service: Service) -> None:
    """A cancelled run makes room for what waits for it."""
    begin_runs(service, overlap=OverlapPolicy.QUEUE_ONE)
    service.settle()
    first = service.executor.going_on[0].run_id
    service.after(10)
    cancel(service, first)
    service.settle()
    assert service.executor.begun[-1].fire_time - service.executor.begun[0].fire_time == timedelta(seconds=10)
    with service.store.reading() as connection:
        assert len(connection.execute(select(daemons.c.id)).all()) == 1
