"""Throughput of the timer service, its start with a large store, and functions that hang, each with its goal.

    python benchmarks/service.py [--only sustained store hung cancelled postgresql]

The store is durable, and functions run in two worker processes. PostgreSQL comes from a wheel of the test extra. A
missed goal is printed as missed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from timers import Measured, add_every_second, functions, ours

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_run
from scheduler.clock import SystemClock
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Ending, Line, Outcome, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.daemon.loop import Daemon
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from scheduler.workers.executor import ProcessExecutor

ROOT = Path(__file__).parent.parent
HUNG = """
import ctypes, os, signal, subprocess, sys, time
from scheduler.functions import Registry

functions = Registry()
functions.define(lambda: None, name="nothing")
functions.define(lambda: time.sleep(60), name="sleeps")


@functions.define
def spins():
    while True:
        pass


@functions.define
def ignores_signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)


@functions.define
def has_children():
    subprocess.run(["sleep", "60"])


@functions.define
def tells(path):
    child = subprocess.Popen(["sleep", "60"])
    with open(path + ".new", "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    os.rename(path + ".new", path)
    time.sleep(60)


@functions.define
def holds_the_gil():
    ctypes.PyDLL(None).sleep(60)
"""
HANGING = ("sleeps", "spins", "ignores_signals", "has_children", "holds_the_gil")


class Result(NamedTuple):
    """One number with its unit, and its goal: an upper bound, or a lower bound if `more` is set."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    more: bool = False

    @property
    def is_missed(self) -> bool:
        return self.goal is not None and (self.value < self.goal if self.more else self.value > self.goal)

    def __str__(self) -> str:
        goal = "" if self.goal is None else f"  ({'≥' if self.more else '≤'} {self.goal:,g})"
        return f"{self.name:64} {self.value:12,.4g} {self.unit}{goal}{'  MISSED' if self.is_missed else ''}"


@contextmanager
def daemon_on(
    store: Store, target: str, listener: Callable[[list[tuple[Task, Ending]], list[Line]], None] | None = None
) -> Iterator[Daemon]:
    """A daemon in a thread, with two workers, until the end of the block."""
    executor = ProcessExecutor(target, workers=2)
    executor.start()
    daemon = Daemon(store, {Environment.PRODUCTION: executor}, listener=listener)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join(60)


# Sustained


def sustained(
    seconds: int = 6, steps: Sequence[int] = (20_000, 25_000, 30_000, 35_000, 40_000, 50_000)
) -> list[Result]:
    """The most every-second timers of which every fire time runs, 99 of 100 within a second."""
    most, cpu = 0, float("inf")
    for timers in steps:
        measured = ours(timers, seconds)
        if measured.done < 1 or measured.p99 > 1000:
            break
        most, cpu = timers, measured.cpu
    return [
        Result("durable runs per second, SQLite", most, "", 40_000, more=True),
        Result("CPU per run", cpu, "µs", 50),
    ]


def _rate(store: Store, target: str, seconds: int) -> tuple[float, int]:
    """The runs per second that succeeded, without the first two seconds; and the number of all of them."""
    reports: list[tuple[float, int]] = []

    def listen(ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
        reports.append((time.monotonic(), sum(ending.outcome is Outcome.SUCCEEDED for _, ending in ended)))

    with daemon_on(store, target, listen):
        time.sleep(seconds)
    return rate_of(reports), sum(count for _, count in reports)


def rate_of(reports: list[tuple[float, int]]) -> float:
    """Runs per second, from the first report after two seconds to the last one."""
    steady = [(at, count) for at, count in reports if at - reports[0][0] > 2]
    return sum(count for _, count in steady[1:]) / (steady[-1][0] - steady[0][0])


# A large store


def large_store(timers: int = 100_000) -> list[Result]:
    """The time of a start, the CPU while idle, and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        target, path = functions(folder), str(Path(folder) / "store.db")
        with Store(path) as store:
            new = [
                Timer(name=f"t{n}", function="nothing", trigger=Cron(_once_a_day(n), "UTC"), enabled=True)
                for n in range(timers)
            ]
            TimerTable(store).add(new, now=datetime.now(UTC), quota=0)
            del new
        gc.collect()
        before, began = _memory(), time.monotonic()
        with Store(path) as store, daemon_on(store, target) as daemon:
            while daemon.next_due is None:
                time.sleep(0.001)
            ready_s = time.monotonic() - began
            time.sleep(5)
            used, since = time.process_time(), time.monotonic()
            # The daemon wakes twice a minute.
            time.sleep(60)
            share = (time.process_time() - used) / (time.monotonic() - since)
            memory = (_memory() - before) / timers
    return [
        Result(f"{timers:,} timers: ready after", ready_s, "s", 1),
        Result(f"{timers:,} timers: idle, of a core", share * 100, "%", 0.02),
        Result(f"{timers:,} timers: memory of one", memory, "bytes", 700),
    ]


def _once_a_day(number: int) -> str:
    """A time of day that is at least six hours from now, in either direction."""
    second = (datetime.now(UTC).hour * 3600 + 21_600 + number * 43_200 // 100_000) % 86_400
    return f"{second % 60} {second // 60 % 60} {second // 3600} * * ?"


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def adding_and_catching_up(timers: int = 10_000) -> list[Result]:
    """Timers that are added at once, and a start when all of them are overdue."""
    with tempfile.TemporaryDirectory() as folder, Store(str(Path(folder) / "store.db")) as store:
        target, trigger = functions(folder), Every(3600)
        new = [Timer(name=f"t{n}", function="nothing", trigger=trigger, enabled=True) for n in range(timers)]
        began = time.monotonic()
        TimerTable(store).add(new, now=datetime.now(UTC) - timedelta(hours=2), quota=0)
        added_s = time.monotonic() - began
        done: list[float] = []

        def listen(ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
            done.extend([time.monotonic()] * len(ended))

        executor = ProcessExecutor(target, workers=2)
        executor.start()
        daemon = Daemon(store, {Environment.PRODUCTION: executor}, listener=listen)
        began = time.monotonic()
        thread = threading.Thread(target=daemon.run)
        thread.start()
        while len(done) < timers and time.monotonic() - began < 60:
            time.sleep(0.01)
        daemon.stop()
        thread.join(60)
    return [
        Result(f"adding {timers:,} timers at once", added_s, "s", 0.5),
        Result(f"{timers:,} overdue at a start: all recorded after", max(done) - began, "s", 0.7),
    ]


# Functions that hang


def hung(seconds: int = 21, limit_s: float = 5.0) -> list[Result]:
    """Ten of fifteen functions never return: how long after its limit each is killed, and how late the others run."""
    over: list[float] = []
    alone, beside = _healthy([], seconds, limit_s, over), _healthy([*HANGING, *HANGING], seconds, limit_s, over)
    return [
        Result("killed after the limit, at the latest", max(over), "ms", 100),
        Result("killed after the limit, median", statistics.median(over), "ms"),
        Result("p99 lateness of five healthy timers, alone", alone, "ms"),
        Result("p99 lateness of five healthy timers, ten hanging", beside, "ms"),
        Result("… of what it is alone", beside / alone, "×", 1.2),
    ]


def cancelled(times: int = 10) -> list[Result]:
    """How long after a request to cancel it the process of a function that never returns is dead, with its child."""
    took: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Store(str(Path(folder) / "store.db")) as store:
        file = Path(folder) / "pids"
        timer = Timer(name="t", function="tells", trigger=Every(86_400), params={"path": str(file)}, limit_s=600)
        TimerTable(store).add([timer], now=SystemClock().now(), quota=0)
        # The request comes from another process.
        with daemon_on(store, functions(folder, HUNG)), Store(str(Path(folder) / "store.db")) as other:
            for _ in range(times):
                run_id = request_run(other, "t", Environment.PRODUCTION, now=SystemClock().now())
                pids = _pids(file)
                asked = time.perf_counter()
                request_cancel(other, run_id, now=SystemClock().now())
                while any(map(_lives, pids)):
                    time.sleep(0.0005)
                took.append((time.perf_counter() - asked) * 1000)
                file.unlink()
    return [
        Result("cancelled run to dead processes, at the latest", max(took), "ms", 100),
        Result("cancelled run to dead processes, median", statistics.median(took), "ms"),
    ]


def _pids(file: Path) -> list[int]:
    """The processes that a function has written down."""
    while not file.exists():
        time.sleep(0.001)
    return [int(word) for word in file.read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _healthy(hanging: list[str], seconds: int, limit_s: float, over: list[float]) -> float:
    """The p99 of the lateness of five every-second timers beside functions that hang, in ms."""
    late: list[float] = []

    def listen(ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
        for task, ending in ended:
            if ending.started_at is None:
                continue
            if task.function == "nothing":
                late.append((ending.started_at - task.fire_time).total_seconds() * 1000)
            else:
                over.append(((ending.ended_at - ending.started_at).total_seconds() - limit_s) * 1000)

    with tempfile.TemporaryDirectory() as folder, Store(str(Path(folder) / "store.db")) as store:
        trigger = Cron("* * * * * ?", "UTC")
        names = ["nothing"] * 5 + hanging
        new = [
            Timer(
                name=f"t{n}",
                function=name,
                trigger=trigger,
                limit_s=limit_s,
                breaker_threshold=0,
                overlap=OverlapPolicy.SKIP,
                enabled=True,
            )
            for n, name in enumerate(names)
        ]
        TimerTable(store).add(new, now=SystemClock().now(), quota=0)
        with daemon_on(store, functions(folder, HUNG), listen):
            time.sleep(seconds)
    # Without the first two seconds, those of the start.
    steady = sorted(late[10:])
    return steady[int(len(steady) * 0.99) - 1]


# PostgreSQL


def postgresql(seconds: int = 12) -> list[Result]:
    """A thousand timers on one daemon; and more than two daemons, in processes of their own, can run."""
    sys.path.insert(0, str(ROOT))
    from tests.scheduler.postgres_server import postgres_server

    with postgres_server() as server:
        with server.database() as url:
            measured: Measured = ours(1_000, 5, url)
        with server.database() as url, tempfile.TemporaryDirectory() as folder:
            rate = _two_daemons(url, functions(folder), seconds)
    return [
        Result("PostgreSQL, 1,000 timers: p99 lateness", measured.p99, "ms", 50),
        Result("PostgreSQL, 1,000 timers: fire times that ran", measured.done * 100, "%", 100, more=True),
        Result("durable runs per second, two daemons on PostgreSQL", rate, "", 15_000, more=True),
    ]


def _two_daemons(url: str, target: str, seconds: int) -> float:
    with Store(url) as store:
        add_every_second(store, 18_000)
    command = [sys.executable, __file__, "--daemon", url, target, str(seconds)]
    daemons = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        return sum(float(daemon.communicate(timeout=seconds + 120)[0]) for daemon in daemons)
    finally:
        for daemon in daemons:
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGKILL)


def _run_daemon_process(url: str, target: str, seconds: str) -> None:
    with Store(url) as store:
        print(_rate(store, target, int(seconds))[0])


SECTIONS: dict[str, tuple[Callable[[], list[Result]], ...]] = {
    "sustained": (sustained,),
    "store": (large_store, adding_and_catching_up),
    "hung": (hung,),
    "cancelled": (cancelled,),
    "postgresql": (postgresql,),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--daemon", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.daemon:
        _run_daemon_process(*options.daemon)
        return
    missed = 0
    for section in options.only:
        for measure in SECTIONS[section]:
            for result in measure():
                print(result, flush=True)
                missed += result.is_missed
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
