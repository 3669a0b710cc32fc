"""Runs are cancelled and timers paused while their daemon is killed: nothing that was cancelled begins again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_run
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import RunError
from scheduler.store.pause_table import PauseTable
from tests.scheduler.daemon_processes import DaemonGroup, daemon_group
from tests.scheduler.fault_scale import scaled
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually, slowed

pytestmark = [pytest.mark.slow, pytest.mark.faults]

TRIALS = scaled(4, 30)
#: The timers, by how long their runs take: more at once than there are workers.
DURATIONS = (0.0, 0.05, 0.4, 5.0)
KILLED_WITHIN_S = 0.3
#: How a cancelled run may end: by the request, with its daemon, or by itself just before.
ENDS = {Outcome.CANCELLED, Outcome.ABANDONED, Outcome.SUCCEEDED}


class Cancelled(NamedTuple):
    """A run whose cancellation was answered."""

    run_id: int
    #: Whether it was over with the answer, because it waited.
    has_ended: bool


@pytest.fixture(params=["sqlite", "postgresql"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DaemonGroup]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / 'store.db'}"
        else:
            server: Server = request.getfixturevalue("postgres")
            url = stack.enter_context(server.database())
        yield stack.enter_context(daemon_group(url, tmp_path))


def add_timers(group: DaemonGroup) -> list[str]:
    new = [
        Timer(
            name=f"{delivery}-{number}",
            function="note",
            trigger=Every(86_400),
            params={"path": str(group.notes_file), "duration": duration},
            delivery=delivery,
            overlap=OverlapPolicy.ALLOW,
        )
        for delivery in Delivery
        for number, duration in enumerate(DURATIONS)
    ]
    group.add_timers(*new)
    return [timer.name for timer in new]


def test_a_run_that_was_cancelled_is_never_begun_again(group: DaemonGroup) -> None:
    """Whenever its daemon is killed, it is cancelled or abandoned, unless it has ended by itself."""
    names = add_timers(group)
    seed = random.randrange(1_000_000)
    dice = random.Random(seed)
    cancelled: list[Cancelled] = []
    for _ in range(TRIALS):
        daemon = group.start_another()
        run_ids = [request_run(group.store, name, Environment.PRODUCTION, now=group.now()) for name in names]
        killer = threading.Timer(dice.uniform(0.0, KILLED_WITHIN_S), daemon.kill)
        killer.start()
        for run_id in dice.sample(run_ids, len(run_ids)):
            time.sleep(dice.uniform(0.0, 2 * KILLED_WITHIN_S / len(run_ids)))
            if (answered := cancel(group, run_id)) is not None:
                cancelled.append(answered)
        killer.join()
    group.start_another()
    runs = eventually(group.runs, lambda seen: all(run.outcome for run in seen), within_s=slowed(60))
    begun = Counter((note.timer, note.fire_time) for note in group.notes())
    outcomes = Counter(str(run.outcome) for run in runs)
    print(f"\nseed {seed}: {TRIALS} kills, {len(runs)} rows, {len(cancelled)} cancelled; {dict(outcomes)}")
    by_id = {run.id: run for run in runs}
    attempts = Counter((run.timer, run.fire_time) for run in runs)
    for run_id, has_ended in cancelled:
        run = by_id[run_id]
        key = run.timer, run.fire_time
        assert run.outcome in ENDS, run
        assert attempts[key] == run.attempt == 1, (run, attempts[key])
        assert begun[key] <= (0 if has_ended else 1), run
        assert not has_ended or run.outcome is Outcome.CANCELLED
    assert outcomes["cancelled"] > 0
    assert max(begun.values(), default=0) <= 5
    assert all(times == 1 for (name, _), times in begun.items() if name.startswith("at_most_once"))


def cancel(group: DaemonGroup, run_id: int) -> Cancelled | None:
    """Cancel a run; None where it has ended already."""
    try:
        run = request_cancel(group.store, run_id, now=group.now())
    except RunError:
        return None
    return Cancelled(run_id, run.outcome is Outcome.CANCELLED)


def test_what_is_paused_does_not_fire_whichever_daemon_dies(group: DaemonGroup) -> None:
    """Daemons are killed and started while their timers are paused; each fire time of the pause has one row."""
    group.add(10, overlap=OverlapPolicy.ALLOW)
    pauses = PauseTable(group.store)
    seed = random.randrange(1_000_000)
    dice = random.Random(seed)
    spans = []
    daemon = group.start_another()
    for _ in range(TRIALS):
        wait_for_a_fire(group)
        killer = threading.Timer(dice.uniform(0.0, KILLED_WITHIN_S), daemon.kill)
        killer.start()
        time.sleep(dice.uniform(0.0, KILLED_WITHIN_S))
        pauses.pause(now=group.now())
        paused_at = group.now()
        killer.join()
        daemon = group.start_another()
        time.sleep(dice.uniform(0.2, 1.2))
        spans.append((paused_at, group.now()))
        pauses.resume(now=group.now(), skip=dice.random() < 0.5)
    wait_for_a_fire(group)
    end = group.end()
    begun = Counter((note.timer, note.fire_time) for note in group.notes())
    # A quarter of a second ahead, fire times are claimed already.
    ahead = timedelta(seconds=0.3)
    early = [
        note
        for note in group.notes()
        for since, until in spans
        if since + ahead < note.fire_time < until and note.begun_at < until.timestamp()
    ]
    accounted = Counter(
        (run.timer, run.fire_time + timedelta(seconds=rank)) for run in group.runs() for rank in range(run.count)
    )
    print(f"\nseed {seed}: {TRIALS} kills; {len(begun)} begun, {len(accounted)} accounted for")
    assert early == []
    assert max(begun.values()) == 1
    assert set(accounted.values()) == {1}
    unaccounted = [key for key in begun if key not in accounted and key[1] <= end]
    assert unaccounted == []


def wait_for_a_fire(group: DaemonGroup) -> None:
    before = len(group.notes())
    eventually(lambda: len(group.notes()) > before)
