"""TaskQueue: the tasks that no worker has yet, those of fast functions first, those that take long last.

Fast tasks are divided among the workers, but not such as are done sooner than another worker is awake.

Ten functions that hang would otherwise stand before the quick ones until the pool has grown. But none waits for ever: a
slow one that has not had its turn for a second has it before the fast ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..core.run import Task
from . import protocol

#: A function that takes longer than this does not share a worker's queue with others.
FAST_S = 0.005
#: A function that takes longer than this lets others go first.
LONG_S = 0.5
#: Fast tasks that take no longer than this together are not divided.
TOGETHER_S = 0.0003
#: How long the first of the slow tasks, or of those that take long, may be held up by others.
SLOW_WAITS_S = 1.0


#: What a worker needs for any task.
_LEAST_S = 0.00002


class TaskQueue:
    """Three lines of tasks; `typical_s` says how long a function takes, None where that is not known.

    `now` is a reading in monotonic seconds throughout.
    """

    def __init__(self, typical_s: Callable[[str], float | None]) -> None:
        self._typical_s = typical_s
        self._fast: deque[Task] = deque()
        self._slow: deque[Task] = deque()
        self._long: deque[Task] = deque()
        #: When a slow task, or one that takes long, had its turn last, or began to wait for it.
        self._slow_since = 0.0
        self._long_since = 0.0

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow) + len(self._long)

    @property
    def long(self) -> int:
        """How many of the tasks take long."""
        return len(self._long)

    def is_fast(self, task: Task) -> bool:
        """Whether the function of a task is known to be fast."""
        typical_s = self._typical_s(task.function)
        return typical_s is not None and typical_s < FAST_S

    def add(self, tasks: Iterable[Task], now: float) -> None:
        """Put tasks at the end of their lines."""
        if not self._slow:
            self._slow_since = now
        if not self._long:
            self._long_since = now
        for task in tasks:
            self._line_of(task).append(task)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Put tasks that a worker did not begin at the front of their lines, in their order."""
        for task in reversed(tasks):
            self._line_of(task).appendleft(task)

    def has_fast_next(self, now: float) -> bool:
        """Whether what comes next is fast."""
        self._change_lines(now)
        return bool(self._fast) and not self._slow_has_turn(now) and not self._long_has_turn(now)

    def take(self, now: float, *, sharing: int) -> list[Task]:
        """One slow task, or as many fast ones as a worker's share is of `sharing` workers; they fit into a message."""
        taken = self.take_for_the_last(now, sharing=sharing)
        if not taken and self._long:
            taken = self._take_long(now)
        return taken

    def take_for_the_last(self, now: float, *, sharing: int) -> list[Task]:
        """As `take`, for the last worker that is free: none that takes long, unless it has waited for a second."""
        if not self.has_fast_next(now):
            if self._long_has_turn(now):
                return self._take_long(now)
            self._slow_since = now
            return [self._slow.popleft()] if self._slow else []
        share = -(-len(self._fast) // sharing)
        taken: list[Task] = []
        size, takes_s = 0, 0.0
        while self._fast and len(taken) < protocol.CHUNK_TASKS:
            task = self._fast[0]
            size += len(task.params)
            takes_s += max(_LEAST_S, self._typical_s(task.function) or 0.0)
            is_enough = len(taken) >= share and takes_s > TOGETHER_S
            if taken and (is_enough or size > protocol.CHUNK_BYTES):
                break
            taken.append(self._fast.popleft())
        return taken

    def clear(self) -> list[Task]:
        """Forget all tasks; returns them."""
        tasks = [*self._fast, *self._slow, *self._long]
        for line in (self._fast, self._slow, self._long):
            line.clear()
        return tasks

    def _line_of(self, task: Task) -> deque[Task]:
        typical_s = self._typical_s(task.function)
        if typical_s is None:
            return self._slow
        return self._fast if typical_s < FAST_S else self._long if typical_s >= LONG_S else self._slow

    def _change_lines(self, now: float) -> None:
        """The first slow tasks and long ones, whose functions have turned out otherwise by now, go to the others."""
        while self._long and len(self._fast) < protocol.CHUNK_TASKS and self.is_fast(self._long[0]):
            self._fast.append(self._long.popleft())
        while self._slow and len(self._fast) < protocol.CHUNK_TASKS:
            line = self._line_of(self._slow[0])
            if line is self._slow:
                return
            if not self._long:
                self._long_since = now
            line.append(self._slow.popleft())

    def _take_long(self, now: float) -> list[Task]:
        self._long_since = now
        return [self._long.popleft()]

    def _slow_has_turn(self, now: float) -> bool:
        return bool(self._slow) and now - self._slow_since >= SLOW_WAITS_S

    def _long_has_turn(self, now: float) -> bool:
        return bool(self._long) and now - self._long_since >= SLOW_WAITS_S
