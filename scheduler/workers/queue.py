"""TaskQueue: the tasks that wait for a worker: those of fast functions first, those of long ones last.

Otherwise ten functions that hang would hold up the fast ones until the pool has grown. No task starves: when no slow
task has been taken for SLOW_WAITS_S, the next one goes before the fast ones; likewise for long tasks.

Fast tasks are divided among the workers, unless one worker would finish them before another one wakes up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from ..core.run import Task
from . import protocol

#: Tasks of a function that takes less than this share a chunk; other tasks are sent one by one.
FAST_S = 0.005
#: Tasks of a function that takes this long or longer come last.
LONG_S = 0.5
#: Fast tasks that together take no longer than this are not divided among workers.
TOGETHER_S = 0.0003
#: How long other tasks may hold up the first slow task, or the first long one.
SLOW_WAITS_S = 1.0
#: The least time that a worker needs for a task.
_LEAST_S = 0.00002


class TaskQueue:
    """Three queues of tasks: fast, slow and long; `typical_s` returns how long a function takes, None if unknown.

    Tasks of unknown functions are slow. `now` is in monotonic seconds throughout.
    """

    def __init__(self, typical_s: Callable[[str], float | None]) -> None:
        self._typical_s = typical_s
        self._fast: deque[Task] = deque()
        self._slow: deque[Task] = deque()
        self._long: deque[Task] = deque()
        #: Since when the queue has not been empty.
        self._filled_at = 0.0
        #: When a slow task, and a long one, was last taken or began to wait.
        self._slow_since = 0.0
        self._long_since = 0.0

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow) + len(self._long)

    @property
    def long(self) -> int:
        """The number of long tasks."""
        return len(self._long)

    def is_fast(self, task: Task) -> bool:
        """Whether the function of a task is known to be fast."""
        typical_s = self._typical_s(task.function)
        return typical_s is not None and typical_s < FAST_S

    def add(self, tasks: Iterable[Task], now: float) -> None:
        """Put tasks at the end of their queues."""
        if not self:
            self._filled_at = now
        if not self._slow:
            self._slow_since = now
        if not self._long:
            self._long_since = now
        function, queue = None, self._slow
        for task in tasks:
            if task.function != function:
                function, queue = task.function, self._queue_of(task)
            queue.append(task)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Put tasks that a worker did not begin at the front of their queues, in their order."""
        for task in reversed(tasks):
            self._queue_of(task).appendleft(task)

    def has_fast_next(self, now: float) -> bool:
        """Whether the next task is fast."""
        self._move_reclassified(now)
        return bool(self._fast) and not self._slow_has_turn(now) and not self._long_has_turn(now)

    def take(self, now: float, *, sharing: int) -> list[Task]:
        """One slow task, one long one, or the share of fast ones for one of `sharing` workers; fits into a message."""
        taken = self.take_unless_long(now, sharing=sharing)
        if not taken and self._long:
            taken = self._take_long(now)
        return taken

    def take_unless_long(self, now: float, *, sharing: int) -> list[Task]:
        """Like `take`, but never a long task unless one has waited SLOW_WAITS_S."""
        if not self.has_fast_next(now):
            if self._long_has_turn(now):
                return self._take_long(now)
            self._slow_since = now
            return [self._slow.popleft()] if self._slow else []
        count = self._fast_that_share(-(-len(self._fast) // sharing))
        return [self._fast.popleft() for _ in range(count)]

    def oldest_s(self, wall_now: datetime, now: float) -> float:
        """For how long the oldest task has been waiting, at most since its fire time; 0.0 where there is none."""
        first = [queue[0].fire_time for queue in (self._fast, self._slow, self._long) if queue]
        return min((wall_now - min(first)).total_seconds(), now - self._filled_at) if first else 0.0

    def remove(self, run_ids: Collection[int]) -> list[Task]:
        """Remove the tasks of these runs; returns them."""
        removed: list[Task] = []
        for queue in (self._fast, self._slow, self._long):
            theirs = [task for task in queue if task.run_id in run_ids]
            for task in theirs:
                queue.remove(task)
            removed += theirs
        return removed

    def clear(self) -> list[Task]:
        """Remove all tasks; returns them."""
        tasks = [*self._fast, *self._slow, *self._long]
        for queue in (self._fast, self._slow, self._long):
            queue.clear()
        return tasks

    def _queue_of(self, task: Task) -> deque[Task]:
        typical_s = self._typical_s(task.function)
        if typical_s is None:
            return self._slow
        return self._fast if typical_s < FAST_S else self._long if typical_s >= LONG_S else self._slow

    def _move_reclassified(self, now: float) -> None:
        """Move the first slow and long tasks whose functions turned out faster or slower to where they belong."""
        while self._long and len(self._fast) < protocol.CHUNK_TASKS and self.is_fast(self._long[0]):
            self._fast.append(self._long.popleft())
        while self._slow and len(self._fast) < protocol.CHUNK_TASKS:
            queue = self._queue_of(self._slow[0])
            if queue is self._slow:
                return
            if not self._long:
                self._long_since = now
            queue.append(self._slow.popleft())

    def _fast_that_share(self, share: int) -> int:
        """How many of the first fast tasks make a chunk, where each worker gets `share` of them."""
        count, size, takes_s = 0, 0, 0.0
        function, each_s = None, 0.0
        for task in self._fast:
            # Most neighbours have the same function.
            if task.function != function:
                function, each_s = task.function, max(_LEAST_S, self._typical_s(task.function) or 0.0)
            size += len(task.params)
            takes_s += each_s
            if count and ((count >= share and takes_s > TOGETHER_S) or size > protocol.CHUNK_BYTES):
                break
            count += 1
            if count == protocol.CHUNK_TASKS:
                break
        return count

    def _take_long(self, now: float) -> list[Task]:
        self._long_since = now
        return [self._long.popleft()]

    def _slow_has_turn(self, now: float) -> bool:
        return bool(self._slow) and now - self._slow_since >= SLOW_WAITS_S

    def _long_has_turn(self, now: float) -> bool:
        return bool(self._long) and now - self._long_since >= SLOW_WAITS_S
