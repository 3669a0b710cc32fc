"""Children of a fleet's worker are replaced after so many runs, or when they have grown large; no run is lost."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.fleet.recycling import ChildLimits
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.broker_servers import Redis
from tests.scheduler.celery_processes import WatchedDaemon, Worker

CLOUD = """
import os
from scheduler.engine import Engine

engine = Engine()
kept = []


@engine.define
def pid():
    return os.getpid()


@engine.define
def grow():
    kept.append(bytearray(os.urandom(1)) * 60_000_000)
    return os.getpid()
"""
RUNS = 40


@pytest.fixture(params=["pgmq", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker whose pool has threads, and one whose pool has an event loop."""
    if request.param == "pgmq":
        yield "pgmq://"
    else:
        redis: Redis = request.getfixturevalue("redis")
        yield redis.url


def pids_of(watched: WatchedDaemon, name: str, count: int) -> Counter[str]:
    """How many runs each process has run; each run has ended well, once."""
    ended = watched.end_of(*watched.begin(*count * [name]))
    assert {run.outcome for run in ended} == {"succeeded"}
    return Counter(run.result or "" for run in ended)


@pytest.mark.slow
def test_a_child_is_replaced_after_so_many_runs(postgres: Server, tmp_path: Path, broker: str) -> None:
    """No more run in it, also if its last message has more; every run runs, and the worker ends as always."""
    (tmp_path / "scheduler.toml").write_text("worker_max_runs = 3\n")
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, broker) as watched:
        watched.add("pid", "pid", overlap="allow")
        worker = Worker(tmp_path, url, broker, concurrency=2, cloud=CLOUD)
        try:
            ran = pids_of(watched, "pid", RUNS)
        finally:
            status = worker.stop()
        assert sum(ran.values()) == RUNS
        assert max(ran.values()) <= 3
        assert status == 0
        assert "Traceback" not in "".join(worker.log)


@pytest.mark.slow
def test_a_child_that_has_grown_large_is_replaced(postgres: Server, tmp_path: Path) -> None:
    """After the run that made it so."""
    (tmp_path / "scheduler.toml").write_text("worker_max_mb = 400\n")
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        watched.add("grow", "grow", limit_s=60.0, overlap="allow")
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1, cloud=CLOUD)
        try:
            ran = pids_of(watched, "grow", 12)
        finally:
            assert worker.stop() == 0
        assert len(ran) > 1
        assert max(ran.values()) <= 6


def test_a_limit_of_memory_that_every_child_exceeds_is_ignored_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Or each child would end after one run."""
    caplog.set_level(logging.WARNING)
    assert ChildLimits(5, 1).for_this_process() == ChildLimits(5, 0)
    assert "worker_max_mb = 1 is ignored: a worker that has run nothing yet takes" in caplog.text
    assert ChildLimits(5, 1_000_000).for_this_process() == ChildLimits(5, 1_000_000)


@pytest.mark.parametrize(
    ("limits", "runs", "are_reached"),
    [
        (ChildLimits(), 1_000_000, False),
        (ChildLimits(max_runs=3), 2, False),
        (ChildLimits(max_runs=3), 3, True),
        (ChildLimits(max_mb=1), 0, False),
        (ChildLimits(max_mb=1), 1, True),
        (ChildLimits(max_mb=1_000_000), 1, False),
    ],
)
def test_a_child_is_worn_out_at_its_limits(limits: ChildLimits, runs: int, are_reached: bool) -> None:
    """Never before it has run anything."""
    assert limits.are_reached(runs) is are_reached
