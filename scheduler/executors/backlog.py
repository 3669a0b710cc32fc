"""Backlog: the tasks that no worker has yet, those of fast functions first, those that take long last.

Ten functions that hang would otherwise stand before the quick ones until the pool has grown. But none waits for ever: a
slow one that has not had its turn for a second has it before the fast ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..run import Task
from . import wire

#: How long the first of the slow tasks, or of those that take long, may be held up by others.
SLOW_WAITS_S = 1.0


class Backlog:
    """Three lines of tasks; `is_fast` and `takes_long` say by what is known of a task's function in which it belongs.

    `now` is a reading in monotonic seconds throughout.
    """

    def __init__(self, is_fast: Callable[[Task], bool], takes_long: Callable[[Task], bool] = lambda _: False) -> None:
        self._is_fast = is_fast
        self._takes_long = takes_long
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
        most = min(wire.CHUNK_TASKS, -(-len(self._fast) // sharing))
        taken: list[Task] = []
        size = 0
        while self._fast and len(taken) < most:
            size += len(self._fast[0].params)
            if taken and size > wire.CHUNK_BYTES:
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
        if self._is_fast(task):
            return self._fast
        return self._long if self._takes_long(task) else self._slow

    def _change_lines(self, now: float) -> None:
        """The first slow tasks and long ones, whose functions have turned out otherwise by now, go to the others."""
        while self._long and len(self._fast) < wire.CHUNK_TASKS and self._is_fast(self._long[0]):
            self._fast.append(self._long.popleft())
        while self._slow and len(self._fast) < wire.CHUNK_TASKS:
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
