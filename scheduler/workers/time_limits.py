"""TimeLimits: kills a worker whose run is over its time limit or cancelled, with everything that the function started.

Lives here: when a hung function is killed, and how its run ends. Never here: how a process and its descendants are
found and killed (process_tree.py); a worker that does not begin its tasks (silence.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from ..clock import Clock
from ..core.run import Task
from ..executors import outcome
from .chunk import SETTLED_S
from .hand_out import BLOCKED_S
from .queue import LONG_S, TaskQueue
from .results import Results
from .worker import WorkerProcess


class TimeLimits:
    """Enforces the limits of the runs of one pool; `collect_from` reads what a worker has sent."""

    def __init__(
        self, results: Results, queue: TaskQueue, clock: Clock, collect_from: Callable[[WorkerProcess], None]
    ) -> None:
        self._results = results
        self._queue = queue
        self._clock = clock
        self._collect_from = collect_from
        #: Runs that are to end now, until they have.
        self._to_cancel: set[int] = set()

    @property
    def is_cancelling(self) -> bool:
        """Whether there are runs to cancel that have not ended."""
        return bool(self._to_cancel)

    def cancel(self, run_ids: Collection[int], workers: Sequence[WorkerProcess], now: float) -> None:
        """End these runs, and what is left of the last call; those that no worker has begun end here.

        Runs that neither the queue nor a worker has are ignored.
        """
        self._to_cancel.update(run_ids)
        for worker in workers:
            if not self._to_cancel.isdisjoint(worker.run_ids):
                self._queue.put_back(worker.take_back(now))
        ending = outcome.cancelled_unbegun(self._clock.now())
        self._results.end_unbegun(self._queue.remove(self._to_cancel), ending)
        self._to_cancel.intersection_update({run_id for worker in workers for run_id in worker.run_ids})

    def enforce(self, worker: WorkerProcess, now: float) -> bool:
        """Kill a worker whose run is over its limit or cancelled; returns whether it did and it can be removed.

        First the tasks behind the run are taken back. The worker is killed only when it can begin no other one:
        otherwise it might end this run by itself and begin the next, which the kill would then hit.
        """
        running_s, task = worker.running_s(now), worker.current
        if running_s is None or task is None:
            return False
        is_cancelled = task.run_id in self._to_cancel
        if running_s >= min(BLOCKED_S, task.limit_s) or is_cancelled:
            self._results.runs_for(task, running_s)
            self._queue.put_back(worker.take_back(now))
        is_over = running_s >= task.limit_s or is_cancelled
        if not is_over or not worker.can_begin_no_other(now):
            return False
        # It may have ended by itself since `now`.
        self._collect_from(worker)
        if worker.current is not task or worker.running_s(now) is None:
            return False
        if is_cancelled:
            self._kill(worker, task, outcome.CANCELLED, running_s)
        else:
            self._kill(worker, task, outcome.over_limit(task.limit_s), task.limit_s)
        return True

    def _kill(self, worker: WorkerProcess, task: Task, end: outcome.CallOutcome, took_s: float) -> None:
        started_at = self._clock.now() - timedelta(seconds=took_s)
        worker.kill()
        # It may have ended by itself in the moment before the kill.
        self._collect_from(worker)
        if worker.current is task:
            self._results.end_with_worker(worker, end.ending(started_at, self._clock.now()), took_s)


def next_check_s(worker: WorkerProcess, task: Task, running_s: float, now: float) -> float:
    """Seconds until a run blocks its worker or is over its limit, or until the tasks behind it are taken back."""
    if running_s < BLOCKED_S:
        return max(0.0, min(BLOCKED_S, task.limit_s) - running_s)
    if worker.has_more_behind() or not worker.can_begin_no_other(now):
        return SETTLED_S
    until = min(task.limit_s, LONG_S) if running_s < LONG_S else task.limit_s
    # The progress cell counts whole milliseconds.
    return max(0.0, until - running_s) + 0.001
