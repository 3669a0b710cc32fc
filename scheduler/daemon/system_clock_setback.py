"""SystemClockSetback: what a daemon does when the system clock is set back; not the clock changes of time zones.

After a setback of up to MAX_LEAD_S, the daemon's clock runs slowly until the system's has caught up, and this is
logged. After a longer one, it goes back too: the next fire of every timer is computed again, and fire times may come
twice. The clock is SteadyClock in clock.py, which follows a jump forward at once.
"""

from __future__ import annotations

import logging

from ..clock import MAX_LEAD_S, SteadyClock
from ..store.timers import TimerTable
from .claim_ahead import ClaimAhead

log = logging.getLogger("scheduler.daemon")


class SystemClockSetback:
    """Checks the clock of a daemon, and reschedules its timers where the clock goes back."""

    def __init__(self, clock: SteadyClock, claim_ahead: ClaimAhead, timers: TimerTable) -> None:
        self._clock = clock
        self._claim_ahead = claim_ahead
        self._timers = timers
        self._is_ahead = False
        #: By how much the clock went back; 0 when the timers have been rescheduled.
        self._set_back_s = 0.0

    def check(self) -> bool:
        """Check the clock; returns whether timers were rescheduled. Repeated by the next call where the store fails."""
        ahead_s = self._clock.ahead_s()
        if ahead_s > MAX_LEAD_S:
            self._clock.go_back()
            self._set_back_s = ahead_s
        if self._set_back_s:
            self._reschedule()
            return True
        is_ahead = ahead_s > 1
        if is_ahead and not self._is_ahead:
            log.warning("the system clock was set back by %.0f s; continuing slowly until it has caught up", ahead_s)
        elif self._is_ahead and not is_ahead:
            log.info("the system clock has caught up")
        self._is_ahead = is_ahead
        return False

    def _reschedule(self) -> None:
        self._claim_ahead.release(self._clock.now())
        count = self._timers.recompute_next_fires(now=self._clock.now())
        log.warning("the system clock was set back by %.0f s; rescheduled %d timers", self._set_back_s, count)
        self._set_back_s = 0.0
