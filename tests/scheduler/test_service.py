"""Scheduler, the service inside a program; and ManualScheduler, the same for the tests of users."""

import gc
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from scheduler import Cron, Environment, Every, Scheduler, Timer
from scheduler.core.run import Outcome
from scheduler.engine import Engine, LeanEngineError
from scheduler.errors import ArgumentError, ConfigError, StoreError, TimerChangedError, TimerError, UnknownFunctionError
from scheduler.functions.registry import Registry
from scheduler.store.database import Store
from scheduler.testing import ManualScheduler
from tests.waiting import PATIENCE_S, eventually

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_timers_fire_while_the_block_lasts() -> None:
    """In threads of this program; the last run has ended when the block is left."""
    functions, called = Registry(), threading.Event()
    functions.define(called.set, name="call")
    with Scheduler("sqlite://", functions) as scheduler:
        scheduler.add(Timer(name="t", function="call", trigger=Every(1), enabled=True))
        assert called.wait(PATIENCE_S)
        eventually(lambda: scheduler.history.runs(outcomes=[Outcome.SUCCEEDED]))
    assert not [thread for thread in threading.enumerate() if thread.name == "scheduler"]


@pytest.mark.parametrize(
    ("function", "params", "error", "message"),
    [
        ("ad", {}, UnknownFunctionError, "no function 'ad'; known functions: add"),
        ("add", {"a": 1}, ArgumentError, "missing argument 'b'"),
        ("add ", {"a": 1, "b": 2}, UnknownFunctionError, "no function 'add '"),
    ],
)
def test_a_timer_of_an_unknown_function_is_refused(
    function: str, params: dict[str, int], error: type[Exception], message: str
) -> None:
    """So is one with parameters that its function does not accept; no timer is added."""
    engine = Engine()
    engine.define("add")(lambda a, b: a + b)
    scheduler = Scheduler("sqlite://", engine)
    good = Timer(name="good", function="add", trigger=Every(1), params={"a": 1, "b": 2})
    with pytest.raises(error, match=message):
        scheduler.add(good, Timer(name="t", function=function, trigger=Every(1), params=params))
    assert scheduler.timers() == []
    scheduler.stop()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.get("t", "prod"), TimerError, "environment must be one of production, stage; got 'prod'"),
        (lambda s: s.enable("t", 5), TimerError, "environment must be one of production, stage; got 5"),
        (lambda s: s.next_fires("t", -1), TimerError, "count must be 0 or more, got -1"),
        (lambda s: s.next_fires("t", "5"), TypeError, "count must be a whole number, got str"),
        (lambda s: s.runs(limit=-1), TimerError, "limit must be 0 or more, got -1"),
        (lambda s: s.runs(since=datetime(2026, 1, 1)), TimerError, "since needs a time zone"),
        (lambda s: s.runs(until="yesterday"), TypeError, "until must be a datetime, got str"),
        (lambda s: s.get(5), TypeError, "the name of a timer must be a str, got int"),
        (lambda s: s.enable(["t"]), TypeError, "the name of a timer must be a str, got list"),
        (lambda s: s.run("t", params=5), TimerError, "parameters must be a JSON object, got int"),
        (lambda s: s.edit("t", limit=5), TimerError, "a timer has no attribute 'limit'; its attributes are name,"),
        (lambda s: s.backfill("t", "2026-01-01", NEW_YEAR), TypeError, "start of a span must be a datetime, got str"),
        (lambda s: s.backfill("t", NEW_YEAR, datetime(2026, 1, 2)), TimerError, "end of a span needs a time zone"),
        (lambda s: s.apply([], prune=True), TypeError, "prune must be a collection"),
        (lambda s: s.apply([], prune=Environment.PRODUCTION), TypeError, "prune must be a collection"),
    ],
)
def test_a_wrong_argument_is_named(call: Callable[[Scheduler], object], error: type[Exception], message: str) -> None:
    """And nothing is changed."""
    functions = Registry()
    functions.define(lambda: None, name="f")
    scheduler = Scheduler("sqlite://", functions)
    added = scheduler.add(Timer(name="t", function="f", trigger=Every(60)))
    with pytest.raises(error, match=message):
        call(scheduler)
    assert scheduler.timers() == added
    scheduler.stop()


def test_a_manual_run_happens_now(tmp_path: Path) -> None:
    """Whatever the timer's schedule is; the function's result is stored."""
    engine = Engine()
    engine.define("add")(lambda a, b: a + b)
    with Scheduler(str(tmp_path / "timers.db"), engine) as scheduler:
        scheduler.add(Timer(name="sum", function="add", trigger=Cron("0 0 0 1 1 ? 2099"), params={"a": 1, "b": 2}))
        run_id = scheduler.run("sum")
        eventually(lambda: (run := scheduler.history.run(run_id)) is not None and run.outcome)
        run = scheduler.history.run(run_id)
    assert run is not None
    assert (run.outcome, run.result) == (Outcome.SUCCEEDED, "3")


def test_a_thread_over_its_limit_is_reported_and_left_alone() -> None:
    """The function is not stopped, but its result is not waited for."""
    functions, release = Registry(), threading.Event()
    functions.define(release.wait, name="hang")
    with Scheduler("sqlite://", functions) as scheduler:
        scheduler.add(Timer(name="t", function="hang", trigger=Every(3600), limit_s=0.2))
        run_id = scheduler.run("t")
        eventually(lambda: (run := scheduler.history.run(run_id)) is not None and run.outcome)
        run = scheduler.history.run(run_id)
        release.set()
    assert run is not None
    assert (run.outcome, run.error) == (Outcome.TIMED_OUT, "over its limit of 0.2 s")


def test_functions_of_a_file_run_in_processes(tmp_path: Path) -> None:
    """And are killed at their limit."""
    (tmp_path / "embedded_cloud.py").write_text(
        "from scheduler.functions import Registry\nfunctions = Registry()\n"
        "@functions.define\ndef spin():\n    while True: pass\n"
    )
    with Scheduler("sqlite://", str(tmp_path / "embedded_cloud.py")) as scheduler:
        scheduler.add(Timer(name="t", function="spin", trigger=Every(3600), limit_s=0.3))
        run_id = scheduler.run("t")
        eventually(lambda: (run := scheduler.history.run(run_id)) is not None and run.outcome)
        run = scheduler.history.run(run_id)
    assert run is not None
    assert run.outcome is Outcome.TIMED_OUT


def test_stopping_waits_no_longer_than_its_timeout() -> None:
    """A run that has not ended then is recorded as abandoned."""
    functions, begun, release = Registry(), threading.Event(), threading.Event()

    @functions.define
    def hang() -> None:
        begun.set()
        release.wait(PATIENCE_S)

    scheduler = Scheduler("sqlite://", functions)
    scheduler.start()
    scheduler.add(Timer(name="t", function="hang", trigger=Every(3600)))
    run_id = scheduler.run("t")
    assert begun.wait(PATIENCE_S)
    history = scheduler.history
    scheduler._owns_store = False
    scheduler.stop(timeout_s=0.1)
    release.set()
    run = history.run(run_id)
    scheduler.store.close()
    assert run is not None
    assert run.outcome is Outcome.ABANDONED


def test_two_threads_may_stop_a_scheduler(tmp_path: Path) -> None:
    """Both wait for the current run; it is not ended by the second one."""
    functions, begun, release = Registry(), threading.Event(), threading.Event()

    @functions.define
    def hang() -> None:
        begun.set()
        release.wait(PATIENCE_S)

    scheduler = Scheduler(tmp_path / "timers.db", functions)
    scheduler.start()
    scheduler.add(Timer(name="t", function="hang", trigger=Every(3600), limit_s=600))
    scheduler.run("t")
    assert begun.wait(PATIENCE_S)
    daemon, thread, waiting = scheduler._daemon, scheduler._thread, threading.Semaphore(0)
    assert daemon is not None
    assert thread is not None
    join = thread.join
    thread.join = lambda timeout=None: (waiting.release(), join(timeout))[1]  # type: ignore[method-assign]
    stops = [threading.Thread(target=scheduler.stop) for _ in range(2)]
    for stop in stops:
        stop.start()
    assert all(waiting.acquire(timeout=PATIENCE_S) for _ in stops)
    assert daemon._watch.is_stopping
    assert not daemon._watch.is_ending
    release.set()
    for stop in stops:
        stop.join(PATIENCE_S)
    reader = Scheduler(tmp_path / "timers.db", Registry())
    assert [run.outcome for run in reader.runs()] == [Outcome.SUCCEEDED]
    reader.stop()


def test_no_thread_of_a_scheduler_stays_that_was_stopped_while_its_store_was_locked(tmp_path: Path) -> None:
    """Stopping does not wait for the store; the thread that does ends when it is no longer locked."""
    Store(tmp_path / "timers.db").close()
    known = {id(each) for each in gc.get_objects() if isinstance(each, sqlite3.Connection)}
    scheduler = Scheduler(tmp_path / "timers.db", Registry())
    with closing(sqlite3.connect(tmp_path / "timers.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = set(threading.enumerate())
        scheduler.start()
        scheduler.stop(timeout_s=0)
    eventually(lambda: set(threading.enumerate()) <= before)
    for left in [each for each in gc.get_objects() if isinstance(each, sqlite3.Connection) and id(each) not in known]:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            left.execute("SELECT 1")


def test_a_scheduler_starts_once_and_needs_functions() -> None:
    """Both errors say what is wrong."""
    with pytest.raises(ConfigError, match="either functions or executors"):
        Scheduler("sqlite://")
    with Scheduler("sqlite://", Registry()) as scheduler, pytest.raises(RuntimeError, match="starts once"):
        scheduler.start()


def test_a_week_passes_in_a_test_of_a_user() -> None:
    """Each timer fires at its own fire time, by the clock of the test."""
    engine, sent_at = Engine(), []

    @engine.define
    def send_report() -> None:
        assert engine.current.timer is not None
        sent_at.append(engine.current.timer.scheduled_at)

    with ManualScheduler(engine, now=NEW_YEAR) as scheduler:
        scheduler.add(Timer(name="report", function="send_report", trigger=Cron("0 0 8 ? * MON,FRI"), enabled=True))
        scheduler.advance(days=7)
        assert [run.outcome for run in scheduler.runs()] == ["succeeded", "succeeded"]
        assert [run.lateness_s for run in scheduler.runs()] == [0, 0]
    assert sent_at == [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)]


def test_a_requested_run_is_waited_for(tmp_path: Path) -> None:
    """Its outcome and result are returned; a run that has not ended is a TimeoutError."""
    engine = Engine()

    @engine.define
    def hello() -> str:
        return "hello"

    greeting = Timer(name="greeting", function="hello", trigger=Every(60))
    with Scheduler(str(tmp_path / "a.db"), engine) as scheduler:
        scheduler.add(greeting)
        assert scheduler.wait(scheduler.run("greeting")).result == '"hello"'
        with pytest.raises(StoreError, match="no run 99 in the store"):
            scheduler.wait(99)
    stopped = Scheduler(str(tmp_path / "a.db"), engine)
    with pytest.raises(TimeoutError, match="run 2 of greeting has not ended after 0 s"):
        stopped.wait(stopped.run("greeting"), timeout_s=0)
    stopped.stop()
    stopped.stop()
    with ManualScheduler(engine, now=NEW_YEAR) as manual:
        manual.add(greeting)
        assert manual.wait(manual.run("greeting")).outcome is Outcome.SUCCEEDED


def test_time_that_is_no_instant_or_goes_back_is_refused() -> None:
    """Both errors say how to do it."""
    with ManualScheduler(Engine(), now=NEW_YEAR) as scheduler, pytest.raises(ValueError, match="time goes forward"):
        scheduler.advance(days=-1)
    with pytest.raises(ValueError, match="now needs a time zone"):
        ManualScheduler(Engine(), now=datetime(2026, 1, 1))


def test_a_breaker_can_be_tested() -> None:
    """A function that fails for an hour is probed at growing intervals, and runs again once it succeeds."""
    engine, is_down = Engine(), True

    @engine.define
    def sync() -> None:
        if is_down:
            raise ConnectionError("no route")

    @engine.define
    def refuse() -> None:
        raise LeanEngineError(403, "not yours")

    with ManualScheduler(engine, now=NEW_YEAR) as scheduler:
        for name in ("sync", "refuse"):
            scheduler.add(Timer(name=name, function=name, trigger=Every(10), enabled=True))
        scheduler.advance(hours=1)
        failed = [run for run in scheduler.runs("sync") if run.outcome is Outcome.FAILED]
        # Five failures, then probes after 60, 120, 240, 480 and 900 s and every 900 s from there.
        assert [(run.fire_time - NEW_YEAR) // timedelta(seconds=10) for run in failed] == [
            *(1, 2, 3, 4, 5, 11, 23, 47, 95, 185, 275)
        ]
        assert sum(run.count for run in scheduler.runs("sync")) == 360
        assert {run.outcome for run in scheduler.runs("refuse")} == {Outcome.FAILED}
        is_down = False
        scheduler.advance(minutes=20)
        assert scheduler.runs("sync")[-1].outcome is Outcome.SUCCEEDED


def test_timers_are_read_edited_renamed_and_copied() -> None:
    """As on the command line; every change has an author and a reason."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    registry = Registry()
    registry.define(lambda to="ann": None, name="greet")
    with ManualScheduler(registry, now=now) as scheduler:
        scheduler.add(Timer(name="a", function="greet", trigger=Every(60), enabled=True))
        read = scheduler.get("a")
        edited = scheduler.edit("a", limit_s=30, why="it is slow", by="ann", expected=read.revision)
        assert edited.timer.limit_s == 30
        with pytest.raises(TimerChangedError, match="changed meanwhile by ann at 2026-01-01"):
            scheduler.edit("a", retries=1, expected=read.revision)
        with pytest.raises(ArgumentError, match="superfluous argument 'too'"):
            scheduler.edit("a", params={"too": 1})
        with pytest.raises(UnknownFunctionError):
            scheduler.edit("a", function="gone")
        scheduler.advance(minutes=2)
        scheduler.rename("a", "b")
        scheduler.copy("b", "c", to=Environment.STAGE)
        scheduler.advance(minutes=1)
        assert [(entry.timer.name, entry.state) for entry in scheduler.timers()] == [
            ("b", "enabled"),
            ("c", "disabled"),
        ]
        assert scheduler.next_fires("b", 2) == [now + timedelta(minutes=minutes) for minutes in (4, 5)]
        assert scheduler.next_fires("c", environment=Environment.STAGE) == []
        assert [run.timer for run in scheduler.runs("b")] == ["a", "a", "b"]
        assert len(scheduler.runs("b", since=now + timedelta(minutes=2), until=now + timedelta(minutes=3))) == 1
        assert [(change.action, change.author, change.why) for change in scheduler.changes.page().items][2:3] == [
            ("changed", "ann", "it is slow")
        ]


def test_a_list_of_timers_is_applied_all_or_none() -> None:
    """Functions are checked before anything is changed."""
    registry = Registry()
    registry.define(lambda: None, name="f")
    with ManualScheduler(registry, now=datetime(2026, 1, 1, tzinfo=UTC)) as scheduler:
        timers = [Timer(name=name, function="f", trigger=Every(60)) for name in "ab"]
        assert len(scheduler.apply(timers, dry_run=True).differences) == 2
        assert scheduler.timers() == []
        scheduler.apply(timers)
        with pytest.raises(UnknownFunctionError):
            scheduler.apply([replace(timers[0], retries=1), Timer(name="c", function="g", trigger=Every(60))])
        applied = scheduler.apply(timers[:1], prune=[Environment.PRODUCTION])
        assert ([each.effect for each in applied.differences], applied.unchanged) == (["removed"], 1)


def test_a_store_may_be_a_path(tmp_path: Path) -> None:
    """As everywhere in Python; what is neither that nor a text is refused, and so is an empty text."""
    Scheduler(tmp_path / "timers.db", Registry()).stop()
    assert (tmp_path / "timers.db").is_file()
    for wrong in (None, 5, b"timers.db", "", "  "):
        with pytest.raises(StoreError, match="a store "):
            Scheduler(wrong, Registry())  # type: ignore[arg-type]


def test_the_errors_for_wrong_arguments_of_a_scheduler_say_what_is_right() -> None:
    """A function for its name, a list for its timers, no functions at all, a wait for what nobody runs."""

    def hello() -> None: ...

    with pytest.raises(TimerError, match="got a function; give its name, 'hello'"):
        Timer(name="t", function=hello, trigger=Every(1))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="functions are an Engine, a Registry or"):
        Scheduler("sqlite://")
    functions = Registry()
    functions.define(hello)
    scheduler = Scheduler("sqlite://", functions)
    timer = Timer(name="t", function="hello", trigger=Every(60))
    with pytest.raises(TypeError, match=r"a timer must be a Timer, got list; of a list: add\(\*timers\)"):
        scheduler.add([timer])  # type: ignore[arg-type]
    scheduler.add(timer)
    with pytest.raises(TimeoutError, match="this Scheduler has not been started"):
        scheduler.wait(scheduler.run("t"), timeout_s=0)
    scheduler.stop()


@pytest.mark.parametrize(
    ("options", "worker", "warning"),
    [
        ({b"master": True}, 0, "--enable-threads"),
        ({b"master": True, b"enable-threads": True}, 0, "--lazy-apps"),
        ({b"master": True, b"enable-threads": True, b"lazy-apps": True}, 1, ""),
        ({b"threads": b"2"}, 0, ""),
    ],
)
def test_uwsgi_without_threads_or_forking_from_ours_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    options: dict[bytes, object],
    worker: int,
    warning: str,
) -> None:
    """By the module that uWSGI provides: without threads nothing fires; a worker forked in the wrong moment hangs."""
    monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(opt=options, worker_id=lambda: worker))
    with Scheduler("sqlite://", Registry()):
        pass
    said = "".join(record.getMessage() for record in caplog.records if "uWSGI" in record.getMessage())
    assert warning in said
    assert bool(said) == bool(warning)
