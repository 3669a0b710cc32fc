"""Pool: a bounded pool of threads that run functions, each call with its limit.

Lives here: passing work to a thread, waiting for it until its limit, and abandoning it. Never here: the work.
Unlike in `concurrent.futures`, a full pool refuses at once instead of queueing, and no thread keeps the process alive:
a function that hangs costs one thread and nothing else.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ..errors import EngineBusyError, FunctionTimedOutError

Work = Callable[[], Any]


class Pool:
    """At most `size` threads, started when needed and then kept."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a pool needs at least 1 thread, got {size}")
        self.size = size
        self._reset()
        os.register_at_fork(after_in_child=functools.partial(_reset_in_child, weakref.ref(self)))

    def run(self, work: Work, limit_s: float, *, late: Callable[[], None]) -> Any:
        """Return the result of `work`, or raise what it raises; FunctionTimedOutError after `limit_s` seconds.

        EngineBusyError at once when no thread is free. Abandoned work is still running in its thread, which is not free
        until the work ends; then `late` is called there.
        """
        job = _Job(work, late)
        self._take().give(job)
        if not job.done.acquire(timeout=limit_s) and job.settled.acquire(blocking=False):
            raise FunctionTimedOutError
        return job.outcome()

    def stop(self) -> None:
        """End the idle threads; a later call starts new ones."""
        while self._idle:
            self._idle.pop().give(None)

    def _take(self) -> _PoolThread:
        try:
            return self._idle.pop()
        except IndexError:
            return self._start()

    def _start(self) -> _PoolThread:
        with self._starting:
            if self._threads >= self.size:
                raise EngineBusyError(self.size)
            self._threads += 1
        worker = _PoolThread(self)
        try:
            threading.Thread(target=worker.work, name="engine-worker", daemon=True).start()
        except RuntimeError:  # the system cannot start another thread
            self._ended()
            raise EngineBusyError(self._threads) from None
        return worker

    def _free(self, worker: _PoolThread) -> None:
        self._idle.append(worker)

    def _ended(self) -> None:
        with self._starting:
            self._threads -= 1

    def _reset(self) -> None:
        """Forget all threads: a forked child has none of its parent's."""
        self._idle: list[_PoolThread] = []
        self._threads = 0
        self._starting = threading.Lock()


def _reset_in_child(reference: weakref.ref[Pool]) -> None:
    if (pool := reference()) is not None:
        pool._reset()


class _Job:
    """One piece of work. The thread at its end and the caller at the limit race for `settled`; the first one wins."""

    __slots__ = ("done", "error", "late", "result", "settled", "work")

    def __init__(self, work: Work, late: Callable[[], None]) -> None:
        self.work, self.late = work, late
        self.result: Any = None
        self.error: BaseException | None = None
        self.settled = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()

    def do(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:  # SystemExit ends the call, not the thread
            self.error = error

    def outcome(self) -> Any:
        error, self.error = self.error, None
        if error is None:
            return self.result
        try:
            raise error
        finally:
            del error  # breaks the cycle of traceback and frame


class _PoolThread:
    __slots__ = ("job", "pool", "wake")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.job: _Job | None = None
        self.wake = threading.Lock()
        self.wake.acquire()

    def give(self, job: _Job | None) -> None:
        self.job = job
        self.wake.release()

    def work(self) -> None:
        while True:
            self.wake.acquire()
            job, self.job = self.job, None
            if job is None:
                return self.pool._ended()
            job.do()
            if job.settled.acquire(blocking=False):
                self.pool._free(self)  # first, so that the next call finds this thread
                job.done.release()
            else:
                job.late()
                self.pool._free(self)
            del job
