"""A daemon that stops gives back every run that has not begun; on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pytest

from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.run import Task
from scheduler.core.timer import Environment
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from scheduler.store.database import Store
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, ScriptedExecutor, Service


class OneAtATime(ScriptedExecutor):
    """Begins a task when the one before has ended."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, lambda _: None)
        self.waiting_tasks: list[Task] = []

    def submit(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if self.going_on:
                self.waiting_tasks.append(task)
            else:
                super().submit([task])

    def withdraw(self) -> list[Task]:
        withdrawn, self.waiting_tasks = self.waiting_tasks, []
        return withdrawn


class OneAtATimeService(Service):
    executor: OneAtATime

    def start(self) -> None:
        self.executor = OneAtATime(self.clock)
        self.daemon = Daemon(self.store, {Environment.PRODUCTION: self.executor}, clock=self.clock)

    def stop(self) -> None:
        """Stop the daemon as a signal does; the run in progress ends."""
        assert self.daemon is not None
        self.daemon.stop()
        self.daemon.step()
        assert self.executor.waiting_tasks == []

    def next_daemon(self) -> None:
        """End the run in progress and the daemon; another one begins, whose runs all succeed at once."""
        assert self.daemon is not None
        for task in list(self.executor.going_on):
            self.executor.end(task)
        self.daemon.close()
        Service.start(self)
        self.executor.script = lambda _: SUCCESS
        self.after(1)


@pytest.fixture
def one_at_a_time(store: Store, clock: ManualClock) -> Iterator[OneAtATimeService]:
    service = OneAtATimeService(store, clock)
    yield service
    service.kill()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_what_has_not_begun_is_due_again(one_at_a_time: OneAtATimeService) -> None:
    """Only the run in progress is in the history; the next daemon runs the others, each once."""
    for name in ("a", "b", "c"):
        one_at_a_time.add(name)
    one_at_a_time.after(10)
    (running,) = one_at_a_time.executor.going_on
    one_at_a_time.stop()
    assert [run.timer for run in one_at_a_time.history.runs()] == [running.timer]
    others = {"a", "b", "c"} - {running.timer}
    assert {one_at_a_time.timetable.get(name).next_fire for name in others} == {at(10)}
    one_at_a_time.next_daemon()
    assert one_at_a_time.rows() == 3 * [(10, 1, "succeeded")]
    assert {task.timer for task in one_at_a_time.executor.begun} == others


def test_all_fire_times_of_a_timer_are_due_again_from_the_first_on(one_at_a_time: OneAtATimeService) -> None:
    """Where its runs may overlap; each is in one row, by its misfire policy."""
    one_at_a_time.add(overlap="allow", misfire="fire_all")
    for _ in range(3):
        one_at_a_time.after(10)
    one_at_a_time.stop()
    assert one_at_a_time.timetable.get("t").next_fire == at(20)
    one_at_a_time.next_daemon()
    one_at_a_time.after(1)
    assert one_at_a_time.rows() == [(10, 1, "succeeded"), (20, 1, "succeeded"), (30, 1, "succeeded")]


def test_a_requested_run_waits_for_the_next_daemon(one_at_a_time: OneAtATimeService) -> None:
    """Nothing of it is lost: the same row begins there."""
    one_at_a_time.add("a")
    one_at_a_time.add("b", seconds=3600)
    one_at_a_time.after(10)
    run_id = request_run(one_at_a_time.store, "b", Environment.PRODUCTION, now=one_at_a_time.clock.now())
    one_at_a_time.after(1)
    one_at_a_time.stop()
    run = one_at_a_time.history.run(run_id)
    assert run is not None
    assert (run.outcome, run.is_claimed) == (None, False)
    one_at_a_time.next_daemon()
    run = one_at_a_time.history.run(run_id)
    assert run is not None
    assert run.outcome == "succeeded"


def test_a_fire_whose_timer_was_disabled_meanwhile_waits(one_at_a_time: OneAtATimeService) -> None:
    """It had come before, so it runs, as it would have without the stop."""
    one_at_a_time.add("a")
    one_at_a_time.add("b")
    one_at_a_time.after(10)
    (waiting,) = one_at_a_time.executor.waiting_tasks
    one_at_a_time.timetable.disable(waiting.timer)
    one_at_a_time.stop()
    one_at_a_time.next_daemon()
    assert one_at_a_time.rows() == 2 * [(10, 1, "succeeded")]


@pytest.mark.parametrize("schedule", ["interval", "cron"])
def test_a_fire_whose_timer_was_disabled_for_a_while_waits(one_at_a_time: OneAtATimeService, schedule: str) -> None:
    """An interval is counted from when it is enabled, and neither fires for the time in between."""
    one_at_a_time.add("a", seconds=3600)
    one_at_a_time.add("b")
    if schedule == "cron":
        one_at_a_time.timetable.edit(
            "b", Environment.PRODUCTION, {"trigger": Cron("0/10 * * * * ?", tz="UTC")}, now=one_at_a_time.clock.now()
        )
    request_run(one_at_a_time.store, "a", Environment.PRODUCTION, now=one_at_a_time.clock.now())
    one_at_a_time.after(10)
    assert [task.timer for task in one_at_a_time.executor.waiting_tasks] == ["b"]
    one_at_a_time.timetable.disable("b")
    one_at_a_time.after(13)
    one_at_a_time.timetable.enable("b", now=one_at_a_time.clock.now())
    planned = one_at_a_time.timetable.get("b").next_fire
    one_at_a_time.stop()
    assert one_at_a_time.timetable.get("b").next_fire == planned
    one_at_a_time.next_daemon()
    assert sorted(one_at_a_time.rows()) == [(0, 1, "succeeded"), (10, 1, "succeeded")]


def test_a_fire_after_which_others_were_counted_waits(one_at_a_time: OneAtATimeService) -> None:
    """To set its timer back would count them twice."""
    one_at_a_time.add("a", seconds=3600)
    one_at_a_time.add("b")
    request_run(one_at_a_time.store, "a", Environment.PRODUCTION, now=one_at_a_time.clock.now())
    for _ in range(3):
        one_at_a_time.after(10)
    one_at_a_time.stop()
    assert one_at_a_time.timetable.get("b").next_fire == at(40)
    one_at_a_time.next_daemon()
    assert sorted(one_at_a_time.rows()) == [(0, 1, "succeeded"), (10, 1, "succeeded"), (20, 2, "skipped_overlap")]


def test_the_probe_of_a_breaker_that_did_not_begin_is_another_one(one_at_a_time: OneAtATimeService) -> None:
    """The breaker is open again, and the fire that was given back is the probe."""
    one_at_a_time.add("a", seconds=3600)
    one_at_a_time.add("b", breaker_threshold=1)
    one_at_a_time.after(10)
    one_at_a_time.executor.end(one_at_a_time.executor.going_on[0], *FAILURE)
    one_at_a_time.settle()
    request_run(one_at_a_time.store, "a", Environment.PRODUCTION, now=one_at_a_time.clock.now())
    while one_at_a_time.timetable.get("b").breaker.state != "half_open":
        one_at_a_time.after(10)
    assert [task.timer for task in one_at_a_time.executor.waiting_tasks] == ["b"]
    one_at_a_time.stop()
    assert one_at_a_time.timetable.get("b").breaker.state == "open"
    one_at_a_time.next_daemon()
    assert [task.timer for task in one_at_a_time.executor.begun] == ["b"]
    assert one_at_a_time.timetable.get("b").breaker.state == "closed"


def test_giving_back_twice_changes_nothing(one_at_a_time: OneAtATimeService) -> None:
    """Nor does it touch what another daemon has begun since; so a commit whose answer was lost is harmless."""
    one_at_a_time.add("a")
    one_at_a_time.add("b")
    one_at_a_time.after(10)
    (waiting,) = one_at_a_time.executor.waiting_tasks
    one_at_a_time.stop()
    first = one_at_a_time.daemon
    assert first is not None
    Service.start(one_at_a_time)
    one_at_a_time.executor.script = lambda _: SUCCESS
    one_at_a_time.after(1)
    before = one_at_a_time.rows()
    first._claims.give_back([waiting], one_at_a_time.clock.now())
    assert one_at_a_time.rows() == before
    assert sorted(before, key=str) == [(10, 1, "succeeded"), (10, 1, None)]
    first.close()
