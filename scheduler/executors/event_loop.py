"""LoopExecutor: `async def` functions run as tasks of an event loop that is already running; all others run in threads.

The daemon's thread hands tasks to the loop, a few at a time, so that the loop's other work is not held up. A function
is cancelled at its limit; its run ends then, even if the function is still running. Functions share the loop: one that
blocks it delays them all, and is not interrupted.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..clock import Clock, SystemClock
from ..core.run import Ending, Task
from ..errors import UnknownFunctionError
from ..functions.calling import invoke_async
from ..functions.context import Call, TimerCall, current_call
from ..functions.registry import Registry
from . import Report, outcome
from .mailbox import Mailbox
from .thread import MAX_PENDING, ThreadExecutor

#: How many functions begin in one turn of the loop: a thousand at once would hold it up for tens of milliseconds.
BEGIN_AT_ONCE = 20


@dataclass(eq=False, slots=True)
class _LoopRun:
    """One task in the loop; the first to end it, the function, its deadline or a user, decides how."""

    task: Task
    started_at: datetime
    deadline: float
    future: asyncio.Task[None] | None = None
    ended: bool = False


class LoopExecutor:
    """Runs the functions of a registry: `async def` in `loop`, the others in at most `max_workers` threads."""

    def __init__(
        self,
        registry: Registry,
        loop: asyncio.AbstractEventLoop,
        *,
        max_workers: int = 32,
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._loop = loop
        self._clock = clock or SystemClock()
        self._threads = ThreadExecutor(registry, max_workers=max_workers, clock=self._clock)
        self._ended: Mailbox[tuple[Task, Ending]] = Mailbox()
        #: Guards the attributes below, which the daemon's thread and the loop use.
        self._lock = threading.Lock()
        self._pending: deque[Task] = deque()
        self._running: set[_LoopRun] = set()
        #: Whether the loop will call `_begin_some`.
        self._is_beginning = False

    def submit(self, tasks: Sequence[Task]) -> None:
        of_loop = [task for task in tasks if self._is_async(task.function)]
        if len(of_loop) < len(tasks):
            self._threads.submit([task for task in tasks if not self._is_async(task.function)])
        if not of_loop:
            return
        with self._lock:
            room = max(0, MAX_PENDING - len(self._pending))
            self._pending.extend(of_loop[:room])
            calls = not self._is_beginning
            self._is_beginning = True
        now = self._clock.now()
        for task in of_loop[room:]:
            self._ended.post((task, outcome.not_queued(now)))
        if calls:
            self._call_in_loop(self._begin_some)

    def collect(self) -> Report:
        now = self._clock.monotonic()
        with self._lock:
            overdue = [run for run in self._running if now >= run.deadline]
        for run in overdue:
            self._end(run, outcome.over_limit(run.task.limit_s))
        report = self._threads.collect()
        report.ended += self._ended.take()
        return report

    def filenos(self) -> list[int]:
        return [self._ended.fileno(), *self._threads.filenos()]

    def next_check(self) -> float | None:
        if self._ended:
            return 0.0
        now = self._clock.monotonic()
        with self._lock:
            checks = [max(0.0, run.deadline - now) for run in self._running]
        if (of_threads := self._threads.next_check()) is not None:
            checks.append(of_threads)
        return min(checks, default=None)

    @property
    def waiting(self) -> int:
        return len(self._pending) + self._threads.waiting

    def withdraw(self) -> list[Task]:
        with self._lock:
            withdrawn = list(self._pending)
            self._pending.clear()
        return withdrawn + self._threads.withdraw()

    @property
    def begun(self) -> int:
        return len(self._running) + self._threads.begun

    def cancel(self, run_ids: Collection[int]) -> None:
        """End these runs; a function that has begun gets a CancelledError, or, in a thread, continues."""
        with self._lock:
            unbegun = [task for task in self._pending if task.run_id in run_ids]
            for task in unbegun:
                self._pending.remove(task)
            begun = [run for run in self._running if run.task.run_id in run_ids]
        now = self._clock.now()
        for task in unbegun:
            self._ended.post((task, outcome.cancelled_unbegun(now)))
        for run in begun:
            self._end(run, outcome.CANCELLED)
        self._threads.cancel(run_ids)

    def stop(self) -> None:
        """Cancel the functions in the loop, and report no more runs."""
        with self._lock:
            self._pending.clear()
            running = list(self._running)
            self._running.clear()
            for run in running:
                run.ended = True
        for run in running:
            self._call_in_loop(_cancel, run)
        self._threads.stop()
        self._ended.close()

    def _is_async(self, name: str) -> bool:
        try:
            function = self._registry.get(name)
        except UnknownFunctionError:
            # A thread reports that.
            return False
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)

    # In the loop

    def _begin_some(self) -> None:
        for _ in range(BEGIN_AT_ONCE):
            with self._lock:
                if not self._pending:
                    self._is_beginning = False
                    return
                task = self._pending.popleft()
                run = _LoopRun(task, self._clock.now(), self._clock.monotonic() + task.limit_s)
                self._running.add(run)
            run.future = self._loop.create_task(self._run(run), name=f"timer {task.timer}")
        self._loop.call_soon(self._begin_some)

    async def _run(self, run: _LoopRun) -> None:
        if run.ended:
            return
        end = await outcome.of_awaited(self._call(run.task))
        self._finish(run, end.ending(run.started_at, self._clock.now()))

    async def _call(self, task: Task) -> object:
        function = self._registry.get(task.function)
        # In the context of this task of the loop, which only this run has.
        current_call.set(
            Call(
                function=task.function,
                request_id=task.request_id,
                deadline=time.monotonic() + task.limit_s,
                timer=TimerCall(task.timer, task.fire_time, task.attempt, task.past_due),
            )
        )
        return await invoke_async(function, json.loads(task.params))

    # From any thread

    def _end(self, run: _LoopRun, how: outcome.CallOutcome) -> None:
        """End a run before its function has; that is cancelled."""
        self._finish(run, how.ending(run.started_at, self._clock.now()))
        self._call_in_loop(_cancel, run)

    def _finish(self, run: _LoopRun, ending: Ending) -> None:
        with self._lock:
            if run.ended:
                return
            run.ended = True
            self._running.discard(run)
        self._ended.post((run.task, ending))

    def _call_in_loop(self, callback: Callable[..., object], *args: Any) -> None:
        """Have the loop call something; a loop that is closed runs nothing more, so its runs have failed."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            self._fail_all()

    def _fail_all(self) -> None:
        now = self._clock.now()
        with self._lock:
            unbegun, running = list(self._pending), list(self._running)
            self._pending.clear()
            self._is_beginning = False
        for task in unbegun:
            self._ended.post((task, outcome.LOOP_CLOSED.ending(now, now)))
        for run in running:
            self._finish(run, outcome.LOOP_CLOSED.ending(run.started_at, now))


def _cancel(run: _LoopRun) -> None:
    if run.future is not None:
        run.future.cancel()
