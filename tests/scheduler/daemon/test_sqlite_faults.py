"""The service is killed again and again on a SQLite store: what the functions noted, compared with the history."""

import random
import sqlite3
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scheduler.clock import SystemClock
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Delivery, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.timers import TimerTable
from tests.scheduler.fault_scale import scaled
from tests.scheduler.up_process import up
from tests.waiting import eventually

ROUNDS = scaled(5, 20)
SECOND = timedelta(seconds=1)

CLOUD = """
import os
import time

from scheduler.engine import Engine

engine = Engine()


@engine.define
def note(pause=0):
    timer = engine.current.timer
    line = f"{timer.name} {timer.scheduled_at.isoformat()}\\n".encode()
    file = os.open("noted.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line)
    os.close(file)
    time.sleep(pause)
"""


def timers() -> list[Timer]:
    """Quick and slow timers of both deliveries; every missed fire time runs late."""
    return [
        Timer(
            name=f"{delivery}-{pause}",
            function="note",
            trigger=Every(1),
            params={"pause": pause},
            misfire=MisfirePolicy.FIRE_ALL,
            overlap=OverlapPolicy.ALLOW,
            delivery=delivery,
            enabled=True,
        )
        for delivery in Delivery
        for pause in (0, 0.3)
    ]


def fire_times(run: Run) -> list[datetime]:
    return [run.fire_time + SECOND * rank for rank in range(run.count)]


@pytest.mark.faults
def test_a_service_that_is_killed_at_random_moments_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Each due fire time has one outcome; at_most_once never runs twice, at_least_once at least once."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    store_file = tmp_path / "store.db"
    seed = random.randrange(1_000_000)
    moments = random.Random(seed)
    with Store(str(store_file)) as store:
        TimerTable(store).add(timers(), now=SystemClock().now(), quota=0)
    for _ in range(ROUNDS):
        with up(tmp_path, "--store", str(store_file)) as running:
            time.sleep(moments.uniform(0.2, 2.0))
            running.kill()
    with up(tmp_path, "--store", str(store_file)) as running:
        since = SystemClock().now()
        eventually(lambda: unsettled(store_file, since), lambda seen: seen == 0)
        status, _ = running.stop()
        assert status == 0
    with Store(str(store_file)) as store:
        runs = RunHistory(store).runs(limit=100_000)
        anchors = {entry.timer.name: entry.timer.trigger.anchor for entry in TimerTable(store).list()}  # type: ignore[union-attr]
        pending = {entry.timer.name: entry.next_fire for entry in TimerTable(store).list()}
    noted = Counter((line.split()[0], datetime.fromisoformat(line.split()[1])) for line in read(tmp_path / "noted.txt"))
    due = set()
    for name, anchor in anchors.items():
        fire_time = anchor + SECOND
        while fire_time < pending[name]:  # type: ignore[operator]
            due.add((name, fire_time))
            fire_time += SECOND
    firsts = Counter((run.timer, time) for run in runs if run.attempt == 1 for time in fire_times(run))
    doubled = {key for key, count in noted.items() if count > 1 and key[0].startswith("at_most_once")}
    # A run that had not begun at SIGTERM, and whose timer had fired again, waits for the next daemon.
    waiting = {(run.timer, time) for run in runs if run.outcome is None for time in fire_times(run)}
    lost = {key for key in due - waiting if key not in noted and key[0].startswith("at_least_once")}
    abandoned = sum(run.outcome is Outcome.ABANDONED for run in runs)
    print(
        f"seed {seed}: {ROUNDS} kills; due {len(due)}, fired {sum(noted.values())}, "
        f"abandoned {abandoned}, doubled {len(doubled)}, lost {len(lost)}"
    )
    assert not [run for run in runs if run.outcome is None and (run.is_claimed or run.started_at)]
    assert not {key for key in waiting & noted.keys() if key[0].startswith("at_most_once")}
    assert set(firsts) == due
    assert set(firsts.values()) == {1}
    assert not doubled
    assert not lost


def unsettled(store_file: Path, before: datetime) -> int:
    """How many timers have unclaimed fire times before an instant, and how many runs of earlier ones are open."""
    connection = sqlite3.connect(store_file)
    (count,) = connection.execute(
        "SELECT (SELECT count(*) FROM timers WHERE next_fire_at < :before)"
        " + (SELECT count(*) FROM runs WHERE fire_at < :before AND outcome IS NULL)",
        {"before": stamp(before)},
    ).fetchone()
    connection.close()
    return int(count)


def read(file: Path) -> list[str]:
    return file.read_text().splitlines()
