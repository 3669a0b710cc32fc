"""A real Celery fleet: a PostgreSQL store, a broker, a worker process, and daemons in this process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scheduler.claims.requested_runs import request_run
from scheduler.clock import SystemClock
from scheduler.core.run import Ending, Line, Run, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.fleet.executor import CeleryExecutor
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.lifeline import ending_with_tests, lifeline
from tests.scheduler.up_process import clean_environ
from tests.waiting import PATIENCE_S

CLOUD = """
import os, re, signal, subprocess, sys, threading, time
from pathlib import Path
from scheduler.engine import Engine, LeanEngineError

engine = Engine()


@engine.define
def nothing():
    pass


@engine.define
def hello(name="world"):
    return f"hello, {name}"


@engine.define
def note(path, seconds=0.0, **more):
    with open(path, "a") as file:
        file.write(f"{engine.current.timer.name} {engine.current.timer.attempt}\\n")
    time.sleep(seconds)


@engine.define
def talk():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return engine.current.timer.name


@engine.define
def fail():
    raise ValueError("boom")


@engine.define
def unfinished():
    yield print("never printed")


@engine.define
def refuse():
    raise LeanEngineError(123, "not you")


@engine.define
def sleep(path):
    child = subprocess.Popen(["sleep", "600"])
    Path(path).write_text(f"{os.getpid()} {child.pid}\\n")
    print("before the end")
    time.sleep(600)


@engine.define
def spin():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


@engine.define
def leave_a_thread_that_holds_the_interpreter():
    threading.Timer(0.2, re.match, (r"(a+)+$", "a" * 60 + "b")).start()


@engine.define
def die():
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)


@engine.define
def leave():
    os._exit(7)
"""


class Worker:
    """One `scheduler worker` in a folder, with the functions of `cloud`; made when it takes messages."""

    def __init__(
        self,
        folder: Path,
        url: str,
        broker: str,
        *more: str,
        concurrency: int = 3,
        cloud: str = CLOUD,
        under: Sequence[str] = (),
    ) -> None:
        (folder / "cloud.py").write_text(cloud)
        words = ["worker", "cloud.py", "--store", url, "--broker", broker, "-c", str(concurrency), *more]
        self.process = subprocess.Popen(
            ending_with_tests(*under, sys.executable, "-m", "scheduler", *words),
            cwd=folder,
            pass_fds=[lifeline()],
            env=clean_environ(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.log: list[str] = []
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_ready.wait(PATIENCE_S), self.log

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if "ready." in line:
                self._is_ready.set()

    def stop(self) -> int:
        """Send SIGTERM and wait; returns the exit status."""
        self.process.terminate()
        return self.ended()

    def kill(self) -> None:
        """Kill the main process, whose children then end."""
        self.process.kill()
        self.ended()

    def ended(self) -> int:
        """Wait for its end; returns the exit status."""
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


class WatchedDaemon:
    """A daemon on a thread, with the runs and the lines that its listener was called with."""

    def __init__(self, store: Store, broker: str) -> None:
        self.store = store
        self.history = RunHistory(store)
        self.timetable = TimerTable(store)
        self.ended: dict[int, Ending] = {}
        self.lines: list[Line] = []
        self._news = threading.Condition()
        self.executor = CeleryExecutor(store, broker)
        self.daemon = Daemon(store, dict.fromkeys(Environment, self.executor), listener=self._listen)
        self._thread = threading.Thread(target=self.daemon.run)

    def __enter__(self) -> WatchedDaemon:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def add(self, name: str, function: str, *, limit_s: float = 5.0, **options: Any) -> None:
        """Add a timer that fires only when asked to."""
        timer = Timer(name=name, function=function, trigger=Every(86_400), limit_s=limit_s, **options)
        self.timetable.add([timer], now=SystemClock().now(), quota=0)

    def begin(self, *names: str, environment: Environment = Environment.PRODUCTION) -> list[int]:
        """Request a run of each timer now."""
        now = SystemClock().now()
        return [request_run(self.store, name, environment, now=now) for name in names]

    def end_of(self, *run_ids: int, patience_s: float = PATIENCE_S) -> list[Run]:
        """The runs, when the listener was called with their ends."""
        with self._news:
            done = self._news.wait_for(lambda: self.ended.keys() >= set(run_ids), patience_s)
        runs = [self.history.run(run_id) for run_id in run_ids]
        assert done, runs
        return [run for run in runs if run is not None]

    def run(self, name: str, function: str, **options: Any) -> Run:
        """Add a timer, request a run, and wait for its end."""
        self.add(name, function, **options)
        (run,) = self.end_of(*self.begin(name))
        return run

    def _listen(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        with self._news:
            self.ended |= {task.run_id: ending for task, ending in ended}
            self.lines += lines
            self._news.notify_all()
