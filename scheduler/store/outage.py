"""Outage: when a store or a broker does not answer, one line of the log says so, and one that it answers again.

A server that comes back may cut or refuse a connection after it has answered, and one may come and go for hours. So an
outage is over when the server has answered for STEADY_S.
"""

from __future__ import annotations

import logging

from ..clock import Clock

STEADY_S = 5.0


class Outage:
    """The callers report each attempt, `retry_s` apart: whether `what`, "the store" or "the broker", answered."""

    def __init__(self, what: str, log: logging.Logger, clock: Clock, *, retry_s: float) -> None:
        self._what, self._log, self._clock, self._retry_s = what, log, clock, retry_s
        #: Whether it did not answer the last time.
        self.is_on = False
        #: The outage was logged, and its end was not.
        self._is_logged = False
        #: When it will have answered for long enough, in monotonic seconds.
        self._over_at = 0.0

    def failed(self, error: str) -> None:
        """It did not answer."""
        if not self._is_logged:
            self._log.error("%s; trying again every %g s", error, self._retry_s)
        self.is_on = self._is_logged = True

    def answered(self) -> None:
        """It answered, or was not asked."""
        if not self._is_logged:
            return
        if self.is_on:
            self.is_on, self._over_at = False, self._clock.monotonic() + STEADY_S
        elif self._clock.monotonic() >= self._over_at:
            self._log_end()

    @property
    def over_in_s(self) -> float | None:
        """In how many seconds to call `answered` again, so that the end is logged; None where nothing is to be said."""
        if not self._is_logged or self.is_on:
            return None
        return max(0.0, self._over_at - self._clock.monotonic())

    def close(self) -> None:
        """The process ends: what answered the last time counts as steady."""
        if self._is_logged and not self.is_on:
            self._log_end()

    def _log_end(self) -> None:
        self._log.info("%s answers again", self._what)
        self._is_logged = False
