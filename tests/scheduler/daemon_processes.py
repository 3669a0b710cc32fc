"""Daemons as real processes on one store, whose functions note each call, so that it can be compared with the history.

`due` are the fire times up to the end of a test, `fired` those that a function began, `doubled` those that it began
more often than promised, and `lost` those without a row in the history, or with a row of a run that no function noted.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import update

from scheduler.clock import SystemClock
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Timer
from scheduler.core.timestamps import instant
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from tests.waiting import PATIENCE_S, eventually, slowed

CLOUD = """
import os, time
from scheduler.engine import Engine

engine = Engine()


@engine.define
def note(path, duration=0.0):
    timer = engine.current.timer
    words = f"{timer.name} {timer.scheduled_at.timestamp():.6f} {timer.attempt} {time.time():.6f} {os.getppid()}\\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, words.encode())
    os.close(file)
    time.sleep(duration)
"""
#: One daemon; each has a host name of its own, so that none can check whether another's process lives.
PROGRAM = """
import logging, signal, socket, sys
from datetime import timedelta
from pathlib import Path
from scheduler.clock import SystemClock
from scheduler.daemon.loop import Daemon
from scheduler.fleet.executor import CeleryExecutor
from scheduler.workers.executor import ProcessExecutor
from scheduler.store import Store
from scheduler.timer import Environment

name, url, target, grace_s, clock_file, broker = sys.argv[1:]
socket.gethostname = lambda: name


class MovedClock(SystemClock):
    # Ahead of the system's clock by the seconds in the file.
    def now(self):
        return super().now() + timedelta(seconds=float(Path(clock_file).read_text()))


logging.basicConfig(level=logging.INFO, format="%(message)s")
store = Store(url)
if broker:
    executor = CeleryExecutor(store, broker)
else:
    executor = ProcessExecutor(target, workers=2)
    executor.start()
grace = timedelta(seconds=float(grace_s))
daemon = Daemon(store, dict.fromkeys(Environment, executor), grace=grace, clock=MovedClock())
signal.signal(signal.SIGTERM, lambda *_: daemon.stop())
print("ready", flush=True)
daemon.run()
"""
SECOND = timedelta(seconds=1)
#: The outcomes of fire times that do not run, by their policies.
PASSED_OVER = {Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP}


class Note(NamedTuple):
    """What a function wrote when it began."""

    timer: str
    fire_time: datetime
    attempt: int
    begun_at: float
    #: The pid of the daemon: the parent of the function's process.
    daemon: int


class DaemonGroup:
    """Daemons on one store, and timers whose functions write into one file.

    The functions run in the daemons' worker processes, or with a `broker` in those of a fleet.
    """

    def __init__(self, url: str, folder: Path, functions: str = "", *, broker: str = "") -> None:
        self.url, self.folder, self.broker = url, folder, broker
        # The test's own connections: a server may be slow to answer on a busy machine; daemons have the usual limit.
        self.store = Store(url, timeout_s=60)
        self.notes_file = folder / "notes"
        (folder / "cloud.py").write_text(CLOUD + functions)
        self.daemons: list[subprocess.Popen[str]] = []
        self._log_files: list[Path] = []
        self._clock_file = folder / "clock"
        self.set_clock(0)

    def set_clock(self, ahead_s: float) -> None:
        """Set the daemons' system clock ahead of the true one."""
        written = self.folder / "clock.new"
        written.write_text(str(ahead_s))
        written.replace(self._clock_file)
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        """The reading of the daemons' system clock."""
        return SystemClock().now() + self._ahead

    def add_timers(self, *new: Timer) -> None:
        """Add timers as they are."""
        TimerTable(self.store).add(new, now=self.now(), quota=0)

    def add(self, count: int, *, duration: float = 0.0, **options: object) -> None:
        """Add every-second timers that fire one after another, so that something is due all the time."""
        new = [
            Timer(
                name=f"t{number}",
                function="note",
                trigger=Every(1),
                params={"path": str(self.notes_file), "duration": duration},
                enabled=True,
                **options,  # type: ignore[arg-type]
            )
            for number in range(count)
        ]
        added = TimerTable(self.store).add(new, now=self.now(), quota=0)
        with self.store.writing() as connection:
            for number, entry in enumerate(added):
                apart = 1_000_000 * number // count
                trigger = Every(1, anchor=entry.created_at.replace(microsecond=0) + timedelta(microseconds=apart))
                moved = {"trigger": trigger.stored()[1], "next_fire_at": timers.c.next_fire_at + apart}
                connection.execute(update(timers).where(timers.c.id == entry.id).values(moved))

    def start(self, count: int, *, grace_s: float = 5.0) -> None:
        new = [self._started(f"machine-{number}", grace_s) for number in range(count)]
        self.daemons += new
        for daemon in new:
            self._wait_until_ready(daemon)
        if not self.broker:
            eventually(
                lambda: {note.daemon for note in self.notes()}, lambda seen: seen >= {daemon.pid for daemon in new}
            )

    def start_another(self) -> subprocess.Popen[str]:
        """Start a daemon on the first machine, and wait until it is ready; it need not have run anything."""
        daemon = self._started("machine-0", 5.0)
        self.daemons.append(daemon)
        self._wait_until_ready(daemon)
        return daemon

    def _wait_until_ready(self, daemon: subprocess.Popen[str]) -> None:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "ready\n", f"a daemon did not start: {self.logs}"

    def _started(self, machine: str, grace_s: float) -> subprocess.Popen[str]:
        """A daemon that logs to a file: it would stand still once a pipe that nobody reads was full."""
        target = str(self.folder / "cloud.py")
        words = [machine, self.url, target, str(grace_s), str(self._clock_file), self.broker]
        self._log_files.append(self.folder / f"log{len(self._log_files)}")
        with self._log_files[-1].open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *words], stdout=subprocess.PIPE, stderr=log, text=True
            )

    @property
    def logs(self) -> list[str]:
        """What each daemon has logged so far."""
        return [file.read_text() for file in self._log_files]

    def notes(self) -> list[Note]:
        if not self.notes_file.exists():
            return []
        complete, _, _ = self.notes_file.read_text().rpartition("\n")
        words = (line.split() for line in complete.splitlines())
        return [
            Note(name, instant(round(float(fire_time) * 1e6)), int(attempt), float(begun_at), int(daemon))
            for name, fire_time, attempt, begun_at, daemon in words
        ]

    def runs(self) -> list[Run]:
        return RunHistory(self.store).runs(limit=1_000_000)

    def end(self, *, waits_s: float = 0.0) -> datetime:
        """Stop the daemons with SIGTERM; returns the instant up to which every fire time must have a row.

        On a busy machine they may be late: what was due and not claimed yet is not lost. A run that waits for a worker,
        for as long as `waits_s`, is given back: it is due again.
        """
        stopped_at = self.now()
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
        for daemon in self.daemons:
            daemon.communicate(timeout=slowed(PATIENCE_S))
        unclaimed = [entry.next_fire for entry in TimerTable(self.store).list() if entry.timer.enabled]
        end = min(stopped_at - SECOND / 2, *(at - SECOND / 1e6 for at in unclaimed if at is not None))
        assert stopped_at - end <= slowed(1.0 + waits_s) * SECOND, f"due for long and not claimed: {end}; {self.logs}"
        return end

    def close(self) -> None:
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.communicate(timeout=PATIENCE_S)
        self.store.close()


class Account(NamedTuple):
    """The outcome of a test, in fire times."""

    due: int
    fired: int
    doubled: int
    lost: int
    #: Due fire times that did not run, by the misfire or overlap policy.
    passed_over: int = 0


def account(group: DaemonGroup, end: datetime, *, attempts: int = 1) -> Account:
    """Compare what was due with what the functions noted and with the history; prints the account."""
    begun = Counter((note.timer, note.fire_time) for note in group.notes() if note.fire_time <= end)
    triggers = {entry.timer.name: entry.timer.trigger for entry in TimerTable(group.store).list()}
    steps = {name: SECOND * trigger.seconds for name, trigger in triggers.items()}  # type: ignore[union-attr]
    accounted: Counter[tuple[str, datetime]] = Counter()
    recorded_runs, passed_over = set(), set()
    for run in group.runs():
        if run.attempt == 1:
            step = steps[run.timer]
            span = int((run.last_fire_time - run.fire_time) / step) + 1
            assert span == run.count, run
            keys = [(run.timer, run.fire_time + step * rank) for rank in range(span)]
            accounted.update(keys)
            if run.outcome in PASSED_OVER:
                passed_over.update(keys)
        if run.outcome is Outcome.SUCCEEDED and run.function == "note":
            recorded_runs.add((run.timer, run.fire_time))
    due = {(name, fire_time) for name, trigger in triggers.items() for fire_time in fires(trigger, end)}
    doubled = {key for key, times in begun.items() if times > attempts}
    doubled |= {key for key, times in accounted.items() if times > 1}
    lost = (due - set(accounted)) | (recorded_runs - {(note.timer, note.fire_time) for note in group.notes()})
    result = Account(len(due), len(begun), len(doubled), len(lost), len(passed_over & due))
    print_account(result, Counter(str(run.outcome) for run in group.runs()))
    return result


def given_back(group: DaemonGroup, end: datetime) -> int:
    """How many runs up to an instant had not begun when the daemons stopped; the next daemon begins them."""
    waiting = [run for run in group.runs() if run.outcome is None and not run.is_claimed and run.fire_time <= end]
    return sum(run.count for run in waiting)


def print_account(result: Account, outcomes: Counter[str]) -> None:
    """Print what was due, fired, doubled and lost."""
    due, fired, doubled, lost, passed_over = result
    print(f"\ndue {due}, fired {fired}, passed over {passed_over}, doubled {doubled}, lost {lost}; {dict(outcomes)}")


def fires(trigger: Every, end: datetime) -> Iterator[datetime]:
    fire_time = trigger.anchor + SECOND * trigger.seconds
    while fire_time <= end:
        yield fire_time
        fire_time += SECOND * trigger.seconds


@contextmanager
def daemon_group(url: str, folder: Path, functions: str = "", *, broker: str = "") -> Iterator[DaemonGroup]:
    """Daemons and timers, for as long as the block lasts; `functions` are added to their cloud.py."""
    group = DaemonGroup(url, folder, functions, broker=broker)
    try:
        yield group
    finally:
        group.close()
