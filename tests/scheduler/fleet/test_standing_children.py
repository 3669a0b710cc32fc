"""A child of a fleet's worker that stands still, at each place where it may: the others go on, and it is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import children
from tests.waiting import PATIENCE_S, eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import CLOUD, WatchedDaemon, Worker

pytestmark = pytest.mark.slow

#: Functions after which their child stands still, as it would if a thread of theirs held the interpreter there. A child
#: takes the lock of the results and releases it, then that of the tasks, and so on.
STANDS = (
    CLOUD
    + """
from scheduler.fleet.process_lock import ProcessLock


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


@engine.define
def stand(lock, times):
    method, calls = getattr(ProcessLock, lock), []

    def counted(*arguments, **options):
        calls.append(lock)
        if len(calls) == times:
            stop()
        return method(*arguments, **options)

    setattr(ProcessLock, lock, counted)


if os.path.exists("stop at birth"):
    os.register_at_fork(after_in_child=lambda: os.path.exists("stop at birth") and stop())
"""
)
#: The method of a lock at whose call it stands still, how often it has been called then, and what is logged.
PLACES = {
    "its answer is written, with the lock of answers": ("release", 1, "keeps the others from answering"),
    "between two tasks": ("acquire", 2, "does not take the tasks that wait"),
    "a task is read, with the lock of tasks": ("release", 2, "does not take the tasks that wait"),
    "a task is read, before that is said": ("acquire", 3, "does not take the tasks that wait"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_child_that_stands_still_blocks_no_others(postgres: Server, tmp_path: Path, place: str) -> None:
    """Wherever it does, even all children one after the other; and the worker ends on SIGTERM."""
    lock, times, said = PLACES[place]
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=2, cloud=STANDS)
        watched.add("t", "hello")
        watched.add("stands", "stand", params={"lock": lock, "times": times})
        for _ in range(2):
            ends = watched.end_of(*watched.begin("stands", "stands", "t", "t", "t"))
            assert [run.outcome for run in ends] == [Outcome.SUCCEEDED] * 5
        ends = watched.end_of(*watched.begin(*["t"] * 6))
        assert [run.outcome for run in ends] == [Outcome.SUCCEEDED] * 6
        assert any(said in line for line in worker.log), worker.log
        eventually(lambda: len(children(worker.process.pid)) == 2, within_s=PATIENCE_S)
        worker.process.terminate()
        worker.ended()


def test_a_child_that_stands_still_since_its_fork_is_replaced(postgres: Server, tmp_path: Path) -> None:
    """All of them do, until what stops them is over."""
    flag = tmp_path / "stop at birth"
    flag.touch()
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=2, cloud=STANDS)
        watched.add("t", "hello")
        runs = watched.begin("t", "t", "t")
        eventually(lambda: any("does not take the tasks" in line for line in worker.log), within_s=PATIENCE_S)
        flag.unlink()
        assert [run.outcome for run in watched.end_of(*runs)] == [Outcome.SUCCEEDED] * 3
        assert worker.stop() == 0
