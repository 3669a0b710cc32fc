"""Workers that are replaced after so many runs, or when they have grown too large: real processes."""

import itertools
import json
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.workers import departures, process_tree
from scheduler.workers.executor import ProcessExecutor
from scheduler.workers.recycling import memory_mb
from tests.scheduler.workers.test_executor import task
from tests.waiting import eventually

FUNCTIONS = """
import atexit
import os
import subprocess
import time
from scheduler.functions import Registry

registry = Registry()
kept = []


@registry.define
def pid():
    return os.getpid()


@registry.define
def grows():
    kept.append(b"x" * 60_000_000)
    return os.getpid()


@registry.define
def says_goodbye(path):
    def goodbye():
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\\n")

    atexit.register(goodbye)
    return os.getpid()


@registry.define
def ends_never(path):
    def hang():
        os.close(os.open(path, os.O_CREAT))
        time.sleep(1_000)

    atexit.register(hang)
    return os.getpid()


@registry.define
def leaves_a_child():
    return subprocess.Popen(["sleep", "1000"]).pid


@registry.define
def slow():
    time.sleep(0.5)
    return os.getpid()
"""
RUN_IDS = itertools.count(1)


@contextmanager
def pool(folder: Path, **limits: int) -> Iterator[ProcessExecutor]:
    (folder / "recycled_functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(folder / "recycled_functions.py"), workers=1, **limits)
    try:
        executor.start()
        yield executor
    finally:
        executor.stop()


def ends(executor: ProcessExecutor, *functions: str) -> list[int]:
    """Run functions at once, and return the pids of their workers; there is always one that takes tasks."""
    executor.submit([task(function, next(RUN_IDS)) for function in functions])
    pids: list[int] = []
    while len(pids) < len(functions):
        wait_s = executor.next_check()
        select.select(executor.filenos(), [], [], min(0.5, 0.5 if wait_s is None else wait_s))
        for _, ending in executor.collect().ended:
            assert ending.outcome is Outcome.SUCCEEDED, ending
            pids.append(json.loads(ending.result or ""))
        assert any(worker.takes_tasks for worker in executor._workers)
    return pids


def test_a_worker_is_replaced_after_so_many_runs(tmp_path: Path) -> None:
    """It serves until its successor is ready; all functions run once."""
    with pool(tmp_path, worker_max_runs=5) as executor:
        first = ends(executor, "pid")[0]
        pids: list[int] = []
        eventually(lambda: pids.extend(ends(executor, *["pid"] * 4)) or first not in pids[-4:])
        assert pids[:4] == [first] * 4
        eventually(lambda: ends(executor, "pid") and first not in [worker.pid for worker in executor._workers])
        assert len(executor._workers) <= 2


def test_a_worker_ends_between_two_runs(tmp_path: Path) -> None:
    """One in progress is not cut, and those behind it go to the successor."""
    with pool(tmp_path, worker_max_runs=1) as executor:
        assert len(ends(executor, "pid", "slow", "slow", "pid", "slow")) == 5


def test_a_worker_that_has_grown_is_replaced(tmp_path: Path) -> None:
    """After a run, as soon as its memory is read."""
    with pool(tmp_path) as executor:
        limit = round(memory_mb(executor._workers[0].pid)) + 40
    assert limit > 40
    with pool(tmp_path, worker_max_mb=limit) as executor:
        (first,) = ends(executor, "grows")
        eventually(lambda: first not in ends(executor, "pid"))


def test_a_limit_that_every_worker_exceeds_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a warning: each run would cost the start of a worker."""
    with pool(tmp_path, worker_max_mb=1) as executor:
        executor.collect()
        pids = {pid for _ in range(5) for pid in ends(executor, "pid")}
        assert len(pids) == 1
    assert "worker_max_mb = 1 is ignored: a worker that has run nothing yet takes" in caplog.text


def test_a_worker_that_is_replaced_runs_its_handlers_of_atexit(tmp_path: Path) -> None:
    """Error trackers send their last events there."""
    goodbyes = tmp_path / "goodbyes"
    with pool(tmp_path, worker_max_runs=1) as executor:
        executor.submit([task("says_goodbye", next(RUN_IDS), params=json.dumps({"path": str(goodbyes)}))])
        eventually(lambda: executor.collect() is not None and goodbyes.exists() and goodbyes.read_text())
        eventually(lambda: executor.collect() is not None and not list(executor._departures))


def test_a_worker_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded time, in which its successor serves."""
    monkeypatch.setattr(departures, "ENDS_S", 0.5)
    hangs = tmp_path / "hangs"
    with pool(tmp_path, worker_max_runs=1) as executor:
        executor.submit([task("ends_never", next(RUN_IDS), params=json.dumps({"path": str(hangs)}))])
        eventually(lambda: executor.collect() is not None and hangs.exists())
        (leaving,) = executor._departures
        ends(executor, "pid")
        eventually(lambda: executor.collect() is not None and leaving not in list(executor._departures))
        assert not Path(f"/proc/{leaving.pid}").exists()


def test_a_worker_that_ends_by_itself_leaves_no_child(tmp_path: Path) -> None:
    """They are killed, as with a worker that is killed."""
    with pool(tmp_path, worker_max_runs=1) as executor:
        (child,) = ends(executor, "leaves_a_child")
        eventually(lambda: executor.collect() is not None and not process_tree._lives(child))


def test_no_more_than_a_few_workers_are_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each still has its memory."""
    monkeypatch.setattr(departures, "MOST", 0)
    with pool(tmp_path, worker_max_runs=1) as executor:
        (first,) = ends(executor, "pid")
        eventually(lambda: executor.collect() is not None and first not in [worker.pid for worker in executor._workers])
        executor.collect()
        assert list(executor._departures) == []


def test_a_pool_that_stops_leaves_no_worker_that_is_ending(tmp_path: Path) -> None:
    """Also one that hangs."""
    hangs = tmp_path / "hangs"
    with pool(tmp_path, worker_max_runs=1) as executor:
        executor.submit([task("ends_never", next(RUN_IDS), params=json.dumps({"path": str(hangs)}))])
        eventually(lambda: executor.collect() is not None and hangs.exists())
        (leaving,) = executor._departures
    assert not Path(f"/proc/{leaving.pid}").exists()
