"""Recycling: which worker is replaced, because it has run many functions or has grown large. Off by default.

The executor starts a successor first, so no run waits for it; the old worker ends when the run in progress has ended.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from .worker import WorkerProcess

log = logging.getLogger("scheduler.executor")

#: How often the memory of the workers is read.
LOOK_EVERY_S = 1.0
_MB = 1_000_000
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Recycling:
    """The limits of a pool's workers: runs, and megabytes of memory; 0 = none."""

    def __init__(self, max_runs: int = 0, max_mb: int = 0) -> None:
        self._max_runs = max_runs
        self._max_mb = max_mb
        self._look_at = 0.0
        #: Whether a worker that has run nothing is within the limit of memory; None until one was read.
        self._fits: bool | None = None

    def worn_out(self, workers: Iterable[WorkerProcess], now: float) -> WorkerProcess | None:
        """A worker to replace, None where there is none; `now` is in monotonic seconds."""
        if not (self._max_runs or self._max_mb):
            return None
        serving = [worker for worker in workers if worker.takes_tasks]
        if self._max_runs:
            for worker in serving:
                if worker.runs >= self._max_runs:
                    return worker
        if self._max_mb and self._fits is not False and now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            return next((worker for worker in serving if self._is_too_large(worker)), None)
        return None

    def _is_too_large(self, worker: WorkerProcess) -> bool:
        used_mb = memory_mb(worker.pid)
        if worker.runs:
            return used_mb > self._max_mb
        if self._fits is None:
            self._fits = used_mb <= self._max_mb
            if not self._fits:
                text = "worker_max_mb = %d is ignored: a worker that has run nothing yet takes %.0f MB"
                log.warning(text, self._max_mb, used_mb)
        return False


def memory_mb(pid: int) -> float:
    """The memory that a process has in RAM; 0 where the kernel does not report it."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / _MB
    except (OSError, ValueError, IndexError):
        return 0.0
