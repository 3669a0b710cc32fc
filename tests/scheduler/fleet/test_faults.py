"""A PostgreSQL that is stopped under a Celery fleet: two daemons and two workers, all of them real processes.

Where the store is the broker as well, that stops with it. Every test prints what was due, fired, doubled and lost, and
asserts all four; daemon_processes.py defines these.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from scheduler.claims.requested_runs import request_run
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Every
from tests.scheduler.fault_scale import scaled
from tests.scheduler.postgres_server import Server
from tests.waiting import PATIENCE_S, eventually, slowed

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler import daemon_processes
from tests.scheduler.celery_processes import Worker
from tests.scheduler.daemon_processes import PASSED_OVER, Account, DaemonGroup, account, daemon_group

pytestmark = pytest.mark.faults

TIMERS = 20
ENDINGS = PASSED_OVER | {Outcome.SUCCEEDED}


@pytest.fixture(params=scaled(["pgmq"], ["pgmq", "redis", "rabbitmq"]))
def group(request: pytest.FixtureRequest, postgres: Server, tmp_path: Path) -> Iterator[DaemonGroup]:
    """Daemons that are not started yet, with a broker of this kind."""
    broker = "pgmq://" if request.param == "pgmq" else request.getfixturevalue(request.param).url
    with postgres.database() as url, daemon_group(url, tmp_path, broker=broker) as group:
        yield group


@pytest.fixture
def workers(group: DaemonGroup, tmp_path: Path) -> Iterator[list[Worker]]:
    """Two workers, for six runs at a time."""
    started = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            worker = Worker(tmp_path / name, group.url, group.broker, concurrency=3, cloud=daemon_processes.CLOUD)
            started.append(worker)
        yield started
    finally:
        for worker in started:
            if worker.process.poll() is None:
                worker.kill()


def test_a_database_that_was_away_finds_its_fleet_waiting(
    group: DaemonGroup, workers: list[Worker], postgres: Server
) -> None:
    """Functions run again within two seconds of its return, and runs that went on have their outcomes."""
    outage_s, limit_s = slowed(scaled(3.0, 10.0)), round(slowed(1))
    _add_both_deliveries(group)
    _add_on_request(group, "outlives", duration=outage_s / 2, limit_s=15 + outage_s)
    _add_on_request(group, "hangs", duration=600, limit_s=limit_s)
    group.start(2, grace_s=slowed(1))
    going_on = _begin(group, "outlives", "hangs")
    postgres.stop()
    stopped_at = group.now()
    time.sleep(outage_s)
    postgres.start()
    back_at = group.now()
    eventually(lambda: [note for note in group.notes() if note.begun_at > back_at.timestamp() + 1])
    # A message that was lost with the server is published again, by its daemon and no other.
    eventually(lambda: _open(group, back_at), lambda seen: not seen, within_s=slowed(PATIENCE_S))
    result, to_run = _account(group, workers)
    runs = {run.id: run for run in group.runs()}
    claimed_s, began_s = _went_on_after(group, back_at)
    print(f"claimed again {claimed_s:.3f} s after the return, and began after {began_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired == to_run + len(going_on)
    outlived, hung = (runs[run_id] for run_id in going_on)
    assert outlived.outcome is Outcome.SUCCEEDED
    assert (hung.outcome, hung.error) == (Outcome.TIMED_OUT, f"over its limit of {limit_s} s")
    for run in outlived, hung:
        assert run.ended_at is not None
        assert stopped_at < run.ended_at < back_at
    assert {run.outcome for run in runs.values()} <= ENDINGS | {Outcome.TIMED_OUT}
    assert claimed_s <= began_s < slowed(2)
    assert [log.count("store does not answer") for log in group.logs] == [1, 1]
    assert "Traceback" not in "".join(line for worker in workers for line in worker.log)


def test_connections_of_a_fleet_cut_at_random_moments_cost_nothing(
    group: DaemonGroup, workers: list[Worker], postgres: Server
) -> None:
    """Those of daemons, workers and child processes: in transactions, and while a message is taken or sent."""
    _add_both_deliveries(group)
    group.start(2)
    database = group.store.url.database
    eventually(lambda: len(group.notes()), lambda seen: seen > TIMERS)
    cut = 0
    for _ in range(scaled(8, 60)):
        time.sleep(0.1 + 0.3 * random.random())
        cut += len(
            postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        )
    until = group.now()
    eventually(lambda: _open(group, until), lambda seen: not seen)
    settled_s = (group.now() - until).total_seconds()
    result, to_run = _account(group, workers)
    print(f"{cut} connections were cut; every run from before had ended {settled_s:.1f} s after the last")
    assert (result.doubled, result.lost) == (0, 0)
    assert result.fired == to_run
    assert {run.outcome for run in group.runs()} <= ENDINGS


def _add_both_deliveries(group: DaemonGroup) -> None:
    group.add(TIMERS, duration=0.02, overlap=OverlapPolicy.ALLOW)
    must = [
        Timer(
            name=f"must{number}",
            function="note",
            trigger=Every(1),
            params={"path": str(group.notes_file)},
            enabled=True,
            delivery=Delivery.AT_LEAST_ONCE,
        )
        for number in range(5)
    ]
    group.add_timers(*must)


def _add_on_request(group: DaemonGroup, name: str, *, duration: float, limit_s: float) -> None:
    """Add a timer that runs only when requested."""
    params = {"path": str(group.notes_file), "duration": duration}
    group.add_timers(Timer(name=name, function="note", trigger=Every(86_400), params=params, limit_s=limit_s))


def _begin(group: DaemonGroup, *names: str) -> list[int]:
    """Request runs now; returns when their functions have begun."""
    run_ids = [request_run(group.store, name, Environment.PRODUCTION, now=group.now()) for name in names]
    eventually(lambda: {note.timer for note in group.notes()}, lambda seen: seen >= set(names))
    return run_ids


def _open(group: DaemonGroup, until: datetime) -> list[Run]:
    return [run for run in group.runs() if run.outcome is None and run.fire_time <= until]


def _account(group: DaemonGroup, workers: list[Worker]) -> tuple[Account, int]:
    """Stop the daemons, wait for the open runs, and stop the workers; all of them end with status 0.

    Returns also how many of the due fire times were to run, by their policies.
    """
    end = group.end()
    assert [daemon.returncode for daemon in group.daemons] == [0, 0], group.logs
    eventually(lambda: _open(group, end), lambda seen: not seen)
    for worker in workers:
        worker.process.terminate()
    assert [worker.ended() for worker in workers] == [0, 0], [worker.log for worker in workers]
    result = account(group, end)
    return result, result.due - result.passed_over


def _went_on_after(group: DaemonGroup, back_at: datetime) -> tuple[float, float]:
    """After how many seconds the first run was claimed, and the first of those claimed began."""
    claimed = {(run.timer, run.fire_time): run.claimed_at for run in group.runs() if run.claimed_at > back_at}
    begun = [note.begun_at for note in group.notes() if (note.timer, note.fire_time) in claimed]
    return (min(claimed.values()) - back_at).total_seconds(), min(begun) - back_at.timestamp()
