"""Retries: a failed run is tried again after growing pauses, never past the next fire time; no attempt is lost."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scheduler.claims.requested_runs import request_run
from scheduler.core.breaker import CLOSED, BreakerState
from scheduler.core.retry import retry_at
from scheduler.core.run import Outcome, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.functions.registry import Registry
from scheduler.service import Scheduler
from scheduler.testing import ManualScheduler
from tests.scheduler.command_line import CommandLine
from tests.scheduler.scripted_service import FAILURE, REFUSAL, START, SUCCESS, TIME_OUT, Service
from tests.strategies import timers

PRODUCTION, _ = Environment


@given(timers(), st.integers(0, 100), st.floats(0.001, 86_400), st.integers(1, 120), st.floats(0, 100_000))
def test_an_attempt_is_due_after_its_pause_and_before_the_next_fire_time(
    kept: Timer, retries: int, backoff_s: float, attempt: int, took_s: float
) -> None:
    """The pause is the back-off, doubled for each earlier attempt; there are at most `retries` further attempts."""
    timer = Timer(name="t", function="f", trigger=kept.trigger, retries=retries, retry_backoff_s=backoff_s)
    fire_time = timer.schedule.next_fire(START)
    assert fire_time is not None
    ended_at = fire_time + timedelta(seconds=took_s)
    at = retry_at(timer, fire_time, attempt, ended_at)
    next_fire = timer.schedule.next_fire(fire_time)
    pause_s = min(backoff_s * 2 ** (attempt - 1), 86_400)
    if at is None:
        assert attempt > retries or (next_fire is not None and ended_at + timedelta(seconds=pause_s + 1) >= next_fire)
        return
    assert attempt <= retries
    assert next_fire is None or at < next_fire
    assert (at - ended_at).total_seconds() == pytest.approx(pause_s, rel=1e-3, abs=1e-3)


@given(st.integers(0, 20), st.integers(1, 40))
def test_all_attempts_together_are_one_more_than_the_retries(retries: int, backoff_s: int) -> None:
    """Where the next fire time is far away."""
    timer = Timer(name="t", function="f", trigger=Every(86_400 * 366), retries=retries, retry_backoff_s=backoff_s)
    assume(backoff_s * 2**retries < 86_400 * 300)
    attempt, at = 1, START
    while (at := retry_at(timer, START, attempt, at)) is not None:
        attempt += 1
    assert attempt == retries + 1


# With a store and a daemon


def ends(service: Service, *endings: tuple | None) -> None:
    """Script how the attempts of the next runs end, one after the other."""
    left: Iterable = iter(endings)
    service.executor.script = lambda _: next(left, SUCCESS)


def attempts(service: Service) -> list[tuple[int, int, str | None, int | None]]:
    """The history, oldest first: fire time, attempt, outcome, next attempt; in seconds after the start."""
    return [
        (
            round((run.fire_time - START).total_seconds()),
            run.attempt,
            run.outcome,
            None if run.retry_at is None else round((run.retry_at - START).total_seconds()),
        )
        for run in reversed(service.history.runs(limit=1000))
    ]


def test_a_failed_run_is_tried_again_until_it_succeeds(service: Service) -> None:
    """After 5, then 10 seconds; each attempt is a row, of the same fire time and request id; nothing is counted."""
    service.add(seconds=3600, retries=3, retry_backoff_s=5)
    ends(service, FAILURE, TIME_OUT, SUCCESS)
    service.after(3600)
    assert attempts(service) == [(3600, 1, "failed", 3605), (3600, 2, None, None)]
    service.after(4.9)
    assert len(service.executor.begun) == 1
    service.after(0.1)
    service.after(10)
    assert attempts(service) == [(3600, 1, "failed", 3605), (3600, 2, "timed_out", 3615), (3600, 3, "succeeded", None)]
    assert len({task.request_id for task in service.executor.begun}) == 1
    assert [task.attempt for task in service.executor.begun] == [1, 2, 3]
    assert service.timetable.get("t").breaker == CLOSED
    service.after(3600 - 15)
    assert attempts(service)[3:] == [(7200, 1, "succeeded", None)]


def test_a_fire_time_counts_as_one_failure_when_its_last_attempt_has_failed(service: Service) -> None:
    """However many attempts it took; the breaker opens after two fire times."""
    service.add(seconds=3600, retries=2, retry_backoff_s=5, breaker_threshold=2)
    service.executor.script = lambda _: FAILURE
    service.after(3600)
    service.after(5)
    assert service.timetable.get("t").breaker == CLOSED
    service.after(10)
    assert service.timetable.get("t").breaker.consecutive_failures == 1
    for seconds in (3585, 5, 10):
        service.after(seconds)
    assert [row[1] for row in attempts(service)] == [1, 2, 3, 1, 2, 3]
    assert service.timetable.get("t").breaker.state is BreakerState.OPEN


def test_no_attempt_begins_once_the_next_fire_time_has_come(service: Service) -> None:
    """The second pause would reach it, so the second attempt is the last, and counts."""
    service.add(seconds=30, retries=5, retry_backoff_s=12)
    ends(service, FAILURE, FAILURE)
    service.after(30)
    service.after(12)
    assert attempts(service) == [(30, 1, "failed", 42), (30, 2, "failed", None)]
    assert service.timetable.get("t").breaker.consecutive_failures == 1
    service.after(18)
    assert attempts(service)[2:] == [(60, 1, "succeeded", None)]


def test_an_answer_in_time_is_final_and_so_is_a_manual_run(service: Service) -> None:
    """A LeanEngineError is no failure, and only scheduled runs are tried again."""
    service.add(seconds=3600, retries=3)
    ends(service, REFUSAL, FAILURE)
    service.after(3600)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    service.after(60)
    assert [(attempt, outcome) for _, attempt, outcome, _ in attempts(service)] == [(1, "failed"), (1, "failed")]


def test_an_attempt_outlives_the_daemon(service: Service) -> None:
    """Killed in the pause: the next daemon begins the attempt when it is due, or at once where that was before."""
    for down_s in (3, 60):
        service.add(name=f"t{down_s}", seconds=3600, retries=1, retry_backoff_s=10)
        ends(service, FAILURE)
        service.after(3600)
        service.kill()
        service.clock.advance(down_s)
        service.start()
        service.settle()
        assert len(service.executor.begun) == (down_s == 60)
        service.after(10 - min(down_s, 10))
        assert attempts(service)[-2:] == [
            (attempts(service)[-1][0], 1, "failed", attempts(service)[-2][3]),
            (attempts(service)[-1][0], 2, "succeeded", None),
        ]
        service.timetable.remove(f"t{down_s}")


def test_an_attempt_whose_time_passed_without_a_daemon_is_accounted_for(service: Service) -> None:
    """It is misfired, and the next fire time runs."""
    service.add(seconds=60, retries=1, retry_backoff_s=10)
    ends(service, FAILURE)
    service.after(60)
    service.kill()
    service.clock.advance(61)
    service.start()
    service.settle()
    missed = service.history.runs()[1]
    assert (missed.attempt, missed.outcome) == (2, Outcome.MISFIRED)
    assert missed.message == "missed: the next fire time came before this attempt"
    assert attempts(service)[2:] == [(120, 1, "succeeded", None)]


@pytest.mark.parametrize(("change", "message"), [("disable", "the timer was disabled"), ("remove", "was removed")])
def test_a_timer_that_is_stopped_is_not_tried_again(service: Service, change: str, message: str) -> None:
    """Neither after it was disabled nor after it was removed."""
    service.add(seconds=3600, retries=1, retry_backoff_s=10)
    ends(service, FAILURE)
    service.after(3600)
    getattr(service.timetable, change)("t")
    service.after(10)
    run = service.history.runs()[0]
    assert (run.attempt, run.outcome) == (2, Outcome.ABANDONED)
    assert message in run.message


def test_a_probe_that_fails_is_tried_again_before_the_breaker_opens_again(service: Service) -> None:
    """It stays half-open meanwhile; where the attempt is lost, the next fire is the probe."""
    service.add(seconds=3600, retries=1, retry_backoff_s=10, breaker_threshold=1)
    service.executor.script = lambda _: FAILURE
    for seconds in (3600, 10, 3590):
        service.after(seconds)
    assert service.timetable.get("t").breaker.state is BreakerState.HALF_OPEN
    service.executor.script = lambda _: SUCCESS
    service.after(10)
    assert service.timetable.get("t").breaker == CLOSED


def test_a_probe_whose_attempt_is_lost_leaves_the_next_fire_to_probe(service: Service) -> None:
    """No breaker stays half-open for ever."""
    service.add(seconds=3600, retries=1, retry_backoff_s=10, breaker_threshold=1)
    service.executor.script = lambda _: FAILURE
    for seconds in (3600, 10, 3590):
        service.after(seconds)
    service.kill()
    service.executor.script = lambda _: SUCCESS
    service.clock.advance(3600)
    service.start()
    service.settle()
    assert [outcome for _, _, outcome, _ in attempts(service)][-2:] == ["misfired", "succeeded"]
    assert service.timetable.get("t").breaker == CLOSED


def test_an_attempt_waits_for_a_run_that_goes_on_unless_runs_may_overlap(service: Service) -> None:
    """A manual run has begun in the pause."""
    for overlap in ("skip", "allow"):
        service.add(name=overlap, seconds=3600, retries=1, retry_backoff_s=10, overlap=overlap)
    service.executor.script = lambda _: FAILURE
    service.after(3600)
    service.executor.script = lambda _: None
    for name in ("skip", "allow"):
        request_run(service.store, name, PRODUCTION, now=service.clock.now())
    service.settle()
    manual: dict[str, Task] = {task.timer: task for task in service.executor.going_on}
    service.after(10)
    assert sorted((task.timer, task.attempt) for task in service.executor.going_on) == [
        ("allow", 1),
        ("allow", 2),
        ("skip", 1),
    ]
    service.executor.end(manual["skip"])
    service.settle()
    assert ("skip", 2) in [(task.timer, task.attempt) for task in service.executor.going_on]


def test_a_program_retries_its_own_timers() -> None:
    """The function can read the number of the attempt."""
    functions, seen = Registry(), []

    @functions.define
    def flaky() -> None:
        seen.append(len(seen))
        if len(seen) < 3:
            raise ConnectionError("not yet")

    with ManualScheduler(functions, now=START) as scheduler:
        assert isinstance(scheduler, Scheduler)
        timer = Timer(name="t", function="flaky", trigger=Cron("0 0 8 * * ?"), retries=5, enabled=True)
        scheduler.add(timer)
        scheduler.advance(days=1, seconds=60)
        assert [(run.attempt, run.outcome) for run in scheduler.runs()] == [
            (1, "failed"),
            (2, "failed"),
            (3, "succeeded"),
        ]


def test_retries_are_options_of_a_timer(command_line: CommandLine) -> None:
    """Given, changed, listed, refused."""
    add = ("timers", "add", "t", "--function", "f", "--every", "60")
    assert "from 0 to 100, got 101" in command_line.refusal(*add, "--retries", "101")
    assert "a back-off must be more than 0 s" in command_line.refusal(*add, "--retry-backoff", "0")
    added = command_line.json(*add, "--retries", "3")
    assert (added["retries"], added["retry_backoff_s"]) == (3, 10.0)
    edited = command_line.json("timers", "edit", "t", "--retry-backoff", "2.5")
    assert (edited["retries"], edited["retry_backoff_s"]) == (3, 2.5)
