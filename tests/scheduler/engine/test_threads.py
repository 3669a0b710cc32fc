"""The bounded pool: a limit for each call, and no queue."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import pytest

from scheduler.engine import Engine
from scheduler.engine.threads import Pool
from scheduler.errors import EngineBusyError, FunctionTimedOutError
from tests.scheduler.engine.wsgi_client import Client
from tests.waiting import PATIENCE_S, eventually, slowed


def never() -> None:
    pytest.fail("never called")


def test_results_and_exceptions_come_back() -> None:
    """Work runs in another thread; calls one after the other run in the same one."""
    pool = Pool(3)
    assert pool.run(threading.get_ident, 5, late=never) != threading.get_ident()
    assert len({pool.run(threading.get_ident, 5, late=never) for _ in range(20)}) == 1
    with pytest.raises(ZeroDivisionError):
        pool.run(lambda: 1 / 0, 5, late=never)
    with pytest.raises(SystemExit):
        pool.run(sys.exit, 5, late=never)
    pool.stop()


def test_abandoned_work_is_reported_late_and_frees_its_thread() -> None:
    """The caller waits no longer than the limit; the thread comes back when the work ends."""
    pool, release, late = Pool(1), threading.Event(), threading.Event()
    started = time.monotonic()
    with pytest.raises(FunctionTimedOutError):
        pool.run(lambda: release.wait(PATIENCE_S), 0.05, late=late.set)
    assert 0.05 <= time.monotonic() - started < slowed(1)
    with pytest.raises(EngineBusyError, match="all 1 workers"):
        pool.run(never, 5, late=never)
    release.set()
    assert late.wait(PATIENCE_S)
    eventually(lambda: _runs(pool))


def _runs(pool: Pool) -> bool:
    try:
        return pool.run(lambda: True, 5, late=never) is True
    except EngineBusyError:
        return False


def test_never_more_threads_than_its_size() -> None:
    """Of many callers at once, those beyond the size are refused at once, and all others are answered."""
    pool, gate = Pool(4), threading.Event()
    outcomes: list[str] = []

    def caller() -> None:
        try:
            pool.run(lambda: gate.wait(PATIENCE_S), 10, late=never)
            outcomes.append("ran")
        except EngineBusyError:
            outcomes.append("refused")

    threads = [threading.Thread(target=caller) for _ in range(12)]
    for thread in threads:
        thread.start()
    eventually(lambda: outcomes.count("refused"), lambda seen: seen == 8)
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ran"] * 4 + ["refused"] * 8


def test_a_race_at_the_limit_has_one_winner() -> None:
    """Work that ends just at its limit is either answered or late, never both and never neither."""
    pool, late = Pool(64), []
    answered = timed_out = 0
    for _ in range(200):
        try:
            pool.run(lambda: time.sleep(0.001), 0.00115, late=lambda: late.append(1))
            answered += 1
        except FunctionTimedOutError:
            timed_out += 1
    eventually(lambda: len(late), lambda seen: seen == timed_out)
    assert answered + timed_out == 200


def test_stopping_ends_the_idle_threads() -> None:
    """And a later call starts new ones."""
    pool = Pool(2)
    pool.run(int, 5, late=never)
    assert pool._threads == 1
    pool.stop()
    eventually(lambda: pool._threads, lambda seen: seen == 0)
    assert pool.run(int, 5, late=never) == 0
    pool.stop()


def test_a_thread_that_cannot_be_started_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no crash, and is not counted."""

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = Pool(1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(EngineBusyError):
            pool.run(int, 5, late=never)
    assert pool.run(int, 5, late=never) == 0
    pool.stop()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_starts_its_own_threads() -> None:
    """In a server that forks after the first call."""
    engine = Engine(function_limit_s=2.0)
    engine.define("f")(lambda: 1)
    client = Client(engine)
    assert client.call("f").status == 200
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.call("f").status == 200 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_hung_functions_do_not_starve_the_others() -> None:
    """With all but one thread hung, calls are answered; ping is answered even when all hang."""
    engine = Engine(function_limit_s=0.2, max_concurrency=3)
    release = threading.Event()
    engine.define("hangs")(lambda: release.wait(PATIENCE_S))
    engine.define("f")(lambda: 1)
    client = Client(engine)
    seen: list[Any] = [client.call("hangs").status for _ in range(2)]
    seen += [client.call("f").status for _ in range(20)]
    seen += [client.call("hangs").status, client.get("/__engine/1/ping").status]
    assert seen == [503] * 2 + [200] * 20 + [503, 200]
    release.set()
