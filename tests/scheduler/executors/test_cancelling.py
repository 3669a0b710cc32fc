"""Executors that end single runs on request: in threads, in processes, over HTTP."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Outcome
from scheduler.executors import Cancelling
from tests.scheduler.executors.test_withdrawing import in_processes, in_threads, over_http
from tests.scheduler.workers.test_executor import collect, task
from tests.waiting import eventually, slowed

EXECUTORS = pytest.mark.parametrize("started", [in_threads, in_processes, over_http])


def begin(executor: Any, *, wait_for: Path, runs: int) -> None:
    """Submit runs that wait for a file to one worker; return when the first goes on."""
    params = json.dumps({"until": str(wait_for)})
    executor.submit([task("waits", number, params=params, limit_s=60) for number in range(1, runs + 1)])
    eventually(lambda: (executor.collect(), executor.begun)[1], lambda begun: begun == 1)


def ends(executor: Any, count: int) -> dict[int, Ending]:
    return {each.run_id: ending for each, ending in collect(executor, count).endings()}


@EXECUTORS
def test_the_run_in_progress_ends_and_the_others_go_on(started: Any, tmp_path: Path) -> None:
    """The next one takes its place, except in a thread, whose function cannot be stopped."""
    until = tmp_path / "until"
    with started(tmp_path) as executor:
        assert isinstance(executor, Cancelling)
        begin(executor, wait_for=until, runs=3)
        executor.cancel([1])
        ((run_id, ending),) = ends(executor, 1).items()
        assert (run_id, ending.outcome, ending.verdict) == (1, Outcome.CANCELLED, Verdict.LOST)
        assert ending.started_at is not None
        until.touch()
        assert {key: value.outcome for key, value in ends(executor, 2).items()} == {
            2: Outcome.SUCCEEDED,
            3: Outcome.SUCCEEDED,
        }
        executor.stop()


@EXECUTORS
def test_runs_that_have_not_begun_never_begin(started: Any, tmp_path: Path) -> None:
    """Wherever they wait; unknown runs are ignored."""
    until = tmp_path / "until"
    with started(tmp_path) as executor:
        begin(executor, wait_for=until, runs=5)
        executor.cancel([2, 4, 5, 99])
        cancelled = ends(executor, 3)
        assert {run_id: ending.outcome for run_id, ending in cancelled.items()} == dict.fromkeys(
            (2, 4, 5), Outcome.CANCELLED
        )
        assert [ending.started_at for ending in cancelled.values()] == [None] * 3
        until.touch()
        assert sorted(ends(executor, 2)) == [1, 3]
        eventually(lambda: executor.waiting == 0)
        executor.stop()


def test_a_cancelled_process_is_dead_at_once(tmp_path: Path) -> None:
    """Within a moment; the worker that takes its place runs the next task."""
    until = tmp_path / "until"
    with in_processes(tmp_path) as executor:
        begin(executor, wait_for=until, runs=1)
        pid = executor._workers[0].pid
        began = time.monotonic()
        executor.cancel([1])
        ends(executor, 1)
        took_s = time.monotonic() - began
        assert not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()
        assert took_s < slowed(0.5)
        until.touch()
        executor.submit([task("waits", 2, params=json.dumps({"until": str(until)}))])
        assert ends(executor, 1)[2].outcome is Outcome.SUCCEEDED
        executor.stop()


def test_of_a_chunk_of_fast_tasks_each_ends_once(tmp_path: Path) -> None:
    """Whether it succeeded before the cancellation or not; those behind the cancelled ones are run."""
    with in_processes(tmp_path) as executor:
        for number in range(1, 31):  # so that it is known to be fast
            executor.submit([task("fast", number)])
            collect(executor, 1)
        executor.submit([task("fast", 31 + more) for more in range(2_000)])
        executor.cancel(range(31, 2_031, 2))
        ended = ends(executor, 2_000)
        assert sorted(ended) == list(range(31, 2_031))
        assert {ended[run_id].outcome for run_id in range(32, 2_031, 2)} == {Outcome.SUCCEEDED}
        assert {ended[run_id].outcome for run_id in range(31, 2_031, 2)} <= {Outcome.SUCCEEDED, Outcome.CANCELLED}
        executor.stop()
