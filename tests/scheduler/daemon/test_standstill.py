"""A store that stands still under a daemon with worker processes: limits hold, and signals end it."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from scheduler.clock import SystemClock
from scheduler.core.run import Outcome
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.postgres_server import Server
from tests.waiting import PATIENCE_S, eventually, slowed

pytestmark = pytest.mark.slow

CLOUD = """
import os, time
from scheduler.functions import Registry

functions = Registry()


@functions.define
def hang(path):
    with open(path, "a") as file:
        print(os.getpid(), file=file)
    time.sleep(1000)
"""
PROGRAM = """
import logging, signal, sys
from scheduler.daemon.loop import Daemon
from scheduler.store import Store
from scheduler.timer import Environment
from scheduler.workers.executor import ProcessExecutor

logging.basicConfig(level=logging.INFO, format="%(message)s")
executor = ProcessExecutor(sys.argv[2])
executor.start()
with Store(sys.argv[1], timeout_s=2.0) as store:
    daemon = Daemon(store, dict.fromkeys(Environment, executor))
    signal.signal(signal.SIGTERM, lambda *_: daemon.stop())
    daemon.run()
"""
#: Longer than the daemon needs to notice that the store stands still.
LIMIT_S = 4.0


class RunningDaemon:
    """A daemon in a process of its own, with one run that hangs until its limit."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = Store(url)
        self._notes = folder / "pids"
        (folder / "cloud.py").write_text(CLOUD)
        timer = Timer(
            name="hangs",
            function="hang",
            trigger=Every(1000, anchor=SystemClock().now().replace(microsecond=0)),
            params={"path": str(self._notes)},
            limit_s=LIMIT_S,
            enabled=True,
        )
        TimerTable(self.store).add([timer], now=SystemClock().now(), quota=0)
        self.log_file = folder / "log"
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, url, str(folder / "cloud.py")], stdout=log, stderr=log
            )

    def begin(self) -> int:
        """Have the function called; returns the pid of its worker."""
        from scheduler.claims.requested_runs import request_run
        from scheduler.core.timer import Environment

        request_run(self.store, "hangs", Environment.PRODUCTION, now=SystemClock().now())
        return int(eventually(lambda: self._notes.exists() and self._notes.read_text()))

    def ends(self, *, signals: int) -> int:
        """Send SIGTERM so often; returns the exit status."""
        for _ in range(signals):
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        return self.process.wait(slowed(30))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        self.store.close()


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@contextmanager
def lock(file: Path) -> Iterator[None]:
    """Another program has a transaction open that writes."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def moved(file: Path) -> Iterator[None]:
    """An operator has moved the file away."""
    elsewhere = file.with_name("elsewhere.db")
    file.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(file)


@pytest.fixture(params=["server", "lock", "move"])
def standstill(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[RunningDaemon, AbstractContextManager[None]]]:
    """A daemon, and what makes its store stand still."""
    with contextmanager(_url)(request, tmp_path) as (url, still):
        daemon = RunningDaemon(url, tmp_path)
        try:
            yield daemon, still
        finally:
            daemon.close()


def _url(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, AbstractContextManager[None]]]:
    if request.param == "server":
        server: Server = request.getfixturevalue("postgres")
        with server.database() as url:
            yield url, server.standing_still()
    else:
        file = folder / "store.db"
        yield str(file), {"lock": lock, "move": moved}[request.param](file)


Standstill = tuple[RunningDaemon, AbstractContextManager[None]]


def test_a_limit_holds_and_the_run_is_recorded_afterwards(standstill: Standstill) -> None:
    """The worker is killed at the limit, not when the store goes on."""
    daemon, still = standstill
    worker = daemon.begin()
    with still:
        eventually(lambda: not lives(worker), within_s=slowed(5 * LIMIT_S))
    (run,) = eventually(
        lambda: [run for run in RunHistory(daemon.store).runs() if run.outcome is not None],
    )
    assert run.outcome is Outcome.TIMED_OUT
    assert daemon.ends(signals=1) == 0


@pytest.mark.parametrize("signals", [1, 2])
def test_signals_end_the_daemon(standstill: Standstill, signals: int) -> None:
    """The first one waits for the run, the second one kills it."""
    daemon, still = standstill
    worker = daemon.begin()
    with still:
        began = time.monotonic()
        assert daemon.ends(signals=signals) == 0
        took_s = time.monotonic() - began
    assert not lives(worker)
    if signals == 2:
        assert took_s < slowed(LIMIT_S)
