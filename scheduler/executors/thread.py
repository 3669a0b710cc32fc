"""ThreadExecutor: functions run in threads of this very process, for functions that live in a user's own program.

A thread cannot be killed: a function that is over its limit ends as timed-out and its thread is abandoned, holding one
of `max_workers` places until it returns by itself. Where limits must hold whatever a function does, use processes.
What a function prints goes where the program prints.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..clock import Clock, SystemClock
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..errors import NOT_QUEUED
from ..functions.calling import invoke
from ..functions.context import Call, TimerCall, current_call
from ..functions.registry import Registry
from . import Report, outcome
from .mailbox import Mailbox

#: How many tasks may wait for a thread before further ones are refused.
MAX_PENDING = 20_000


@dataclass(eq=False, slots=True)
class _Place:
    """One task in one thread: whoever takes the word first, the function or the deadline, says how it ended."""

    task: Task
    started_at: datetime
    deadline: float
    ended: bool = False


class ThreadExecutor:
    """Runs the functions of a registry in at most `max_workers` threads at a time."""

    def __init__(self, registry: Registry, *, max_workers: int = 32, clock: Clock | None = None) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers must be at least 1, not {max_workers}")
        self._registry = registry
        self._max_workers = max_workers
        self._clock = clock or SystemClock()
        self._pending: deque[Task] = deque()
        self._places: set[_Place] = set()
        self._threads = 0
        self._lock = threading.Lock()
        self._ended: Mailbox[tuple[Task, Ending]] = Mailbox()

    def submit(self, tasks: Sequence[Task]) -> None:
        room = max(0, MAX_PENDING - len(self._pending))
        self._pending.extend(tasks[:room])
        now = self._clock.now()
        for task in tasks[room:]:
            refused = Ending(outcome=Outcome.FAILED, verdict=Verdict.NEUTRAL, ended_at=now, message=NOT_QUEUED)
            self._ended.post((task, refused))
        self._begin_pending()

    def collect(self) -> Report:
        now = self._clock.monotonic()
        with self._lock:
            overdue = [place for place in self._places if now >= place.deadline]
        for place in overdue:
            self._time_out(place)
        self._begin_pending()
        return Report(ended=self._ended.take())

    def filenos(self) -> list[int]:
        return [self._ended.fileno()]

    def next_check(self) -> float | None:
        if self._ended:
            return 0.0
        now = self._clock.monotonic()
        with self._lock:
            return min((max(0.0, place.deadline - now) for place in self._places), default=None)

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def stop(self) -> None:
        """Forget what runs; threads end when their functions return, or with the program."""
        self._pending.clear()
        with self._lock:
            for place in self._places:
                place.ended = True
            self._places.clear()
        self._ended.close()

    def _begin_pending(self) -> None:
        while self._pending and self._threads < self._max_workers:
            task = self._pending.popleft()
            place = _Place(task, self._clock.now(), self._clock.monotonic() + task.limit_s)
            with self._lock:
                self._threads += 1
                self._places.add(place)
            threading.Thread(target=self._run, args=(place,), name=f"timer {task.timer}", daemon=True).start()

    def _run(self, place: _Place) -> None:
        task = place.task
        end = contextvars.copy_context().run(outcome.of_call, lambda: self._call(task))
        ending = Ending(
            outcome=end.outcome,
            verdict=end.verdict,
            started_at=place.started_at,
            ended_at=self._clock.now(),
            error=end.error,
            result=end.result,
        )
        with self._lock:
            self._threads -= 1
        self._finish(place, ending)

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

    def _time_out(self, place: _Place) -> None:
        ending = Ending(
            outcome=Outcome.TIMED_OUT,
            verdict=Verdict.FAILURE,
            started_at=place.started_at,
            ended_at=self._clock.now(),
            error=f"over its limit of {place.task.limit_s:g} s",
        )
        self._finish(place, ending)

    def _finish(self, place: _Place, ending: Ending) -> None:
        with self._lock:
            if place.ended:
                return
            place.ended = True
            self._places.discard(place)
        self._ended.post((place.task, ending))
