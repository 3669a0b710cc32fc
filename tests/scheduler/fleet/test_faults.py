"""A PostgreSQL that goes away under a Celery fleet: two daemons and two workers, all of them real processes.

Where the store is the broker too, that is away with it. Every test prints what was due, fired, doubled and lost, and
asserts all four; fleet.py says what these are.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from scheduler.claims.requests import request_run
from scheduler.core.admission import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from tests.scheduler.fault_scale import scaled
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler import daemon_processes
from tests.scheduler.celery_processes import Worker
from tests.scheduler.daemon_processes import Account, Fleet, account, fleet_on

pytestmark = pytest.mark.faults

TIMERS = 20
#: What becomes of fire times whose policies say that they do not run, and of all the others.
PASSED_OVER = {Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP}
ENDINGS = PASSED_OVER | {Outcome.SUCCEEDED}


@pytest.fixture(params=scaled(["pgmq"], ["pgmq", "redis", "rabbitmq"]))
def fleet(request: pytest.FixtureRequest, postgres: Server, tmp_path: Path) -> Iterator[Fleet]:
    """Daemons that are not started yet, on a broker of this kind."""
    broker = "pgmq://" if request.param == "pgmq" else request.getfixturevalue(request.param).url
    with postgres.database() as url, fleet_on(url, tmp_path, broker=broker) as fleet:
        yield fleet


@pytest.fixture
def workers(fleet: Fleet, tmp_path: Path) -> Iterator[list[Worker]]:
    """Two of them, for six runs at a time."""
    started = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            worker = Worker(tmp_path / name, fleet.url, fleet.broker, concurrency=3, cloud=daemon_processes.CLOUD)
            started.append(worker)
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()


def test_a_database_that_was_away_finds_its_fleet_waiting(
    fleet: Fleet, workers: list[Worker], postgres: Server
) -> None:
    """Functions run again within a second of its return, and what went on in the workers has its outcome."""
    outage_s = scaled(3.0, 10.0)
    _add_both_deliveries(fleet)
    _add_others(fleet, outlives=outage_s / 2, hangs=600.0)
    fleet.start(2, grace_s=1)
    going_on = _begin(fleet, "outlives", "hangs")
    postgres.stop()
    stopped_at = fleet.now()
    time.sleep(outage_s)
    postgres.start()
    back_at = fleet.now()
    time.sleep(2)
    result, to_run = _account(fleet, workers)
    runs = {run.id: run for run in fleet.runs()}
    claimed_s, began_s = _went_on_after(fleet, back_at)
    print(f"claimed again {claimed_s:.3f} s after the return, and began after {began_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired == to_run + len(going_on)
    outlived, hung = (runs[run_id] for run_id in going_on)
    assert outlived.outcome is Outcome.SUCCEEDED
    assert (hung.outcome, hung.error) == (Outcome.TIMED_OUT, "over its limit of 1 s")
    for run in outlived, hung:
        assert run.ended_at is not None
        assert stopped_at < run.ended_at < back_at
    assert {run.outcome for run in runs.values()} <= ENDINGS | {Outcome.TIMED_OUT}
    assert claimed_s <= began_s < 1
    assert [said.count("store does not answer") for said in fleet.said] == [1, 1]
    assert "Traceback" not in "".join(line for worker in workers for line in worker.said)


def test_connections_of_a_fleet_cut_at_random_moments_cost_nothing(
    fleet: Fleet, workers: list[Worker], postgres: Server
) -> None:
    """Those of daemons, of workers and of functions' processes: in transactions, while a message is taken or sent."""
    _add_both_deliveries(fleet)
    fleet.start(2)
    database = fleet.store.url.database
    eventually(lambda: len(fleet.notes()), lambda seen: seen > TIMERS)
    cut = 0
    for _ in range(scaled(8, 60)):
        time.sleep(0.1 + 0.3 * random.random())
        cut += len(
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        )
    until = fleet.now()
    eventually(lambda: _open(fleet, until), lambda seen: not seen)
    settled_s = (fleet.now() - until).total_seconds()
    result, to_run = _account(fleet, workers)
    print(f"{cut} connections were cut; every run from before had ended {settled_s:.1f} s after the last")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired == to_run
    assert {run.outcome for run in fleet.runs()} <= ENDINGS


def _add_both_deliveries(fleet: Fleet) -> None:
    fleet.add(TIMERS, duration=0.02, overlap=OverlapPolicy.ALLOW)
    must = [
        Timer(
            name=f"must{number}",
            function="note",
            trigger=Every(1),
            params={"path": str(fleet.notes_file)},
            enabled=True,
            delivery=Delivery.AT_LEAST_ONCE,
        )
        for number in range(5)
    ]
    fleet.add_timers(*must)


def _add_others(fleet: Fleet, **durations: float) -> None:
    """Timers that fire only when asked to."""
    for name, duration in durations.items():
        params = {"path": str(fleet.notes_file), "duration": duration}
        limit_s = 1.0 if duration > 60 else 15.0
        fleet.add_timers(Timer(name=name, function="note", trigger=Every(86_400), params=params, limit_s=limit_s))


def _begin(fleet: Fleet, *names: str) -> list[int]:
    """Have timers run now; returns when their functions have begun."""
    run_ids = [request_run(fleet.store, name, Environment.PRODUCTION, now=fleet.now()) for name in names]
    eventually(lambda: {note.timer for note in fleet.notes()}, lambda seen: seen >= set(names))
    return run_ids


def _open(fleet: Fleet, until: datetime) -> list[Run]:
    return [run for run in fleet.runs() if run.outcome is None and run.fire_time <= until]


def _account(fleet: Fleet, workers: list[Worker]) -> tuple[Account, int]:
    """End the daemons, let the workers do the rest, and end them too, all of which live to do so in order.

    Returns also how many of the due fire times were to run, by their policies.
    """
    end = fleet.end()
    assert [daemon.returncode for daemon in fleet.daemons] == [0, 0], fleet.said
    eventually(lambda: _open(fleet, end), lambda seen: not seen)
    for worker in workers:
        worker.process.terminate()
    assert [worker.ended() for worker in workers] == [0, 0], [worker.said for worker in workers]
    result = account(fleet, end)
    passed_over = [run for run in fleet.runs() if run.outcome in PASSED_OVER and run.fire_time <= end]
    return result, result.due - sum(run.count for run in passed_over)


def _went_on_after(fleet: Fleet, back_at: datetime) -> tuple[float, float]:
    """When the first run was claimed after that, and when the first of those began, in seconds."""
    claimed = {(run.timer, run.fire_time): run.claimed_at for run in fleet.runs() if run.claimed_at > back_at}
    begun = [note.begun_at for note in fleet.notes() if (note.timer, note.fire_time) in claimed]
    return (min(claimed.values()) - back_at).total_seconds(), min(begun) - back_at.timestamp()
