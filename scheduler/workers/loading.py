"""Loading: how long a worker takes to load the functions: logged every few seconds, and limited."""

from __future__ import annotations

import logging

log = logging.getLogger("scheduler.executor")

#: How long a worker may load the functions, by default.
LOAD_TIMEOUT_S = 300.0
#: How often the log says that a worker is still loading.
LOG_EVERY_S = 5.0


class Loading:
    """The loading of `target` by one worker, since `began`; `now` is in monotonic seconds."""

    def __init__(self, pid: int, target: str, began: float, timeout_s: float) -> None:
        self._pid = pid
        self._target = target
        self._began = began
        self._timeout_s = timeout_s
        self._log_at = began + LOG_EVERY_S

    def log_wait(self, now: float) -> None:
        """Log every LOG_EVERY_S that the worker is still loading."""
        if now >= self._log_at:
            self._log_at = now + LOG_EVERY_S
            log.info("worker %d has been loading %s for %.0f s", self._pid, self._target, now - self._began)

    def error(self, now: float) -> str | None:
        """The error of a worker that takes too long; None before that."""
        if now < self._began + self._timeout_s:
            return None
        return f"{self._target} was not loaded within {self._timeout_s:g} s (the setting load_timeout_s)"

    def next_check_s(self, now: float) -> float:
        """Seconds until the next log line or the timeout."""
        return max(0.0, min(self._log_at, self._began + self._timeout_s) - now)
