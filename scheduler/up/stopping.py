"""Stopping: ends the processes of `scheduler up` in bounded time, even if one hangs.

first signal      each process gets the order to stop; runs and requests in progress may end, within a time
second signal     or after that time: each gets the order to end at once
some seconds on   the remaining processes are killed
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from .process import ChildProcess

log = logging.getLogger("scheduler.up")

#: How long a replaced web process may finish its requests: the limit of a function, and a little more.
DRAIN_S = 20.0
#: How long processes may take to end at once.
AT_ONCE_S = 5.0
_LOG_EVERY_S = 10.0


class Stopping:
    """Ends processes; `signals` grows while it waits."""

    def __init__(
        self,
        processes: Sequence[ChildProcess],
        signals: Sequence[int],
        timeout_s: float,
        silence_s: Callable[[str], float],
    ) -> None:
        self._processes = processes
        self._signals = signals
        self._silence_s = silence_s
        self._is_at_once = False
        now = time.monotonic()
        self._end_at, self._log_at = now + timeout_s, now + _LOG_EVERY_S
        self._kill_at = float("inf")
        for process in processes:
            # A process that is not ready has nothing in progress, and may not read orders yet.
            if process.ready is None:
                process.kill()
            process.order_to_stop("stop")

    @property
    def status(self) -> int:
        """The exit status: 0, or 128 + the number of the second signal."""
        return 128 + self._signals[1] if len(self._signals) > 1 else 0

    def at_once(self) -> None:
        """Order all processes to end at once."""
        if not self._is_at_once:
            self._is_at_once = True
            self._kill_at = time.monotonic() + AT_ONCE_S
            for process in self._processes:
                process.order_to_stop("at once")

    @property
    def is_over(self) -> bool:
        """Whether all processes have ended."""
        now = time.monotonic()
        return all(has_gone(process, now) for process in self._processes)

    def look(self, now: float) -> None:
        """Act on elapsed time and new signals."""
        left = [process for process in self._processes if not has_gone(process, now)]
        if len(self._signals) > 1:
            self.at_once()
        elif now >= self._end_at and not self._is_at_once:
            log.error("ending what is still in progress: %s", _names(left))
            self.at_once()
        elif now >= self._log_at and not self._is_at_once:
            self._log_at = now + _LOG_EVERY_S
            log.info("stopping: still waiting for %s", _names(left))
        for process in left:
            if now >= self._kill_at or process.is_silent(self._silence_s(process.role)):
                kill_named(process)


def has_gone(process: ChildProcess, now: float) -> bool:
    """Whether a process has ended, or was killed and the kernel does not end it."""
    return process.exit_status() is not None or process.cannot_be_killed(now)


def has_had_its_time(process: ChildProcess, now: float, drain_until: float | None, silence_s: float) -> bool:
    """Whether a replaced process is to be killed.

    One that serves HTTP has until `drain_until` to finish its requests. One that has not answered for DRAIN_S finishes
    none, and their clients wait for its end: it has AT_ONCE_S to answer.
    """
    if drain_until is None:
        return process.is_silent(silence_s)
    began_at = drain_until - DRAIN_S
    return now >= drain_until or (process.silent_s > DRAIN_S and now >= began_at + AT_ONCE_S)


def kill_named(process: ChildProcess) -> None:
    """Kill a process that does not end, and log it."""
    if not process.is_killed:
        log.error("killed, because it did not end: %s", _names([process]))
        process.kill()


def _names(processes: Sequence[ChildProcess]) -> str:
    return ", ".join(f"{process.role} (process {process.pid})" for process in processes)
