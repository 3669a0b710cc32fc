"""Celery's pools of child processes, with three faults worked around: a dead child, a held queue, a slow end.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from typing import Any

from billiard import pool  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.concurrency import asynpool, prefork  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .process_lock import ProcessLock

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   billiard.pool.Worker._ensure_messages_consumed(completed)   called when a child ends; on_ready_counter
#   billiard.pool.Worker._do_exit(pid, exitcode, exc)   the last thing that a child does; on_exit, which may be None
#   billiard.pool.Supervisor.body() and .close()   the thread that replaces children, by pool._maintain_pool, until
#       its own `_state` or that of the pool is not RUN
#   billiard.pool.TimeoutHandler._trywaitkill(child)   kills it at its limit; ValueError for a closed descriptor
#   billiard.pool.Pool.Worker, .Supervisor and .TimeoutHandler   their classes
#   celery.concurrency.asynpool.AsynPool.Worker   the class of the pool's children
#   celery.concurrency.asynpool.AsynPool._track_child_process(proc, hub)   called for each child by
#       register_with_event_loop; `proc._sentinel_poll` is None once the child's end was seen
#   billiard.pool.Pool._maintain_pool()   called by the thread above; _pool
#   billiard.pool.Pool._setup_queues()   makes _inqueue and _outqueue, before the first child; a SimpleQueue takes its
#       _rlock to read and its _wlock to write, by `with`, in children
#   billiard.pool.Pool._help_stuff_finish(inqueue, task_handler, _pool)   called when the pool ends; the queue's _rlock
#   celery.concurrency.prefork.TaskPool.Pool and .BlockingPool   the pools with an event loop and with threads

log = logging.getLogger("scheduler.worker")

#: How long a child that ends waits for the main process to count its results.
END_WAIT_S = 1.0
#: How often it checks.
POLL_S = 0.05
#: How often a pool with threads looks for children that have died.
REPLACE_EVERY_S = 0.5
#: A child that is about to take a task, and does not, for this long: it is stopped, or a thread of an earlier function
#: holds the interpreter.
SILENCE_S = 2.0


class _ConsumedSoon:
    """Mixed into the class of a pool's children."""

    on_ready_counter: Any

    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait for END_WAIT_S until the main process has read all results; the endings are in rows or notes anyway.

        Celery's own method waits for half a minute, and times out if the count of an ending main process is one short.
        """
        for _ in range(int(END_WAIT_S / POLL_S)):
            if not self.on_ready_counter or self.on_ready_counter.value >= completed:
                return True
            time.sleep(POLL_S)
        return False


class _PoolWorker(_ConsumedSoon, asynpool.Worker):  # type: ignore[misc]
    """A child of a pool with an event loop."""


class _ThreadPoolWorker(_ConsumedSoon, pool.Worker):  # type: ignore[misc]
    """A child of a pool with threads."""

    def _do_exit(self, pid: int, exitcode: int | None, exc: BaseException | None = None) -> None:
        """End at once after the order to end; Celery's own asks the main process for a signal, and waits a second."""
        if exitcode or exc is not None:
            super()._do_exit(pid, exitcode, exc)
        if self.on_exit is not None:
            self.on_exit(pid, 0)
        os._exit(0)


class _Supervisor(pool.Supervisor):  # type: ignore[misc]
    """The thread that replaces children; it ends when the pool closes, Celery's own up to 0.8 s later."""

    def __init__(self, of: Any) -> None:
        self._is_closed = threading.Event()
        super().__init__(of)

    def body(self) -> None:
        try:
            while not self._is_closed.wait(REPLACE_EVERY_S) and self.pool._state == pool.RUN:
                self.pool._maintain_pool()
        except pool.RestartFreqExceeded:
            self.pool.close()
            self.pool.join()
            raise

    def close(self) -> None:
        super().close()
        self._is_closed.set()

    def terminate(self) -> None:
        super().terminate()
        self._is_closed.set()


class _TimeoutHandler(pool.TimeoutHandler):  # type: ignore[misc]
    """The thread that kills children at their hard limit, and goes on if another thread has noted the end of one."""

    def _trywaitkill(self, child: Any) -> None:
        # Celery's own waits on a descriptor that the other thread may have closed, which would end the whole worker.
        with contextlib.suppress(ValueError):
            super()._trywaitkill(child)


class _EventLoopPool(asynpool.AsynPool):  # type: ignore[misc]
    Worker = _PoolWorker

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watch a child, unless the pool has already seen its end and only has to replace it.

        When the broker is back, Celery's own method fails on such a child, and so does the worker: `file descriptor is
        None`.
        """
        if getattr(proc, "_sentinel_poll", proc) is not None:
            super()._track_child_process(proc, hub)


class _ThreadPool(prefork.TaskPool.BlockingPool):  # type: ignore[misc]
    """The pool of a worker whose broker needs threads, as PGMQ does.

    Its children share one queue of tasks and one of results; the child that waits for a task has the lock of the first.
    """

    Worker = _ThreadPoolWorker
    Supervisor = _Supervisor
    TimeoutHandler = _TimeoutHandler

    def _setup_queues(self) -> None:
        """Make the queues, with locks that are free again when a child is killed; with Celery's own the pool stops."""
        super()._setup_queues()
        for queue in (self._inqueue, self._outqueue):
            queue._rlock, queue._wlock = ProcessLock(), ProcessLock()

    def _maintain_pool(self) -> None:
        """Called each REPLACE_EVERY_S, to replace children that have ended."""
        super()._maintain_pool()
        holder = self._inqueue._rlock.holder() if self._inqueue._reader.poll() else None
        if holder is None or holder != self._silent:
            self._silent, self._silent_since = holder, time.monotonic()
        elif time.monotonic() - self._silent_since > SILENCE_S and any(child.pid == holder for child in self._pool):
            log.warning("child %d does not take the tasks that wait, and is killed; others take them", holder)
            os.kill(holder, signal.SIGKILL)

    #: The child that has held the queue's lock since `_silent_since` although tasks wait.
    _silent: int | None = None
    _silent_since = 0.0

    @staticmethod
    def _help_stuff_finish(inqueue: Any, task_handler: Any, count: int) -> None:
        """Empty the children's queue at the end, unless a stopped child holds its lock.

        Celery's own method waits for that lock without limit, and the worker does not end.
        """
        if inqueue._rlock.acquire(timeout=END_WAIT_S):
            inqueue._rlock.release()
            prefork.TaskPool.BlockingPool._help_stuff_finish(inqueue, task_handler, count)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The class that Celery's setting `worker_pool` names."""

    Pool = _EventLoopPool
    BlockingPool = _ThreadPool
