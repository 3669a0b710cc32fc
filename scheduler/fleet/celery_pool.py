"""Celery's pools of child processes, with four faults worked around: a dead child, a silent one, a held queue, a slow
end. A child ends between two messages when it is worn out.

Named in Celery's settings (broker.py).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from billiard import pool  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.einfo import ExceptionInfo, ExceptionWithTraceback  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.concurrency import asynpool, prefork  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.exceptions import Ignore  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .process_lock import ProcessLock
from .silent_children import SILENT_LOOKS, Look, Silent, SilentChildren

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   billiard.pool.Worker._ensure_messages_consumed(completed)   called when a child ends; on_ready_counter
#   billiard.pool.Worker._make_child_methods()   called in the child; makes wait_for_job(), which its loop calls for
#       each message. SystemExit ends the child, and the pool starts another one
#   billiard.pool.Worker._do_exit(pid, exitcode, exc)   the last thing that a child does; on_exit, which may be None
#   billiard.pool.Supervisor.body() and .close()   the thread that replaces children, by pool._maintain_pool, until
#       its own `_state` or that of the pool is not RUN
#   billiard.pool.TimeoutHandler._trywaitkill(child)   kills it at its limit; ValueError for a closed descriptor
#   billiard.pool.Pool.Worker, .Supervisor and .TimeoutHandler   their classes
#   celery.concurrency.asynpool.AsynPool.Worker   the class of the pool's children
#   celery.concurrency.asynpool.AsynPool._track_child_process(proc, hub)   called for each child by
#       register_with_event_loop; `proc._sentinel_poll` is None once the child's end was seen
#   celery.concurrency.asynpool.AsynPool.timers   how often which methods are called by the event loop
#   billiard.pool.Pool._cache   the messages that have not ended; of each, _job, its number, _write_to, the child to
#       which it was written, and _accepted, set when that child has answered that it takes it. What a dead child has
#       not accepted goes to another one
#   billiard.pool.ApplyResult._set(i, (success, value))   ends a message, and calls Request.on_failure; ready, discard
#   billiard.pool.Pool._maintain_pool()   called by the thread above; _pool
#   billiard.pool.Pool._on_ready_counters   by pid, how many messages a child has finished, with a lock that no
#       child may take; _result_handler, the thread that reads answers; _putlock, taken for each message until it ends
#   billiard.pool.Worker.prepare_result(result)   makes what a child answers, for Celery (failed, value, seconds)
#   billiard.pool.Pool._setup_queues()   makes _inqueue and _outqueue, before the first child; a SimpleQueue takes its
#       _rlock to read and its _wlock to write, by `with`, in children
#   billiard.pool.Pool._help_stuff_finish(inqueue, task_handler, _pool)   called when the pool ends; the queue's _rlock
#   celery.concurrency.prefork.TaskPool.Pool and .BlockingPool   the pools with an event loop and with threads

log = logging.getLogger("scheduler.worker")

#: How long a child that ends waits for the main process to count its results.
END_WAIT_S = 1.0
#: How often it checks.
POLL_S = 0.05
#: How often a pool looks at its children: one with threads replaces those that have died.
REPLACE_EVERY_S = 0.5


class UntakenError(Ignore):  # type: ignore[misc]
    """No child has taken a message, and none will: the child that was about to was killed."""


def replace_children_when(is_worn_out: Callable[[], bool]) -> None:
    """Have a child of this process end before its next message when `is_worn_out` returns true in it."""
    _Child.is_worn_out = staticmethod(is_worn_out)


class _Child:
    """Mixed into the class of a pool's children."""

    is_worn_out: Callable[[], bool] = staticmethod(lambda: False)

    on_ready_counter: Any
    wait_for_job: Callable[[], Any]

    def _make_child_methods(self) -> None:
        super()._make_child_methods()  # type: ignore[misc]
        wait_for_job = self.wait_for_job

        def wait_unless_worn_out() -> Any:
            if self.is_worn_out():
                raise SystemExit(pool.EX_OK)
            return wait_for_job()

        self.wait_for_job = wait_unless_worn_out

    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait for END_WAIT_S until the main process has read all results; the endings are in rows or notes anyway.

        Celery's own method waits for half a minute, and times out if the count of an ending main process is one short.
        """
        # Without its lock, for which the main process would wait for ever if this child were killed meanwhile.
        count = self.on_ready_counter and self.on_ready_counter.get_obj()
        for _ in range(int(END_WAIT_S / POLL_S)):
            if not count or count.value >= completed:
                return True
            time.sleep(POLL_S)
        return False


def _kill_silent(pid: int, what: str = "does not take the tasks that wait") -> None:
    log.warning("child %d %s, and is killed; others take them", pid, what)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class _PoolWorker(_Child, asynpool.Worker):  # type: ignore[misc]
    """A child of a pool with an event loop."""


class _ThreadPoolWorker(_Child, pool.Worker):  # type: ignore[misc]
    """A child of a pool with threads."""

    def prepare_result(self, result: Any) -> Any:
        """What this child answers, without the traceback of an exception that only tells the main process something.

        A pipe takes up to 4,096 bytes (PIPE_BUF) at once, so a child that is killed leaves no part of such an answer.
        """
        result = super().prepare_result(result)
        match result:
            case (_, ExceptionInfo(exception=ExceptionWithTraceback(exc=Ignore() as error)) as info, _):
                info.exception, info.tb, info.traceback = ExceptionWithTraceback(error, None), None, ""
        return result

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

    #: By message and child, in how many looks the child had not accepted the message.
    _unaccepted: Mapping[tuple[int, int], int] = MappingProxyType({})

    @property
    def timers(self) -> dict[Callable[[], None], float]:
        return {**super().timers, self._kill_silent_children: REPLACE_EVERY_S}

    def _kill_silent_children(self) -> None:
        """Kill children that do not take the message that was written to them; others get it."""
        written = {(job._job, job._write_to.pid) for job in self._cache.values() if job._write_to and not job._accepted}
        self._unaccepted = {key: self._unaccepted.get(key, -1) + 1 for key in written}
        silent = {pid for (_, pid), looks in self._unaccepted.items() if looks >= SILENT_LOOKS}
        for child in self._pool:
            if child.pid in silent:
                _kill_silent(child.pid)


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
        """Called each REPLACE_EVERY_S, to replace children that have ended, and to kill those that stand still."""
        super()._maintain_pool()
        # Made after the thread that calls this.
        reader = getattr(self, "_result_handler", None)
        if reader is not None and not reader.is_alive() and self._state == pool.RUN:
            log.critical("the thread that reads what children answer has ended, and so does this worker")
            os._exit(1)
        # What waits to be read may be the answer of a child.
        if not self._outqueue._reader.poll(0):
            self._kill_silent_children(self._silent.after(self._look()))

    @cached_property
    def _silent(self) -> SilentChildren:
        """Made with the first look, because Celery calls the constructor."""
        return SilentChildren()

    def _look(self) -> Look:
        jobs = list(self._cache.values())
        at_work = {job._worker_pid for job in jobs if job._accepted and not job.ready()}
        counters = self._on_ready_counters
        idle = {pid: counters[pid].get_obj().value for child in self._pool if (pid := child.pid) not in at_work}
        untaken = frozenset(job._job for job in jobs if not job._accepted and not job.ready())
        return Look(idle, untaken, self._inqueue._rlock.holder(), self._outqueue._wlock.holder())

    def _kill_silent_children(self, silent: Silent) -> None:
        pids = silent.pids & {child.pid for child in self._pool}
        if not silent.with_tasks:
            for pid in pids:
                _kill_silent(pid, "keeps the others from answering")
        elif pids:
            self._kill_with_tasks(pids)

    def _kill_with_tasks(self, pids: frozenset[int]) -> None:
        """Kill children; the daemon sends all messages again that no child has taken.

        One may have read a part of a message, and the next child would take the rest for the beginning of another one.
        So the queue is emptied while nobody can read: one of the stopped children has its lock, or this process.
        """
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        lock = self._inqueue._rlock
        has_lock = lock.holder() not in pids and lock.acquire(timeout=POLL_S)
        try:
            while self._inqueue._reader.poll(POLL_S):
                os.read(self._inqueue._reader.fileno(), 65_536)
        finally:
            for pid in pids:
                _kill_silent(pid)
            if has_lock:
                lock.release()
        for job in [job for job in list(self._cache.values()) if not job._accepted and not job.ready()]:
            try:
                raise UntakenError
            except UntakenError:
                job._set(None, (False, ExceptionInfo()))
            job.discard()
            # Celery releases one for each child that has ended; with none left, the worker would take no message.
            self._putlock.release()

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
