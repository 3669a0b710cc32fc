"""ThreadExecutor: runs functions in threads of this process, for functions that are part of a user's program.

A thread cannot be killed: a run over its limit ends as timed out, and a cancelled one as cancelled, but the thread goes
on and counts against `max_workers` until the function returns. To enforce limits whatever a function does, use
processes. The output of a function goes to the program's own stdout.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..clock import Clock, SystemClock
from ..core.run import Ending, Task
from ..functions.calling import invoke
from ..functions.context import Call, TimerCall, current_call
from ..functions.registry import Registry
from . import Report, outcome
from .kinds import Deployment
from .mailbox import Mailbox

#: How many tasks may wait for a thread before further ones are refused.
MAX_PENDING = 20_000


@dataclass(eq=False, slots=True)
class _ThreadRun:
    """One task in one thread; either the function or the deadline ends it, whichever is first."""

    task: Task
    started_at: datetime
    deadline: float
    ended: bool = False


def make(deployment: Deployment) -> ThreadExecutor:
    return ThreadExecutor(deployment.registry(), max_workers=deployment.settings["max_workers"])


def check(deployment: Deployment) -> Iterator[str]:
    """Thread executors need no check."""
    yield (
        f"at most {deployment.settings['max_workers']} threads of the daemon; a function that hangs is not killed, and "
        "one that holds the interpreter delays every timer"
    )


class ThreadExecutor:
    """Runs the functions of a registry in at most `max_workers` threads at a time."""

    def __init__(self, registry: Registry, *, max_workers: int = 32, clock: Clock | None = None) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers}")
        self._registry = registry
        self._max_workers = max_workers
        self._clock = clock or SystemClock()
        self._pending: deque[Task] = deque()
        self._running: set[_ThreadRun] = set()
        self._threads = 0
        self._lock = threading.Lock()
        self._ended: Mailbox[tuple[Task, Ending]] = Mailbox()

    def submit(self, tasks: Sequence[Task]) -> None:
        room = max(0, MAX_PENDING - len(self._pending))
        self._pending.extend(tasks[:room])
        now = self._clock.now()
        for task in tasks[room:]:
            self._ended.post((task, outcome.not_queued(now)))
        self._begin_pending()

    def collect(self) -> Report:
        now = self._clock.monotonic()
        with self._lock:
            overdue = [run for run in self._running if now >= run.deadline]
        for run in overdue:
            self._finish(run, outcome.over_limit(run.task.limit_s).ending(run.started_at, self._clock.now()))
        self._begin_pending()
        return Report(ended=self._ended.take())

    def filenos(self) -> list[int]:
        return [self._ended.fileno()]

    def next_check(self) -> float | None:
        if self._ended:
            return 0.0
        now = self._clock.monotonic()
        with self._lock:
            return min((max(0.0, run.deadline - now) for run in self._running), default=None)

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def withdraw(self) -> list[Task]:
        withdrawn = list(self._pending)
        self._pending.clear()
        return withdrawn

    @property
    def begun(self) -> int:
        return len(self._running)

    def cancel(self, run_ids: Collection[int]) -> None:
        """End these runs; the thread of one that has begun continues, as after its limit."""
        unbegun = [task for task in self._pending if task.run_id in run_ids]
        self._pending = deque(task for task in self._pending if task.run_id not in run_ids)
        now = self._clock.now()
        for task in unbegun:
            self._ended.post((task, outcome.cancelled_unbegun(now)))
        with self._lock:
            begun = [run for run in self._running if run.task.run_id in run_ids]
        for run in begun:
            self._finish(run, outcome.CANCELLED.ending(run.started_at, now))

    def stop(self) -> None:
        """Report no more runs; threads end when their functions return, or with the program."""
        self._pending.clear()
        with self._lock:
            for run in self._running:
                run.ended = True
            self._running.clear()
        self._ended.close()

    def _begin_pending(self) -> None:
        while self._pending and self._threads < self._max_workers:
            task = self._pending.popleft()
            run = _ThreadRun(task, self._clock.now(), self._clock.monotonic() + task.limit_s)
            with self._lock:
                self._threads += 1
                self._running.add(run)
            threading.Thread(target=self._run, args=(run,), name=f"timer {task.timer}", daemon=True).start()

    def _run(self, run: _ThreadRun) -> None:
        end = contextvars.copy_context().run(outcome.of_call, lambda: self._call(run.task))
        ending = end.ending(run.started_at, self._clock.now())
        with self._lock:
            self._threads -= 1
        self._finish(run, ending)

    def _call(self, task: Task) -> object:
        function = self._registry.get(task.function)
        current_call.set(
            Call(
                function=task.function,
                request_id=task.request_id,
                deadline=time.monotonic() + task.limit_s,
                timer=TimerCall(task.timer, task.fire_time, task.attempt, task.past_due),
            )
        )
        return invoke(function, json.loads(task.params))

    def _finish(self, run: _ThreadRun, ending: Ending) -> None:
        with self._lock:
            if run.ended:
                return
            run.ended = True
            self._running.discard(run)
        self._ended.post((run.task, ending))
