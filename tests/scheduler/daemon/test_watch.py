"""While the store keeps the daemon's loop waiting, limits hold, what stands by fires, and the daemon can be stopped."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from scheduler.clock import ManualClock, SystemClock
from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.daemon import health, watch
from scheduler.daemon.loop import Daemon
from scheduler.executors import Report
from scheduler.executors.thread import ThreadExecutor
from scheduler.functions.registry import Registry
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.scripted_service import ScriptedExecutor, Service
from tests.waiting import PATIENCE_S, eventually, slowed

PRODUCTION = Environment.PRODUCTION


@pytest.fixture
def store() -> Iterator[Store]:
    """In memory: an open transaction keeps all others waiting, without a limit."""
    with Store("sqlite://") as store:
        yield store


@contextmanager
def running(daemon: Daemon) -> Iterator[threading.Thread]:
    """The daemon in a thread, for as long as the block lasts."""
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield thread
    finally:
        if thread.is_alive():
            daemon.stop()
            daemon.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def waits(daemon: Daemon) -> bool:
    """Whether its loop waits for the store, for so long that the watch acts."""
    return daemon._calls.away_s() > 2 * watch.ACT_AFTER_S


@contextmanager
def no_answer(store: Store, daemon: Daemon) -> Iterator[None]:
    """The store does not answer, and the daemon's loop waits for it, for as long as the block lasts."""
    with store.reading():
        # The next turn asks the store.
        daemon.wake()
        eventually(lambda: waits(daemon))
        yield


def loop_has_ended(daemon: Daemon) -> None:
    """Wait until the loop of a daemon that has given it up has ended and has closed its descriptors."""
    eventually(lambda: daemon._watch._has_ended and daemon._calls._reader == -1)
    assert daemon._wake_socket.fileno() == -1


def standing_by(service: Service) -> Daemon:
    """A daemon that has claimed the fire of a timer and not handed it out: it is due a moment later."""
    service.add(seconds=10)
    service.after(9.995)
    daemon = service.daemon
    assert daemon is not None
    assert len(daemon._claim_ahead) == 1
    assert service.executor.begun == []
    return daemon


def test_what_stands_by_fires_while_the_store_does_not_answer(store: Store, clock: ManualClock) -> None:
    """At its time, and its result is recorded when the store answers again."""
    service = Service(store, clock)
    daemon = standing_by(service)
    with running(daemon):
        with no_answer(store, daemon):
            assert service.executor.begun == []
            clock.advance(0.01)
            eventually(lambda: len(service.executor.begun) == 1)
        eventually(lambda: service.rows() == [(10, 1, "succeeded")])
    assert len(service.executor.begun) == 1


def test_what_is_being_released_does_not_fire(store: Store, clock: ManualClock) -> None:
    """The store may have it back already, for another daemon."""
    service = Service(store, clock)
    daemon = standing_by(service)
    with store.reading():
        daemon.stop()
        with running(daemon):
            eventually(lambda: waits(daemon))
            clock.advance(0.01)
            time.sleep(4 * watch.ACT_AFTER_S)
            daemon._watch._stops = 0  # as when the clock is set back, not when the daemon stops
            time.sleep(4 * watch.ACT_AFTER_S)
            assert service.executor.begun == []
            daemon.stop()
            daemon.stop()
    loop_has_ended(daemon)


def test_what_is_late_is_not_handed_out_without_a_look_at_the_store(store: Store, clock: ManualClock) -> None:
    """Its misfire policy applies, and another daemon may have taken it over."""
    service = Service(store, clock)
    daemon = standing_by(service)
    with running(daemon):
        with no_answer(store, daemon):
            clock.advance(6)
            time.sleep(4 * watch.ACT_AFTER_S)
            assert service.executor.begun == []
        eventually(lambda: len(service.executor.begun) == 1)
    assert service.executor.begun[0].past_due


def add_every_second(store: Store, **options: object) -> None:
    timer = Timer(name="t", function="f", trigger=Every(1), enabled=True, **options)  # type: ignore[arg-type]
    TimerTable(store).add([timer], now=SystemClock().now())


def with_function(store: Store, function: Callable[[], object], **options: object) -> Daemon:
    """A daemon with an every-second timer of a function that runs in a thread."""
    functions = Registry()
    functions.define(function, name="f")
    add_every_second(store, **options)
    return Daemon(store, {PRODUCTION: ThreadExecutor(functions)})


@pytest.mark.slow
def test_limits_hold_while_the_store_does_not_answer(store: Store) -> None:
    """A run ends at its limit, not when the store answers again."""
    ended = threading.Event()
    daemon = with_function(store, ended.wait, limit_s=5)
    try:
        with running(daemon):
            eventually(lambda: daemon.running == 1)
            with no_answer(store, daemon):
                assert daemon.running == 1
                eventually(lambda: daemon.running == 0)
                assert waits(daemon)
            (first, *_) = eventually(
                lambda: [run for run in RunHistory(store).runs() if run.outcome is Outcome.TIMED_OUT]
            )
        assert first.started_at is not None
        assert first.ended_at is not None
        assert first.ended_at - first.started_at < timedelta(seconds=slowed(10))
    finally:
        ended.set()


@pytest.mark.slow
def test_limits_hold_while_a_listener_does_not_return(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """And the log names the listener, not the store."""
    goes_on, ended = threading.Event(), threading.Event()
    functions = Registry()
    functions.define(ended.wait, name="f")
    functions.define(lambda: None, name="nothing")
    add_every_second(store, limit_s=1.5)
    quick = Timer(name="quick", function="nothing", trigger=Every(1), enabled=True)
    TimerTable(store).add([quick], now=SystemClock().now())
    executor = ThreadExecutor(functions)
    daemon = Daemon(store, {PRODUCTION: executor}, listener=lambda *_: bool(goes_on.wait(PATIENCE_S)))
    try:
        with running(daemon):
            eventually(lambda: daemon.running == 1 and waits(daemon))
            eventually(lambda: daemon.running == 0)
            eventually(lambda: "a listener of the daemon has not returned" in caplog.text)
            assert daemon.store_answers
            goes_on.set()
    finally:
        goes_on.set()
        ended.set()


@pytest.mark.slow
@pytest.mark.parametrize("stops", [1, 2])
def test_a_daemon_ends_although_the_store_never_answers(
    stops: int, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the time that the store has; at once after a second `stop`. The loop ends later, and does nothing more."""
    monkeypatch.setattr(watch, "GIVE_UP_S", -8.0)
    executor = ScriptedExecutor(SystemClock())  # type: ignore[arg-type]
    daemon = Daemon(store, {PRODUCTION: executor})
    add_every_second(store)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    eventually(lambda: executor.begun)
    with no_answer(store, daemon):
        begun = len(executor.begun)
        for _ in range(stops):
            daemon.stop()
        thread.join(slowed(20))
        assert not thread.is_alive()
    assert "ending without it" in caplog.text
    loop_has_ended(daemon)
    assert len(executor.begun) == begun


def test_a_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite nobody else ends it. The turn fails, and the next one goes on."""
    with Store("sqlite://", timeout_s=1.0) as store:
        end_one_statement(store, monkeypatch)


def end_one_statement(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon(store, {PRODUCTION: ScriptedExecutor(SystemClock())})  # type: ignore[arg-type]
    upcoming = daemon._claims.upcoming
    statements = iter(["WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"])

    def once_for_ever() -> object:
        with daemon._store.reading() as connection:
            if statement := next(statements, ""):
                connection.exec_driver_sql(statement).all()
        return upcoming()

    monkeypatch.setattr(daemon._claims, "upcoming", once_for_ever)
    with running(daemon):
        eventually(lambda: daemon.faults["store"] >= 1)
        eventually(lambda: daemon.store_answers)


@pytest.mark.slow
def test_a_loop_that_cannot_sleep_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Some libraries that move the clock break the system's calls. The log names the cause, once."""
    executor = ScriptedExecutor(SystemClock())  # type: ignore[arg-type]
    daemon = Daemon(store, {PRODUCTION: executor})
    add_every_second(store)

    def refuse(*_: object) -> bool:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(daemon._sleeper, "sleep", refuse)
    with running(daemon):
        eventually(lambda: len(executor.begun) >= 2)
    assert caplog.text.count("the daemon cannot sleep until there is something to do ([Errno 22]") == 1
    assert daemon.faults["sleep"] >= 2


def test_a_turn_that_takes_long_is_reported_with_its_place(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once when it has taken long, and once when it has ended."""
    monkeypatch.setattr(health, "SLOW_TURN_S", 0.2)
    caplog.set_level("INFO")
    goes_on = threading.Event()

    class Stuck(ScriptedExecutor):
        def collect(self) -> Report:
            if self.begun:
                wait_here(goes_on)
            return super().collect()

    daemon = Daemon(store, {PRODUCTION: Stuck(SystemClock())})  # type: ignore[arg-type]
    add_every_second(store)
    with running(daemon):
        eventually(lambda: "the daemon has been busy for" in caplog.text)
        assert daemon.turn_s > 0.1
        goes_on.set()
        eventually(lambda: "the daemon is running again" in caplog.text)
    # On a busy machine, another turn may take long as well.
    assert caplog.text.count("the daemon has been busy for") <= 2
    assert "nothing fires meanwhile" in caplog.text


def test_a_loop_that_is_stuck_is_left_and_closes_its_descriptors_later(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for something else than the store, and the daemon was asked twice to stop."""
    monkeypatch.setattr(watch, "STUCK_S", 0.2)
    goes_on = threading.Event()

    class Stuck(ScriptedExecutor):
        def collect(self) -> Report:
            wait_here(goes_on)
            return super().collect()

    daemon = Daemon(store, {PRODUCTION: Stuck(SystemClock())})  # type: ignore[arg-type]
    thread = threading.Thread(target=daemon.run)
    thread.start()
    eventually(lambda: daemon.turn_s > 0)
    daemon.stop()
    daemon.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert "which has not come to an end" in caplog.text
    assert not daemon._watch._has_ended
    goes_on.set()
    loop_has_ended(daemon)


def wait_here(event: threading.Event) -> None:
    event.wait(PATIENCE_S)


def test_an_interrupt_of_the_thread_that_runs_the_daemon_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a program without a handler of its own."""
    daemon = Daemon(store, {PRODUCTION: ScriptedExecutor(SystemClock())})  # type: ignore[arg-type]
    sleep = daemon._calls.sleep
    interrupts = iter([KeyboardInterrupt()])

    def interrupted(seconds: float) -> None:
        sleep(min(seconds, 0.1))
        if (interrupt := next(interrupts, None)) is not None:
            raise interrupt

    monkeypatch.setattr(daemon._calls, "sleep", interrupted)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        daemon.run()
    assert set(threading.enumerate()) <= before
