"""Several daemons, real ones, on one PostgreSQL: killed, cut off, left without a server. Functions write what they did.

Every test prints what was due, fired, doubled and lost, and asserts all four. `due` are the fire times up to the end of
the test, `fired` those that a function began, `doubled` those that it began more often than was promised, and `lost`
those that no row of the history accounts for, or that a row says were run and no function knows of.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import update

from scheduler.clock import SystemClock
from scheduler.history import History
from scheduler.run import Outcome, Run
from scheduler.schema import timers
from scheduler.stamps import instant
from scheduler.store import Store
from scheduler.timer import Delivery, Every, OverlapPolicy, Timer
from scheduler.timetable import Timetable

from .postgres import Server
from .service import eventually

pytestmark = pytest.mark.faults

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
#: One daemon; each believes to be on a machine of its own, so that none can ask after another's process.
PROGRAM = """
import logging, signal, socket, sys
from datetime import timedelta
from scheduler.daemon import Daemon
from scheduler.executors.process import ProcessExecutor
from scheduler.store import Store
from scheduler.timer import Environment

name, url, target, grace_s = sys.argv[1:]
socket.gethostname = lambda: name
logging.basicConfig(level=logging.INFO, format="%(message)s")
executor = ProcessExecutor(target, workers=2)
executor.start()
daemon = Daemon(Store(url), dict.fromkeys(Environment, executor), grace=timedelta(seconds=float(grace_s)))
signal.signal(signal.SIGTERM, lambda *_: daemon.stop())
print("ready", flush=True)
daemon.run()
"""
SECOND = timedelta(seconds=1)
TIMERS = 30


class Note(NamedTuple):
    """What a function wrote when it began."""

    timer: str
    fire_time: datetime
    attempt: int
    begun_at: float
    daemon: int


class Fleet:
    """Daemons on one store, and timers whose functions write into one file."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.store = Store(url)
        self.notes_file = folder / "notes"
        (folder / "cloud.py").write_text(CLOUD)
        self.daemons: list[subprocess.Popen[str]] = []

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
        added = Timetable(self.store).add(new, now=SystemClock().now(), quota=0)
        with self.store.writing() as connection:
            for number, entry in enumerate(added):
                apart = 1_000_000 * number // count
                moved = {"anchor_at": timers.c.anchor_at + apart, "next_fire_at": timers.c.next_fire_at + apart}
                connection.execute(update(timers).where(timers.c.id == entry.id).values(moved))

    def start(self, count: int, *, grace_s: float = 5.0) -> None:
        target = str(self.folder / "cloud.py")
        new = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, f"machine-{number}", self.url, target, str(grace_s)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(count)
        ]
        self.daemons += new
        for daemon in new:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "ready\n"
        eventually(lambda: {note.daemon for note in self.notes()} >= {daemon.pid for daemon in new})

    def notes(self) -> list[Note]:
        if not self.notes_file.exists():
            return []
        words = (line.split() for line in self.notes_file.read_text().splitlines())
        return [
            Note(name, instant(round(float(fire_time) * 1e6)), int(attempt), float(begun_at), int(daemon))
            for name, fire_time, attempt, begun_at, daemon in words
        ]

    def runs(self) -> list[Run]:
        return History(self.store).runs(limit=1_000_000)

    def end(self) -> datetime:
        """End the daemons in order; returns the instant up to which every fire time must be accounted for."""
        end = SystemClock().now() - SECOND / 2
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
        self.said = [daemon.communicate(timeout=20)[1] for daemon in self.daemons]
        return end

    def close(self) -> None:
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.communicate(timeout=20)
        self.store.close()


class Account(NamedTuple):
    """The outcome of a test, in fire times."""

    due: int
    fired: int
    doubled: int
    lost: int


def account(fleet: Fleet, end: datetime, *, attempts: int = 1) -> Account:
    """Hold what was due against what the functions wrote and what the history says; prints it."""
    begun = Counter((note.timer, note.fire_time) for note in fleet.notes() if note.fire_time <= end)
    accounted: Counter[tuple[str, datetime]] = Counter()
    said_to_run = set()
    for run in fleet.runs():
        if run.attempt == 1:
            span = int((run.last_fire_time - run.fire_time) / SECOND) + 1
            assert span == run.count, run
            accounted.update((run.timer, run.fire_time + SECOND * rank) for rank in range(span))
        if run.outcome is Outcome.SUCCEEDED:
            said_to_run.add((run.timer, run.fire_time))
    due = {
        (entry.timer.name, fire_time)
        for entry in Timetable(fleet.store).list()
        for fire_time in fires(entry.timer.trigger, end)  # type: ignore[arg-type]
    }
    doubled = {key for key, times in begun.items() if times > attempts}
    doubled |= {key for key, times in accounted.items() if times > 1}
    lost = (due - set(accounted)) | (said_to_run - {(note.timer, note.fire_time) for note in fleet.notes()})
    result = Account(len(due), len(begun), len(doubled), len(lost))
    outcomes = Counter(str(run.outcome) for run in fleet.runs())
    print(f"\ndue {result.due}, fired {result.fired}, doubled {result.doubled}, lost {result.lost}; {dict(outcomes)}")
    return result


def fires(trigger: Every, end: datetime) -> Iterator[datetime]:
    fire_time = trigger.anchor + SECOND
    while fire_time <= end:
        yield fire_time
        fire_time += SECOND


@pytest.fixture
def fleet(postgres: Server, tmp_path: Path) -> Iterator[Fleet]:
    with postgres.database() as url, _fleet(url, tmp_path) as fleet:
        yield fleet


@contextmanager
def _fleet(url: str, folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(url, folder)
    try:
        yield fleet
    finally:
        fleet.close()


@pytest.mark.parametrize(("count", "delivery", "attempts"), [(2, "at_most_once", 1), (3, "at_least_once", 2)])
def test_when_a_daemon_is_killed_the_others_go_on_within_a_second(
    fleet: Fleet, count: int, delivery: str, attempts: int
) -> None:
    """In the midst of its runs; what it has claimed is run by nobody else, or once more where it must be delivered."""
    fleet.add(TIMERS, duration=0.1, overlap=OverlapPolicy.ALLOW, delivery=Delivery(delivery))
    fleet.start(count)
    time.sleep(0.5 + random.random())
    victim = fleet.daemons[0]
    victim.kill()
    killed_at = time.time()
    time.sleep(2.2)
    eventually(lambda: not [run for run in fleet.runs() if run.outcome is None and run.attempt == 2])
    result = account(fleet, fleet.end(), attempts=attempts)
    later = [note for note in fleet.notes() if note.daemon != victim.pid and note.begun_at > killed_at]
    went_on_s = min(note.begun_at for note in later) - killed_at
    abandoned = [run for run in fleet.runs() if run.outcome is Outcome.ABANDONED]
    found_s = max((run.ended_at.timestamp() for run in abandoned if run.ended_at), default=killed_at) - killed_at
    print(f"the others went on after {went_on_s:.3f} s; {len(abandoned)} cut runs were abandoned after {found_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired >= result.due - (len(abandoned) if attempts == 1 else 0)
    assert {note.timer for note in later} == {f"t{number}" for number in range(TIMERS)}
    assert went_on_s < 1
    assert found_s < 1.6  # it is looked for once a second, and twice within 0.1 s


def test_a_server_that_was_away_finds_its_daemons_waiting(fleet: Fleet, postgres: Server) -> None:
    """They live, say so once, fire within a second of its return, and treat what was missed by its policy."""
    fleet.add(TIMERS, duration=0.05)
    fleet.start(2, grace_s=1)
    postgres.stop()
    time.sleep(3)
    postgres.start()
    back_at = time.time()
    time.sleep(2.5)
    end = fleet.end()
    result = account(fleet, end)
    fires_again_s = min(note.begun_at for note in fleet.notes() if note.begun_at > back_at) - back_at
    print(f"fired again {fires_again_s:.3f} s after the return")
    assert [daemon.returncode for daemon in fleet.daemons] == [0, 0], fleet.said
    assert [said.count("trying again") for said in fleet.said] == [1, 1]
    assert [said.count("answers again") for said in fleet.said] == [1, 1]
    assert (result.doubled, result.lost) == (0, 0)
    assert Outcome.ABANDONED not in {run.outcome for run in fleet.runs()}
    assert fires_again_s < 1


def test_connections_cut_at_random_moments_cost_nothing(fleet: Fleet, postgres: Server) -> None:
    """Within transactions, between them, and while a commit is on its way."""
    fleet.add(TIMERS, overlap=OverlapPolicy.ALLOW)
    fleet.start(2)
    database = fleet.store.url.database
    cut = 0
    for _ in range(12):
        time.sleep(0.1 + 0.3 * random.random())
        cut += len(
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        )
    time.sleep(2)
    result = account(fleet, fleet.end())
    print(f"{cut} connections were cut")
    assert [daemon.returncode for daemon in fleet.daemons] == [0, 0], fleet.said
    assert (result.doubled, result.lost) == (0, 0)
    assert [run for run in fleet.runs() if run.outcome is None] == []
