"""Backlog: the tasks that no worker has yet, those of fast functions before the others.

Ten functions that hang would otherwise stand before the quick ones until the pool has grown. But none waits for ever: a
slow one that has not had its turn for a second has it before the fast ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..run import Task
from . import wire

#: How long the first of the slow tasks may be held up by fast ones.
SLOW_WAITS_S = 1.0


class Backlog:
    """Two lines of tasks; `is_fast` says of a task, by what is known of its function, in which it belongs.

    `now` is a reading in monotonic seconds throughout.
    """

    def __init__(self, is_fast: Callable[[Task], bool]) -> None:
        self._is_fast = is_fast
        self._fast: deque[Task] = deque()
        self._slow: deque[Task] = deque()
        #: When a slow task had its turn last, or began to wait for it.
        self._slow_since = 0.0

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow)

    def add(self, tasks: Iterable[Task], now: float) -> None:
        """Put tasks at the end of their lines."""
        if not self._slow:
            self._slow_since = now
        for task in tasks:
            (self._fast if self._is_fast(task) else self._slow).append(task)

    def put_back(self, tasks: Sequence[Task]) -> None:
        """Put tasks that a worker did not begin at the front of their lines, in their order."""
        for task in reversed(tasks):
            (self._fast if self._is_fast(task) else self._slow).appendleft(task)

    def has_fast_next(self, now: float) -> bool:
        """Whether what comes next is fast."""
        self._change_lines()
        return bool(self._fast) and not self._slow_has_turn(now)

    def take(self, now: float, *, sharing: int) -> list[Task]:
        """One slow task, or as many fast ones as a worker's share is of `sharing` workers; they fit into a message."""
        if not self.has_fast_next(now):
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
        tasks = [*self._fast, *self._slow]
        self._fast.clear()
        self._slow.clear()
        return tasks

    def _change_lines(self) -> None:
        """The first of the slow tasks, whose functions have turned out fast by now, go to the others."""
        while self._slow and len(self._fast) < wire.CHUNK_TASKS and self._is_fast(self._slow[0]):
            self._fast.append(self._slow.popleft())

    def _slow_has_turn(self, now: float) -> bool:
        return bool(self._slow) and now - self._slow_since >= SLOW_WAITS_S
