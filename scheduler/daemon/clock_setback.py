"""ClockSetback: what a daemon does when the system clock is set back.

By a little, and its own clock goes on slowly until the system's has caught up, which is told once. By hours, and it
follows: every timer is planned afresh, and fire times may come twice.
"""

from __future__ import annotations

import logging

from ..clock import MAX_LEAD_S, SteadyClock
from ..store.timers import TimerTable
from .claim_ahead import ClaimAhead

log = logging.getLogger("scheduler.daemon")


class ClockSetback:
    """Looks at the clock of a daemon, and sees to its timers."""

    def __init__(self, clock: SteadyClock, standby: ClaimAhead, timetable: TimerTable) -> None:
        self._clock = clock
        self._standby = standby
        self._timetable = timetable
        self._is_ahead = False
        #: By how much the clock was set back to which the timers are yet to be planned afresh.
        self._set_back_s = 0.0

    def look(self) -> bool:
        """Look at the clock; whether timers were planned afresh, which is tried again should the store not answer."""
        ahead_s = self._clock.ahead_s()
        if ahead_s > MAX_LEAD_S:
            self._clock.give_in()
            self._set_back_s = ahead_s
        if self._set_back_s:
            self._plan_afresh()
            return True
        is_ahead = ahead_s > 1
        if is_ahead and not self._is_ahead:
            log.warning("the system clock was set back by %.0f s; going on slowly until it has caught up", ahead_s)
        elif self._is_ahead and not is_ahead:
            log.info("the system clock has caught up")
        self._is_ahead = is_ahead
        return False

    def _plan_afresh(self) -> None:
        self._standby.release()
        count = self._timetable.plan_afresh(now=self._clock.now())
        log.warning("the system clock was set back by %.0f s; planned %d timers afresh", self._set_back_s, count)
        self._set_back_s = 0.0
