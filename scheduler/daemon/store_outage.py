"""StoreOutage: when the store of a daemon does not answer, one line of the log says so, and one that it answers again.

A server that comes back may cut or refuse a connection after it has answered, and one may come and go for hours. So an
outage is over when the store has answered for STEADY_S.
"""

from __future__ import annotations

import logging

from ..clock import Clock
from ..store.database import Store

log = logging.getLogger("scheduler.daemon")

STEADY_S = 5.0


class StoreOutage:
    """Told at every turn of the daemon whether the store answered; `retry_s` is the pause between two attempts."""

    def __init__(self, store: Store, clock: Clock, *, retry_s: float) -> None:
        self._store, self._clock, self._retry_s = store, clock, retry_s
        #: Whether the last turn was cut short by the store.
        self.is_on = False
        #: The outage was logged, and its end was not.
        self._is_logged = False
        #: When the store will have answered for long enough, in monotonic seconds.
        self._over_at = 0.0

    def failed(self, error: str) -> None:
        """The store did not answer."""
        if not self._is_logged:
            log.error("%s; trying again every %g s", error, self._retry_s)
        self.is_on = self._is_logged = True

    def answered(self) -> None:
        """The store answered, or was not asked."""
        if not self._is_logged:
            return
        if self.is_on:
            self.is_on, self._over_at = False, self._clock.monotonic() + STEADY_S
        elif self._clock.monotonic() >= self._over_at:
            self._log_end()

    def close(self) -> None:
        """The daemon stops: a store that answered in the last turn counts as steady."""
        if self._is_logged and not self.is_on:
            self._log_end()

    def _log_end(self) -> None:
        log.info("%s: the store answers again", self._store)
        self._is_logged = False
