"""ProcessExecutor: functions run in worker processes, which are killed with their children at the limit.

Workers start before they are needed. Tasks of fast functions are sent to a worker several at a time; while a run turns
out to be slow, the tasks behind it are moved to other workers. The pool grows while functions are slow or hang, up to
`max_workers`, and shrinks when they are not.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from .. import own_programs
from ..clock import Clock, SystemClock
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..errors import TargetError
from ..executors import Report, outcome
from ..functions.loading import split_target
from ..functions.source_snapshot import SourceSnapshot, current, sources_of
from . import process_tree
from .chunk import SETTLED_S
from .departures import Departures
from .hand_out import BLOCKED_S, HandOut
from .loading import LOAD_TIMEOUT_S
from .pool_size import PoolSize
from .queue import SLOW_WAITS_S, TaskQueue
from .recycling import Recycling
from .results import Results
from .silence import ANSWER_S, LOOK_EVERY_S, SUSPECT_S, Silence
from .time_limits import TimeLimits, next_check_s
from .unkillable_processes import LOG_AFTER_S, unkillable_processes
from .worker import WorkerProcess
from .worker_messages import ProtocolError

log = logging.getLogger("scheduler.executor")

#: How many tasks may wait for a worker; further ones are refused.
MAX_PENDING = 40_000
#: After a worker died before its first task, the pool starts no other one for this long.
RETRY_S = 2.0


class ProcessExecutor:
    """Runs the functions of `target` (a cloud.py, or module:attribute) in a pool of worker processes.

    The pool keeps `workers` of them free, and has at most `max_workers`. It kills one that has not loaded the functions
    after `load_timeout_s`. It replaces a worker after `worker_max_runs` runs, or when it takes more than
    `worker_max_mb` of memory after a run, 0 = never; its successor starts first, and until then it runs further tasks.
    `environ` is added to their environment variables; `folder` is their working folder.
    """

    def __init__(
        self,
        target: str,
        *,
        workers: int = 2,
        max_workers: int = 32,
        load_timeout_s: float = LOAD_TIMEOUT_S,
        worker_max_runs: int = 0,
        worker_max_mb: int = 0,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        if not 1 <= workers <= max_workers:
            raise ValueError(f"workers must be at least 1 and at most max_workers ({max_workers}), not {workers}")
        own_programs.interpreter()
        # Absolute, because the functions may change the working folder before further workers start.
        source, attribute = split_target(target)
        if source.endswith(".py"):
            target = str(Path(folder or "", source).resolve()) + (f":{attribute}" if attribute else "")
        self._target = target
        self._pool_size = PoolSize(workers, max_workers)
        self._clock = clock or SystemClock()
        self._environ = {**os.environ, **(environ or {})}
        self._folder = folder
        self._workers: list[WorkerProcess] = []
        self._load_timeout_s = load_timeout_s
        self._results = Results()
        self._recycling = Recycling(worker_max_runs, worker_max_mb)
        self._queue = TaskQueue(self._results.typical_s.get)
        #: The sources as they were when the first worker was started; every worker loads these.
        self._sources: SourceSnapshot | None = None
        self._has_sources = False
        self._hand_out = HandOut(self._workers, self._queue, self._pool_size, self._clock)
        self._limits = TimeLimits(self._results, self._queue, self._clock, self._collect_from)
        self._departures = Departures(self._workers, self._collect_from)
        #: The last error while the functions were loaded.
        self._load_error: str | None = None
        #: Whether more workers are to be started in the next turns.
        self._is_short = False
        self._begins_no_more = False

    def start(self) -> None:
        """Start the workers and wait until one has loaded the functions; TargetError if none can."""
        process_tree.sweep_orphans()
        while len(self._workers) < self._pool_size.workers:
            self._start_worker()
        while not any(worker.ready for worker in self._workers):
            select.select(self.filenos(), [], [], 0.1)
            self._collect_from_all()
            now = self._clock.monotonic()
            for worker in list(self._workers):
                self._enforce_load(worker, now)
            if self._load_error:
                raise TargetError(self._load_error)

    def submit(self, tasks: Sequence[Task]) -> None:
        room = MAX_PENDING - len(self._queue)
        self._queue.add(tasks[:room], self._clock.monotonic())
        if refused := tasks[room:]:
            self._results.end_unbegun(refused, outcome.not_queued(self._clock.now()))
        self._dispatch()

    def prepare(self, tasks: Sequence[Task]) -> None:
        self._hand_out.prepare(tasks, self._results.typical_s.get)

    def cancel(self, run_ids: Collection[int]) -> None:
        self._limits.cancel(run_ids, self._workers, self._clock.monotonic())

    def collect(self) -> Report:
        now = self._clock.monotonic()
        self._collect_from_all()
        if self._limits.is_cancelling:
            self._limits.cancel((), self._workers, now)
        for worker in list(self._workers):
            if (
                self._enforce_limit(worker, now)
                or self._enforce_answer(worker, now)
                or self._enforce_load(worker, now)
                or self._retire(worker, now)
            ):
                # A kill takes milliseconds, so the tasks that became due meanwhile go before the next kill.
                break
        if unkillable_processes:
            unkillable_processes.look(now)
        self._recycle(now)
        self._dispatch()
        self._departures.look(now)
        self._resize_pool(now)
        # A worker that starts yields to workers that serve; without any, it keeps its priority.
        serves = any(worker.takes_tasks for worker in self._workers)
        for worker in self._workers:
            worker.update_priority(now, others_serve=serves)
        return self._results.taken()

    def filenos(self) -> list[int]:
        return [fileno for worker in (*self._workers, *self._departures) for fileno in worker.filenos()]

    def next_check(self) -> float | None:
        if self._results or self._is_short:
            return 0.0
        now = self._clock.monotonic()
        checks = [check_s for worker in self._workers if (check_s := _next_check_s(worker, now)) is not None]
        checks += self._departures.next_checks(now)
        if self._queue.long:
            checks.append(SLOW_WAITS_S)
        if self._begins_no_more and (self._queue or any(worker.has_more_behind() for worker in self._workers)):
            checks.append(SETTLED_S)
        if self._limits.is_cancelling or any(
            worker.hands_over and worker.has_more_behind() for worker in self._workers
        ):
            checks.append(SETTLED_S)
        if unkillable_processes:
            checks.append(LOG_AFTER_S)
        count, is_waited_for = sum(not worker.is_leaving for worker in self._workers), bool(self._queue)
        if (change_s := self._pool_size.next_change_s(count, is_waited_for=is_waited_for, now=now)) is not None:
            checks.append(change_s)
        return min(checks, default=None)

    def withdraw(self) -> list[Task]:
        self._begins_no_more = True
        now = self._clock.monotonic()
        for worker in self._workers:
            self._queue.put_back(worker.take_back(now))
        return self._queue.clear()

    @property
    def begun(self) -> int:
        now = self._clock.monotonic()
        count = 0
        # Called from another thread, so a worker may be closed meanwhile.
        for worker in list(self._workers):
            with contextlib.suppress(IndexError, ValueError):
                count += worker.running_s(now) is not None
        return count

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
            worker.close()
        self._workers.clear()
        self._departures.stop()
        self._queue.clear()
        if self._sources is not None and self._sources is not current():
            self._sources.close()
        self._sources, self._has_sources = None, False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def oldest_unbegun_s(self) -> float:
        now = self._clock.monotonic()
        oldest_s = 0.0
        # Called from another thread, so workers may be closed and tasks taken meanwhile.
        with contextlib.suppress(IndexError, ValueError):
            oldest_s = self._queue.oldest_s(self._clock.now(), now)
        for worker in list(self._workers):
            with contextlib.suppress(IndexError, ValueError):
                oldest_s = max(oldest_s, worker.unbegun_s(now))
        return max(0.0, oldest_s)

    # Reading from the workers

    def _collect_from_all(self) -> None:
        for worker in list(self._workers):
            self._collect_from(worker)
            reason = worker.exit_reason()
            if reason is not None:
                self._handle_death(worker, reason)

    def _collect_from(self, worker: WorkerProcess) -> None:
        try:
            self._results.read(worker)
        except ProtocolError:
            worker.kill()
            worker.ignore_messages()
        self._queue.put_back(worker.given_back)
        worker.given_back.clear()

    def _enforce_limit(self, worker: WorkerProcess, now: float) -> bool:
        """Kill a worker whose run is over its limit or is to be cancelled; returns whether it did."""
        if not self._limits.enforce(worker, now):
            return False
        self._remove(worker)
        return True

    # Workers that died, broke the protocol, or do not answer

    def _handle_death(self, worker: WorkerProcess, reason: str) -> None:
        """Handle a worker that died by itself: its run fails, and other workers get the tasks that it had not begun."""
        self._end_with_reason(worker, reason)
        if not worker.has_begun_any:
            # What kills a worker before its first task will probably kill the next one too.
            self._pool_size.delay_growth(self._clock.monotonic() + RETRY_S)
        if not worker.ready:
            self._handle_load_error(worker.load_error or f"{reason} while it loaded {self._target}")
        self._remove(worker)

    def _end_with_reason(self, worker: WorkerProcess, reason: str) -> None:
        self._collect_from(worker)
        # Its child processes may still run.
        worker.kill()
        running_s = worker.running_s(self._clock.monotonic())
        if running_s is not None:
            started_at = self._clock.now() - timedelta(seconds=running_s)
            end = outcome.CallOutcome(Outcome.FAILED, Verdict.FAILURE, reason)
            self._results.end_with_worker(worker, end.ending(started_at, self._clock.now()), running_s)
        self._queue.put_back(worker.take_unbegun())

    def _retire(self, worker: WorkerProcess, now: float) -> bool:
        """End a worker to whose descriptors a function wrote, as soon as its run has ended; returns whether it did."""
        if worker.breached_by is None or not worker.ready:
            return False
        self._queue.put_back(worker.take_back(now))
        if worker.chunks:
            return False
        worker.kill()
        self._remove(worker)
        return True

    def _recycle(self, now: float) -> None:
        """Replace one worker that has run enough or has grown too large, between two runs."""
        worker = next((each for each in self._workers if each.is_leaving), None)
        if worker is None:
            worker = self._recycling.worn_out(self._workers, now)
            if worker is None:
                return
            # From now on the pool is one short, and starts a successor.
            worker.is_leaving = True
        others = [each for each in self._workers if each is not worker]
        if len(others) < self._pool_size.workers or not all(each.ready for each in others):
            return
        worker.hands_over = True
        self._queue.put_back(worker.take_back(now))
        if not worker.chunks:
            log.debug("worker %d ends after %d runs; another one has its place", worker.pid, worker.runs)
            self._departures.begin(worker, now)

    def _enforce_answer(self, worker: WorkerProcess, now: float) -> bool:
        """Take back the tasks of a worker that does not begin them, and kill it later; returns whether it did.

        The worker is stopped, or a thread that a function left behind holds its GIL: it may never begin a task.
        """
        silent_s = worker.silent_s(now)
        if silent_s is None or silent_s < SUSPECT_S:
            worker.silence = None
            return False
        self._queue.put_back(worker.take_back(now))
        if worker.silence is None:
            worker.silence = Silence(worker.pid, now)
            worker.ask_for_answer()
            return False
        if worker.silence.counted_s(now) < ANSWER_S:
            return False
        text = "worker %d did not start its tasks within %.1f s: killing it; other workers get its tasks"
        log.warning(text, worker.pid, silent_s)
        # A dead worker begins nothing more, so its last report of a begun task is final.
        worker.kill()
        self._end_with_reason(worker, "the worker process did not answer and was killed")
        self._remove(worker)
        return True

    def _enforce_load(self, worker: WorkerProcess, now: float) -> bool:
        """Kill a worker that takes too long to load the functions; returns whether it did."""
        if worker.ready:
            return False
        worker.loading.log_wait(now)
        if (error := worker.loading.error(now)) is None:
            return False
        worker.kill()
        self._pool_size.delay_growth(now + RETRY_S)
        self._remove(worker)
        self._handle_load_error(error)
        return True

    def _handle_load_error(self, error: str) -> None:
        """Log that the functions do not load; the waiting tasks fail unless another worker has loaded them."""
        self._load_error = error
        log.error("%s", error)
        if any(worker.ready for worker in self._workers):
            return
        now = self._clock.now()
        ending = Ending(outcome=Outcome.FAILED, verdict=Verdict.FAILURE, ended_at=now, error=error)
        self._results.end_unbegun(self._queue.clear(), ending)

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        worker.close()

    def _dispatch(self) -> None:
        if not self._begins_no_more:
            self._hand_out.send()

    # The size of the pool

    def _resize_pool(self, now: float) -> None:
        """Start or stop one worker where the pool has too few or too many."""
        blocked = sum(
            worker.silence is not None or (worker.running_s(now) or 0.0) >= BLOCKED_S
            for worker in self._workers
            if not worker.is_leaving
        )
        starting = sum(not worker.ready for worker in self._workers)
        held_up = blocked + self._queue.long
        count = sum(not worker.is_leaving for worker in self._workers)
        change = self._pool_size.change(count, starting=starting, held_up=held_up, now=now)
        # One worker a turn, so that the tasks that became due meanwhile go first.
        self._is_short = change > 1
        if change > 0:
            self._start_worker()
        elif change < 0:
            self._stop_idle_worker(now)

    def _start_worker(self) -> None:
        if not self._has_sources:
            self._sources, self._has_sources = sources_of(self._target, self._folder), True
        fileno = self._sources.fileno if self._sources else None
        worker = WorkerProcess(self._target, self._environ, self._folder, self._clock, self._load_timeout_s, fileno)
        self._workers.append(worker)

    def _stop_idle_worker(self, now: float) -> None:
        idle = next(
            (worker for worker in self._workers if worker.ready and not (worker.chunks or worker.is_leaving)), None
        )
        if idle is not None:
            self._departures.begin(idle, now)
        self._pool_size.tried_to_shrink(now)


def _next_check_s(worker: WorkerProcess, now: float) -> float | None:
    """Seconds until a worker may be blocked, silent or over a limit, or its revoked chunk settled."""
    if not worker.ready:
        return worker.loading.next_check_s(now)
    running_s, task = worker.running_s(now), worker.current
    if running_s is None or task is None:
        silent_s = worker.silent_s(now)
        if silent_s is None:
            return None
        return LOOK_EVERY_S if worker.silence else BLOCKED_S if task else max(0.0, SUSPECT_S - silent_s)
    return next_check_s(worker, task, running_s, now)
