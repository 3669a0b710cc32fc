"""The daemon's turns, on a clock that stands still until it is moved."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock, SystemClock
from scheduler.core.breaker import BreakerState
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.daemon.turn_errors import RETRY_S
from scheduler.errors import FAILED, SHORT_CIRCUITED, StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.schema import daemons
from scheduler.store.timers import TimerTable
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, ScriptedExecutor, Service, release
from tests.waiting import PATIENCE_S, eventually

PRODUCTION = Environment.PRODUCTION


def test_a_timer_fires_when_it_is_due_and_not_before(service: Service) -> None:
    """A run row with its outcome, its start and its lateness."""
    service.add(seconds=10)
    service.after(9.7)
    assert service.rows() == []
    service.after(0.299)
    assert service.executor.begun == []
    service.after(0.003)
    (run,) = service.history.runs()
    assert (run.fire_time, run.outcome) == (START + timedelta(seconds=10), Outcome.SUCCEEDED)
    assert run.lateness_s == pytest.approx(0.002)


def test_a_timer_that_is_disabled_does_not_fire(service: Service) -> None:
    """One that is enabled again counts from then on."""
    service.add(seconds=10)
    service.timetable.disable("t")
    service.after(100)
    service.timetable.enable("t", now=service.clock.now())
    service.after(10)
    assert service.rows() == [(110, 1, "succeeded")]


def test_the_row_is_written_before_the_function_is_called(service: Service) -> None:
    """While the function runs, its row has no outcome."""
    service.executor.script = lambda task: None
    service.add(seconds=10)
    service.after(10)
    assert service.rows() == [(10, 1, None)]


def test_a_fire_while_the_last_run_goes_on_is_skipped_and_counted_in_one_row(service: Service) -> None:
    """The default overlap policy; an every-second timer does not flood the history."""
    service.executor.script = lambda task: None
    service.add(seconds=1)
    for _ in range(5):
        service.after(1)
    assert service.rows() == [(1, 1, None), (2, 4, "skipped_overlap")]
    service.executor.end(service.executor.going_on[0])
    service.after(1)
    assert service.rows() == [(1, 1, "succeeded"), (2, 4, "skipped_overlap"), (6, 1, None)]


def test_a_row_counts_no_fires_from_before_the_timer_was_disabled(service: Service) -> None:
    """Disabled and enabled again while the last run goes on: a new row begins, because fires between are missing."""
    service.executor.script = lambda task: None
    service.add(seconds=1)
    service.after(1)
    service.after(1)
    service.timetable.disable("t")
    service.after(2)
    service.timetable.enable("t", now=service.clock.now())
    service.after(1)
    assert service.rows() == [(1, 1, None), (2, 1, "skipped_overlap"), (5, 1, "skipped_overlap")]


def test_queue_one_lets_one_fire_wait_for_the_last_run(service: Service) -> None:
    """It begins when the last run has ended; a second one is skipped."""
    service.executor.script = lambda task: None
    service.add(seconds=1, overlap=OverlapPolicy.QUEUE_ONE)
    for _ in range(3):
        service.after(1)
    assert service.rows() == [(1, 1, None), (2, 1, None), (3, 1, "skipped_overlap")]
    assert [task.fire_time for task in service.executor.begun] == [START + timedelta(seconds=1)]
    service.executor.end(service.executor.going_on[0])
    service.after(0.1)
    assert [task.fire_time for task in service.executor.going_on] == [START + timedelta(seconds=2)]


def test_allow_lets_runs_overlap(service: Service) -> None:
    """As many at a time as there are fires."""
    service.executor.script = lambda task: None
    service.add(seconds=1, overlap=OverlapPolicy.ALLOW)
    for _ in range(3):
        service.after(1)
    assert len(service.executor.going_on) == 3


def test_repeated_failures_short_circuit_the_timer_and_a_probe_closes_it(service: Service) -> None:
    """Five failures, a minute of short-circuited fires in one row, one probe, and the breaker is closed."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=10)
    for _ in range(10):
        service.after(10)
    assert service.rows() == [*((10 * n, 1, "failed") for n in range(1, 6)), (60, 5, "short_circuited")]
    assert service.timetable.get("t").breaker.state is BreakerState.OPEN
    service.executor.script = lambda task: SUCCESS
    service.after(10)
    assert service.rows()[-1] == (110, 1, "succeeded")
    assert service.timetable.get("t").breaker.state is BreakerState.CLOSED


def test_messages_are_those_of_the_specification(service: Service) -> None:
    """To the letter, with the error in its own column."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=10, breaker_threshold=1)
    service.after(10)
    service.after(10)
    short_circuited, failed = service.history.runs()
    assert (failed.message, failed.error) == (FAILED, "as the script says")
    assert short_circuited.message == SHORT_CIRCUITED


def test_a_breaker_survives_a_restart(service: Service) -> None:
    """The next daemon goes on short-circuiting."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=10, breaker_threshold=2)
    service.after(10)
    service.after(10)
    service.kill()
    service.start()
    service.after(10)
    assert service.rows()[-1] == (30, 1, "short_circuited")


def test_enabling_a_timer_again_resets_its_breaker(service: Service) -> None:
    """Enabling it says that the function was fixed."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=10, breaker_threshold=1)
    service.after(10)
    service.timetable.enable("t", now=service.clock.now())
    assert service.timetable.get("t").breaker.state is BreakerState.CLOSED
    service.after(10)
    assert service.rows()[-1] == (20, 1, "failed")


def test_a_manual_run_begins_at_once_and_closes_an_open_breaker(service: Service) -> None:
    """Off schedule, past the breaker, marked as manual."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=3600, breaker_threshold=1)
    service.after(3600)
    service.executor.script = lambda task: SUCCESS
    run_id = request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    run = service.history.run(run_id)
    assert run is not None
    assert (run.kind, run.outcome) == (Kind.MANUAL, Outcome.SUCCEEDED)
    assert service.timetable.get("t").breaker.state is BreakerState.CLOSED


def test_a_manual_run_waits_for_a_daemon_and_not_for_the_last_run(service: Service) -> None:
    """It waits in the store until a daemon begins it."""
    service.executor.script = lambda task: None
    service.add(seconds=10)
    service.after(10)
    service.kill()
    run_id = request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.start()
    service.executor.script = lambda task: SUCCESS
    service.settle()
    run = service.history.run(run_id)
    assert run is not None
    assert run.outcome is Outcome.SUCCEEDED


def test_a_killed_daemons_runs_are_abandoned_by_the_next(service: Service) -> None:
    """At once, where its process is known to have ended."""
    service.executor.script = lambda task: None
    service.add(seconds=10)
    service.after(10)
    service.kill()
    service.start()
    service.executor.script = lambda task: SUCCESS
    service.after(10)
    assert service.rows() == [(10, 1, "abandoned"), (20, 1, "succeeded")]


def test_a_daemon_on_another_machine_is_dead_when_its_lease_has_run_out(service: Service) -> None:
    """Whether its process lives cannot be checked, so the lease decides."""
    service.executor.script = lambda task: None
    service.add(seconds=5)
    service.after(5)
    with service.store.writing() as connection:
        connection.execute(update(daemons).values(host="elsewhere"))
    lost, service.daemon = service.daemon, None
    service.start()
    service.executor.script = lambda task: SUCCESS
    service.settle()
    assert service.rows() == [(5, 1, None)]
    service.after_a_lease()
    assert service.rows()[0] == (5, 1, "abandoned")
    assert lost is not None
    release(lost)


def test_the_results_of_a_daemon_without_a_lease_are_not_recorded(service: Service) -> None:
    """Its run was abandoned; that it succeeded later changes nothing."""
    service.executor.script = lambda task: None
    service.add(seconds=100)
    service.after(100)
    frozen, its_executor = service.daemon, service.executor
    with service.store.writing() as connection:
        connection.execute(update(daemons).values(host="elsewhere"))
    service.start()
    service.settle()
    service.after_a_lease()
    assert service.rows() == [(100, 1, "abandoned")]
    its_executor.end(its_executor.going_on[0])
    assert frozen is not None
    frozen.turn()
    assert service.rows() == [(100, 1, "abandoned")]
    release(frozen)


def test_a_lost_probe_is_tried_again_at_the_next_fire(service: Service) -> None:
    """The breaker must not stay half-open for ever."""
    service.executor.script = lambda task: FAILURE
    service.add(seconds=60, breaker_threshold=1)
    service.after(60)
    service.executor.script = lambda task: None
    service.after(60)
    assert service.timetable.get("t").breaker.state is BreakerState.HALF_OPEN
    service.kill()
    service.start()
    service.executor.script = lambda task: SUCCESS
    service.after(60)
    assert service.rows() == [(60, 1, "failed"), (120, 1, "abandoned"), (180, 1, "succeeded")]


def test_a_timer_of_an_environment_that_is_not_served_fails_with_the_protocol_s_message(service: Service) -> None:
    """Its fire time has a row like any other."""
    service.add(seconds=10, environment="stage")
    service.after(10)
    (run,) = service.history.runs()
    assert (run.outcome, run.error) == (Outcome.FAILED, "The cloud code isn't deployed for prod 0.")


def test_results_are_kept_while_the_store_does_not_answer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """And recorded when it answers again."""
    service.add(seconds=10)
    service.after(5)
    record = service.daemon._claims.record  # type: ignore[union-attr]
    answers = iter([StoreUnavailableError("away"), StoreUnavailableError("away")])

    def away(*arguments: object) -> None:
        if (error := next(answers, None)) is not None:
            raise error
        record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(service.daemon._claims, "record", away)  # type: ignore[union-attr]
    service.clock.advance(5)
    for _ in range(4):
        service.daemon.turn()  # type: ignore[union-attr]
    assert service.rows() == [(10, 1, "succeeded")]


@pytest.mark.parametrize("instead", [None, b"", b"another file"])
def test_a_store_whose_file_is_gone_is_not_written_to(
    tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture, instead: bytes | None
) -> None:
    """Deleted, moved or replaced: rows written to it would be lost. Nothing fires until the file is back."""
    file = tmp_path / "a.db"
    with Store(str(file)) as store:
        service = Service(store, clock)
        service.add(seconds=10)
        service.after(10)
        file.rename(tmp_path / "elsewhere.db")
        if instead is not None:
            file.write_bytes(instead)
        clock.advance(10)
        assert [service.daemon.turn() for _ in range(3)] == [RETRY_S] * 3  # type: ignore[union-attr]
        assert caplog.text.count("replaced while in use, so nothing fires; put it back") == 1
        (tmp_path / "elsewhere.db").rename(file)
        service.settle()
        assert service.rows() == [(10, 1, "succeeded"), (20, 1, "succeeded")]
        service.kill()


def test_the_lines_of_a_run_are_kept(service: Service) -> None:
    """In order, with level and time."""
    service.executor.script = lambda task: None
    service.add(seconds=10)
    service.after(10)
    (task,) = service.executor.going_on
    service.executor.print(task, "one")
    service.executor.print(task, "two", "error")
    service.executor.end(task)
    service.settle()
    assert [(line.level, line.text) for line in service.history.lines(task.run_id)] == [
        ("info", "one"),
        ("error", "two"),
    ]


def test_old_runs_are_deleted_with_their_lines(store: Store, clock: ManualClock) -> None:
    """After `keep`, here an hour; the daemon prunes once an hour, the last time at 16,200 s."""
    service = Service(store, clock)
    service.kill()
    service.daemon = Daemon(store, {PRODUCTION: service.executor}, clock=clock, keep=timedelta(hours=1))
    service.add(seconds=1800)
    for _ in range(10):
        service.after(1800)
    assert [seconds for seconds, _, _ in service.rows()] == [12600, 14400, 16200, 18000]
    service.kill()


def test_a_timer_that_is_removed_leaves_its_history(service: Service) -> None:
    """And its waiting run is abandoned."""
    service.executor.script = lambda task: None
    service.add(seconds=1, overlap=OverlapPolicy.QUEUE_ONE)
    service.after(1)
    service.after(1)
    service.timetable.remove("t")
    service.executor.end(service.executor.going_on[0])
    service.after(1)
    assert service.rows() == [(1, 1, "succeeded"), (2, 1, "abandoned")]


def test_the_system_clock_set_forward_goes_by_the_misfire_policy(service: Service) -> None:
    """The skipped fire times are one run and one row that counts the rest."""
    service.add(seconds=60)
    service.clock.jump(3600)
    service.settle()
    assert service.rows() == [(60, 59, "misfired"), (3600, 1, "succeeded")]


@pytest.mark.parametrize("leases", [0.5, 1.5])
def test_the_system_clock_set_back_neither_silences_nor_doubles(service: Service, leases: float) -> None:
    """By less and by more than a lease: an every-second timer goes on, a little slower, until it has caught up."""
    seconds = round(leases * service.store.lease.total_seconds())
    service.add(seconds=1)
    for _ in range(10):
        service.after(1)
    service.clock.jump(-seconds)
    began = len(service.executor.begun)
    for _ in range(seconds * 3):
        before = len(service.executor.begun)
        service.after(1)
        service.after(1)
        assert len(service.executor.begun) > before
    fire_times = [task.fire_time for task in service.executor.begun]
    assert began == 10
    assert len(set(fire_times)) == len(fire_times)
    assert service.clock.now() - fire_times[-1] < timedelta(seconds=1)


def test_a_daemon_that_starts_after_the_clock_was_set_back_is_not_silent(service: Service) -> None:
    """Its clock goes on from the last claim of the daemon before."""
    service.add(seconds=10)
    for _ in range(5):
        service.after(10)
    service.kill()
    service.clock.jump(-3600)
    service.start()
    for _ in range(10):
        service.after(10)
    fire_times = [seconds for seconds, _, _ in service.rows()]
    assert fire_times == [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_set_back_by_a_day_is_followed(service: Service, is_restarted: bool) -> None:
    """Waiting for it would take two days and a half, so every timer is scheduled again."""
    service.add(seconds=10)
    for _ in range(5):
        service.after(10)
    if is_restarted:
        service.kill()
    service.clock.jump(-86_400)
    if is_restarted:
        service.start()
    for _ in range(3):
        service.after(10)
    assert [seconds for seconds, _, _ in service.rows()][5:] in ([-86_340, -86_330, -86_320], [-86_330, -86_320])


def test_an_unforeseen_error_does_not_end_the_daemon(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the next turn is taken."""
    service.add(seconds=10)
    service.after(5)

    def broken() -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken_for_a_while:
        broken_for_a_while.setattr(service.daemon._collector, "collect", broken)  # type: ignore[union-attr]
        service.clock.advance(5)
        assert service.daemon.turn() > 0  # type: ignore[union-attr]
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


def test_stopping_waits_for_runs_in_progress(store: Store) -> None:
    """No new run begins, the last one is recorded, and the lease is given up."""
    clock = SystemClock()
    executor = ScriptedExecutor(clock, lambda task: None)  # type: ignore[arg-type]
    daemon = Daemon(store, {PRODUCTION: executor}, clock=clock)
    timer = Timer(name="t", function="f", trigger=Every(1), enabled=True)
    TimerTable(store).add([timer], now=clock.now())
    thread = threading.Thread(target=daemon.run)
    thread.start()
    (task,) = eventually(lambda: list(executor.going_on))
    daemon.stop()
    assert thread.is_alive()
    executor.end(task)
    daemon.wake()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    with store.reading() as connection:
        assert connection.execute(daemons.select()).all() == []
