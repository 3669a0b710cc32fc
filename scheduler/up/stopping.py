"""The end of `scheduler up`, in bounded time whatever hangs.

first signal      each process is told once; runs and requests in progress may end, within a time
second signal     each is told to end at once, and so they are when that time has passed
some seconds on   what is left is killed
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from .process import ChildProcess

log = logging.getLogger("scheduler.up")

#: How long a web process that was replaced may answer what it has begun: the limit of a function, and a little more.
DRAIN_S = 20.0
#: How long processes may take that were told to end at once.
AT_ONCE_S = 5.0
_SAY_EVERY_S = 10.0


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
        self._end_at, self._say_at = now + timeout_s, now + _SAY_EVERY_S
        self._kill_at = float("inf")
        for process in processes:
            # One that is not ready has nothing in progress, and may not listen yet.
            if process.ready is None:
                process.kill()
            process.tell_to_stop("stop")

    @property
    def status(self) -> int:
        """The exit status: 0, or 128 + the number of the second signal."""
        return 128 + self._signals[1] if len(self._signals) > 1 else 0

    def at_once(self) -> None:
        """Have all of them end at once."""
        if not self._is_at_once:
            self._is_at_once = True
            self._kill_at = time.monotonic() + AT_ONCE_S
            for process in self._processes:
                process.tell_to_stop("at once")

    @property
    def is_over(self) -> bool:
        """Whether all of them have ended."""
        now = time.monotonic()
        return all(has_gone(process, now) for process in self._processes)

    def look(self, now: float) -> None:
        """Do what the time and the signals demand."""
        left = [process for process in self._processes if not has_gone(process, now)]
        if len(self._signals) > 1:
            self.at_once()
        elif now >= self._end_at and not self._is_at_once:
            log.error("still in progress, and ended now: %s", _names(left))
            self.at_once()
        elif now >= self._say_at and not self._is_at_once:
            self._say_at = now + _SAY_EVERY_S
            log.info("stopping: still waiting for %s", _names(left))
        for process in left:
            if now >= self._kill_at or process.silent_s > self._silence_s(process.role):
                kill_named(process)


def has_gone(process: ChildProcess, now: float) -> bool:
    """Whether a process has ended, or is killed and cannot be waited for."""
    return process.exit_status() is not None or process.cannot_be_killed(now)


def kill_named(process: ChildProcess) -> None:
    """Kill a process that does not end, and say so."""
    if not process.is_killed:
        log.error("killed, since it does not end: %s", _names([process]))
        process.kill()


def _names(processes: Sequence[ChildProcess]) -> str:
    return ", ".join(f"{process.role} (process {process.pid})" for process in processes)
