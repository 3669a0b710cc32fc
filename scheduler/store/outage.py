"""Outage: logs once that a store or a broker does not answer, and once that it answers again.

A server that comes back may still cut or refuse connections, and may come and go for hours. So an outage is over when
the server has answered for STEADY_S.
"""

from __future__ import annotations

import logging

from ..clock import Clock

STEADY_S = 5.0


class Outage:
    """The callers report each attempt, `retry_s` apart: whether `what`, "the store" or "the broker", answered."""

    def __init__(self, what: str, log: logging.Logger, clock: Clock, *, retry_s: float) -> None:
        self._what, self._log, self._clock, self._retry_s = what, log, clock, retry_s
        #: Whether the last attempt failed.
        self.is_on = False
        #: Whether the outage was logged, but not its end.
        self._is_logged = False
        #: When the server will have answered for STEADY_S, in monotonic seconds.
        self._over_at = 0.0

    def failed(self, error: str) -> None:
        """Note that an attempt failed."""
        if not self._is_logged:
            self._log.error("%s; trying again every %g s", error, self._retry_s)
        self.is_on = self._is_logged = True

    def answered(self) -> None:
        """Note that the server answered, or that there was no attempt."""
        if not self._is_logged:
            return
        if self.is_on:
            self.is_on, self._over_at = False, self._clock.monotonic() + STEADY_S
        elif self._clock.monotonic() >= self._over_at:
            self._log_end()

    @property
    def over_in_s(self) -> float | None:
        """In how many seconds to call `answered` again, so that the end is logged; None if there is nothing to log."""
        if not self._is_logged or self.is_on:
            return None
        return max(0.0, self._over_at - self._clock.monotonic())

    def close(self) -> None:
        """Log the end of the outage if the last attempt succeeded, because the process ends."""
        if self._is_logged and not self.is_on:
            self._log_end()

    def _log_end(self) -> None:
        self._log.info("%s answers again", self._what)
        self._is_logged = False
