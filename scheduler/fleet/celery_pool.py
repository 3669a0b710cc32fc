"""Celery's pool of child processes, where a connection that is lost may find one of them dead, and which ends soon.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import time
from typing import Any

from billiard.pool import RUN  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.concurrency import asynpool, prefork  # type: ignore[import-untyped, import-not-found, unused-ignore]

#: How long a child that ends waits for the main process to count its words, and how often it looks.
GOODBYE_S, LOOK_S = 1.0, 0.05


class _Child(asynpool.Worker):  # type: ignore[misc]
    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait until all words were heard; what a run came to is in its row, or noted, so it need not be for long.

        Celery's own waits for half a minute, and in vain where a main process that ends counts one too few.
        """
        for _ in range(int(GOODBYE_S / LOOK_S)):
            if not self.on_ready_counter or self.on_ready_counter.value >= completed:
                return True
            time.sleep(LOOK_S)
        return False


class _Children(asynpool.AsynPool):  # type: ignore[misc]
    Worker = _Child

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watch a child, unless its end has been seen already and it only waits to be replaced.

        Celery's own fails on such a one when the broker is back, and the worker with it: `file descriptor is None`.
        """
        if getattr(proc, "_sentinel_poll", proc) is not None:
            super()._track_child_process(proc, hub)


class _ThreadedChildren(prefork.TaskPool.BlockingPool):  # type: ignore[misc]
    """The children of a worker whose broker needs threads, which PGMQ does.

    They have one queue of tasks, and who waits holds it: one that is killed then would hold it for ever.
    """

    #: Whether a child may have been killed that held the queue.
    _has_doubts = False

    def _join_exited_workers(self, *words: Any, **more: Any) -> Any:
        """Called several times a second, to replace children that are no more."""
        self._has_doubts |= any((child.exitcode or 0) < 0 for child in self._pool)
        try:
            return super()._join_exited_workers(*words, **more)
        finally:
            if self._has_doubts and self._state == RUN:
                self._look_at_queue()

    def _look_at_queue(self) -> None:
        """Free the queue, if there is something in it that is not read by whoever holds it."""
        waits = self._inqueue._reader.poll
        had_tasks = waits()
        if self._inqueue._rlock.acquire(timeout=LOOK_S) or (had_tasks and waits()):
            self._inqueue._rlock.release()
            self._has_doubts = False

    @staticmethod
    def _help_stuff_finish(inqueue: Any, task_handler: Any, count: int) -> None:
        """Empty the children's queue at the end, unless one of them was killed with its hand on it.

        Celery's own waits for that hand for ever, and a worker that was told to end never does.
        """
        if inqueue._rlock.acquire(timeout=GOODBYE_S):
            inqueue._rlock.release()
            prefork.TaskPool.BlockingPool._help_stuff_finish(inqueue, task_handler, count)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    Pool = _Children
    BlockingPool = _ThreadedChildren
