"""The power goes at any moment: what functions noted until then, compared with what the next daemon does.

Real processes run with a recorder of their writes; each moment of the record is a power cut, after which the files hold
what was synced and any part of what was not. Functions note their calls in a file that the cut spares.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from scheduler.clock import ManualClock
from scheduler.core.run import Outcome, Run, Task
from scheduler.core.timer import Environment
from scheduler.daemon.loop import Daemon
from scheduler.errors import StoreError
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.fault_scale import scaled
from tests.scheduler.power_cuts import Disk, Record, recorder, recording, records
from tests.scheduler.scripted_service import ScriptedExecutor, release, settle

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SECONDS = scaled(10, 60)
CUTS = scaled(200, 2_000)
FATES = ("none", "half", "most", "first")

CLOUD = """
import os
from scheduler.engine import Engine

engine = Engine()


@engine.define
def note(path):
    timer = engine.current.timer
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"called {timer.name} {timer.scheduled_at.isoformat()}\\n".encode())
    os.close(file)
"""
PROGRAM = """
import os, sys, threading, time
from scheduler.clock import SystemClock
from scheduler.daemon.loop import Daemon
from scheduler.core.misfire import MisfirePolicy
from scheduler.store import Store
from scheduler.store.timers import TimerTable
from scheduler.timer import Delivery, Environment, Every, Timer
from scheduler.workers.executor import ProcessExecutor

store_path, durability, cloud, notes, seconds = sys.argv[1:]


def every_second(delivery, misfire):
    name = f"{delivery}-{misfire}"
    return Timer(name=name, function="note", trigger=Every(1), params={"path": notes}, misfire=misfire,
                 delivery=delivery, enabled=True)


file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
with Store(store_path, durability=durability) as store:
    executor = ProcessExecutor(cloud, workers=2)
    executor.start()
    table, clock = TimerTable(store), SystemClock()
    table.add([every_second(d, m) for d in Delivery for m in MisfirePolicy], now=clock.now(), quota=0)
    os.write(file, b"began\\n")
    daemon = Daemon(store, {Environment.PRODUCTION: executor})
    thread = threading.Thread(target=daemon.run)
    thread.start()
    end = time.monotonic() + float(seconds)
    number = 0
    while time.monotonic() < end:
        number += 1
        table.add([Timer(name=f"new{number}", function="note", trigger=Every(60))], now=clock.now(), quota=0)
        os.write(file, f"added new{number}\\n".encode())
        time.sleep(0.3)
    daemon.stop()
    thread.join(60)
"""
#: Outcomes of fire times whose function was never called.
NEVER_BEGUN = (Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP, Outcome.SHORT_CIRCUITED)

Fire = tuple[str, datetime]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorder(tmp_path_factory.mktemp("recorder"))


def record(folder: Path, library: Path, durability: str) -> list[Record]:
    """What a daemon with some timers did to its files."""
    recorded = folder / "recorded"
    recorded.mkdir()
    (folder / "cloud.py").write_text(CLOUD)
    arguments = [recorded / "store.db", durability, folder / "cloud.py", recorded / "notes", SECONDS]
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=600, env=recording(library, recorded, folder / "log"))
    return records(folder / "log")


def is_note(record: Record) -> bool:
    return record.path.name == "notes"


def faults(taken: Sequence[Record], folder: Path, *, cuts: int) -> Counter[str]:
    """After how many power cuts at random moments something went wrong, by kind."""
    chance = random.Random(cuts)
    first = next(number for number, one in enumerate(taken) if is_note(one))
    moments = sorted(chance.randrange(first, len(taken)) for _ in range(cuts))
    disk, notes, played = Disk(), list[str](), 0
    found: Counter[str] = Counter()
    for number, moment in enumerate(moments):
        for one in taken[played:moment]:
            if is_note(one):
                notes.append(one.data.decode().strip())
            else:
                disk.play(one)
        played = moment
        place = folder / f"cut{number}"
        place.mkdir()
        for path, content in disk.cut(chance, FATES[number % len(FATES)]).items():
            (place / path.name).write_bytes(content)
        found.update(set(_after_cut(place, notes, datetime.fromtimestamp(taken[moment].at, UTC))))
    return found


def _after_cut(place: Path, notes: Sequence[str], now: datetime) -> list[str]:
    """The kinds of faults that a daemon shows on the files that were left."""
    called = Counter((name, datetime.fromisoformat(at)) for what, name, at in map(_words, notes) if what == "called")
    try:
        with Store(str(place / "store.db"), durability="process") as store:  # as fast as may be
            begun = Counter((task.timer, task.fire_time) for task in _begun(store, now))
            rows = RunHistory(store).runs(limit=100_000)
            names = {stored.timer.name for stored in TimerTable(store).list()}
    except (StoreError, DBAPIError) as error:
        return [f"store: {type(error).__name__}"]
    both = called + begun
    return [
        *("doubled" for fire, count in both.items() if count > 1 and fire[0].startswith("at_most_once")),
        *("called, and recorded as never begun" for fire in called if _is_denied(fire, rows)),
        *("left open" for run in rows if run.outcome is None and run.fire_time <= now),
        *("called, and not recorded" for fire in called if not _is_recorded(fire, rows)),
        *("timer lost" for what, name, _ in map(_words, notes) if what == "added" and name not in names),
    ]


def _words(note: str) -> tuple[str, str, str]:
    what, name, at = [*note.split(), "", ""][:3]
    return what, name, at


def _begun(store: Store, now: datetime) -> list[Task]:
    """What a new daemon calls, some seconds after the cut, when it has ended what the one before left."""
    clock = ManualClock(now + timedelta(seconds=7))
    executor = ScriptedExecutor(clock)
    daemon = Daemon(store, {Environment.PRODUCTION: executor}, clock=clock)
    settle(daemon)
    release(daemon)
    return executor.begun


def _is_denied(fire: Fire, rows: Sequence[Run]) -> bool:
    name, at = fire
    return any(
        run.timer == name and run.fire_time <= at <= run.last_fire_time and run.outcome in NEVER_BEGUN for run in rows
    )


def _is_recorded(fire: Fire, rows: Sequence[Run]) -> bool:
    return any((run.timer, run.fire_time) == fire for run in rows)


def test_no_power_cut_doubles_a_call_or_loses_one(tmp_path: Path, library: Path) -> None:
    """Nothing at_most_once is called twice, every call is in the history, and no timer is lost that was added."""
    taken = record(tmp_path, library, "power")
    assert sum(is_note(one) for one in taken) > 5 * SECONDS
    assert faults(taken, tmp_path, cuts=CUTS) == {}


def test_a_store_that_leaves_syncing_to_the_system_does(tmp_path: Path, library: Path) -> None:
    """The same with durability=process: what the test above would see if commits were not synced."""
    found = faults(record(tmp_path, library, "process"), tmp_path, cuts=CUTS // 4)
    assert found["timer lost"]
    assert found["doubled"]
    assert found["called, and recorded as never begun"]
