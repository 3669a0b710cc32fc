"""Policies of timers in a store: overlaps, grace and catch-up, the number of runs, and what a failure does."""

from collections import Counter
from datetime import timedelta

import pytest

from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Kind
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from scheduler.errors import TimerError
from scheduler.store.change_pages import last_change
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import Second
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, ScriptedExecutor, Service, kill, settle

PRODUCTION = Environment.PRODUCTION


def at(service: Service) -> list[int]:
    """The fire times of the runs that have begun, in seconds after START."""
    return [round((task.fire_time - START).total_seconds()) for task in service.executor.begun]


def goes_on(service: Service, **options: object) -> None:
    """A timer each 10 seconds whose functions go on until the test ends them; the first one has begun."""
    service.executor.script = lambda _: None
    service.add(seconds=10, **options)
    service.settle()
    service.after(10)


def test_queue_all_runs_each_fire_time_one_after_the_other(service: Service) -> None:
    """None is skipped."""
    goes_on(service, overlap=OverlapPolicy.QUEUE_ALL)
    for _ in range(4):
        service.after(10)
    assert at(service) == [10]
    for _ in range(5):
        service.executor.end(service.executor.going_on[0])
        service.settle()
    assert at(service) == [10, 20, 30, 40, 50]


def test_cancel_other_ends_the_run_that_goes_on(service: Service) -> None:
    """The new one begins when it is gone; it is not counted as a failure."""
    goes_on(service, overlap=OverlapPolicy.CANCEL_OTHER)
    service.after(10)
    service.after(10)
    assert at(service) == [10, 20, 30]
    assert [outcome for _, _, outcome in service.rows()] == ["cancelled", "cancelled", None]
    assert service.timetable.get("t").breaker.consecutive_failures == 0


def test_cancel_other_replaces_a_run_that_still_waits(service: Service) -> None:
    """Where the executor cannot end the one before."""
    service.executor.cancel = lambda _: None  # type: ignore[method-assign]
    goes_on(service, overlap=OverlapPolicy.CANCEL_OTHER)
    service.after(10)
    service.after(10)
    assert (at(service), [outcome for _, _, outcome in service.rows()]) == ([10], [None, "cancelled", None])
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert at(service) == [10, 30]


def test_cancel_other_ends_the_run_of_another_daemon(service: Service, second: Second) -> None:
    """Which is woken for that."""
    goes_on(service, overlap=OverlapPolicy.CANCEL_OTHER)
    service.clock.advance(10)
    second.settle()
    assert [outcome for _, _, outcome in service.rows()] == [None, None]
    service.settle()
    second.settle()
    assert [outcome for _, _, outcome in service.rows()] == ["cancelled", None]


def test_allow_runs_as_many_as_max_concurrent_at_a_time(service: Service) -> None:
    """What is over that is skipped."""
    goes_on(service, overlap=OverlapPolicy.ALLOW, max_concurrent=2)
    service.after(10)
    service.after(10)
    assert (at(service), service.rows()[-1]) == ([10, 20], (30, 1, "skipped_overlap"))
    service.executor.end(service.executor.going_on[0])
    service.after(10)
    assert at(service) == [10, 20, 40]


@pytest.mark.parametrize(("max_concurrent", "begun"), [(1, []), (2, [120])])
def test_a_further_attempt_begins_while_there_is_room(service: Service, max_concurrent: int, begun: list[int]) -> None:
    """With allow, beside runs in progress of other fire times, up to max_concurrent."""
    attempts = {60: None, 120: FAILURE}
    options = {"overlap": OverlapPolicy.ALLOW, "retries": 1, "retry_backoff_s": 1, "breaker_threshold": 0}
    service.executor.script = lambda task: (
        attempts[round((task.fire_time - START).total_seconds())] if task.attempt == 1 else None
    )
    service.add(seconds=60, max_concurrent=2, **options)
    service.settle()
    service.after(60)
    service.after(60)
    service.timetable.edit("t", PRODUCTION, {"max_concurrent": max_concurrent}, now=service.clock.now())
    service.after(1)
    again = [task for task in service.executor.going_on if task.attempt == 2]
    assert [round((task.fire_time - START).total_seconds()) for task in again] == begun


def test_a_timer_has_its_own_grace_and_catch_up(service: Service) -> None:
    """What is later than the grace is missed; what is later than the catch-up does not run."""
    service.add("patient", seconds=60, grace_s=50, misfire=MisfirePolicy.SKIP)
    service.add("strict", seconds=60, grace_s=0.5)
    service.add("limited", seconds=60, catch_up_s=30, misfire=MisfirePolicy.FIRE_ALL)
    service.settle()
    service.after(60 + 45)
    assert sorted(task.timer for task in service.executor.begun) == ["patient", "strict"]
    assert {run.timer: run.outcome for run in service.history.runs()} == {
        "patient": "succeeded",
        "strict": "succeeded",
        "limited": "misfired",
    }
    with pytest.raises(TimerError, match="less than grace_s"):
        service.add("wrong", grace_s=10, catch_up_s=5)


def test_max_runs_is_kept_by_three_daemons(store: Store, clock: ManualClock) -> None:
    """Exactly so many scheduled runs begin of each timer, however the claims interleave; then it is finished."""
    timers = [
        Timer(name=f"t{n}", function="f", trigger=Cron("* * * * * ?", "UTC"), enabled=True, max_runs=n, overlap=overlap)
        for n, overlap in enumerate((*OverlapPolicy, OverlapPolicy.ALLOW), start=1)
    ]
    TimerTable(store).add(timers, now=clock.now(), quota=0)
    executors = [ScriptedExecutor(clock) for _ in range(3)]
    daemons = [Daemon(store, {PRODUCTION: executor}, clock=clock) for executor in executors]
    for turn in range(40):
        clock.advance(0.3)
        for daemon in daemons[turn % 3 :] + daemons[: turn % 3]:
            daemon.wake()
            settle(daemon)
    begun = Counter(task.timer for executor in executors for task in executor.begun)
    assert begun == {timer.name: timer.max_runs for timer in timers}
    assert {entry.state for entry in TimerTable(store).list()} == {"finished"}
    for daemon in daemons:
        kill(daemon, store)


def test_runs_by_hand_and_retries_do_not_count_for_max_runs(service: Service) -> None:
    """And enabling the timer, or another number, begins to count anew."""
    service.executor.script = lambda _: FAILURE
    service.add(seconds=10, max_runs=2, retries=1, retry_backoff_s=1, breaker_threshold=0)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    for _ in range(20):
        service.after(2)
    kinds = Counter((task.kind, task.attempt) for task in service.executor.begun)
    assert kinds == {(Kind.MANUAL, 1): 1, (Kind.SCHEDULED, 1): 2, (Kind.SCHEDULED, 2): 2}
    assert service.timetable.get("t").state == "finished"
    service.timetable.edit("t", PRODUCTION, {"max_runs": 1}, now=service.clock.now())
    assert service.timetable.get("t").state == "enabled"
    service.after(10)
    assert service.timetable.get("t").state == "finished"


def test_a_run_that_is_given_back_does_not_count(service: Service) -> None:
    """The next daemon runs it; none is lost, none is run twice."""
    service.executor.script = lambda _: None
    service.add(seconds=10, max_runs=3)
    service.settle()
    service.after(10)
    assert service.daemon is not None
    (task,) = service.executor.going_on
    service.daemon._claims.give_back([task], service.clock.now())
    service.kill()
    service.executor.script = lambda _: SUCCESS
    service.start()
    service.settle()
    for _ in range(5):
        service.after(10)
    assert at(service) == [10, 20, 30]


def test_pause_on_failure_disables_the_timer(service: Service) -> None:
    """After the last attempt; who reads the changes sees why. A run by hand that fails does not."""
    service.executor.script = lambda _: FAILURE
    service.add(seconds=60, pause_on_failure=True, retries=1, retry_backoff_s=5)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    service.after(60)
    assert service.timetable.get("t").state == "enabled"
    service.after(6)
    assert service.timetable.get("t").state == "disabled"
    with service.store.reading() as connection:
        change = last_change(connection, "t", PRODUCTION)
    assert change is not None
    assert "failed, and pause_on_failure is set" in change.why
    service.after(300)
    assert len(service.executor.begun) == 3


def test_a_daemon_that_was_killed_leaves_the_count_of_runs(service: Service) -> None:
    """What was claimed counts, whatever becomes of it."""
    service.executor.script = lambda _: None
    service.add(seconds=10, max_runs=2, overlap=OverlapPolicy.ALLOW)
    service.settle()
    service.after(10)
    service.kill()
    service.start()
    for _ in range(5):
        service.after(10)
    history = RunHistory(service.store).runs()
    assert sorted(round((run.fire_time - START) / timedelta(seconds=1)) for run in history) == [10, 20]
