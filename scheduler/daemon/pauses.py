"""Pauses: the daemon ends pauses whose time is over, and releases its claims ahead when a pause begins."""

from __future__ import annotations

import logging
from datetime import datetime

from ..clock import Clock
from ..store.pause_table import PauseTable
from .agenda import Agenda
from .claim_ahead import ClaimAhead

log = logging.getLogger("scheduler.daemon")

#: How often to read the pauses, unless one ends before; each change of a pause also wakes the daemon.
LOOK_EVERY_S = 30.0


class Pauses:
    """The pauses of a daemon's store, as it has last read them."""

    def __init__(self, table: PauseTable, claim_ahead: ClaimAhead, clock: Clock) -> None:
        self._table = table
        self._claim_ahead = claim_ahead
        self._clock = clock
        self._seen: set[int] = set()

    def look(self, agenda: Agenda, now: datetime) -> None:
        """Read the pauses, if it is time to."""
        monotonic = self._clock.monotonic()
        if monotonic < agenda.look_at_pauses:
            return
        in_force = self._table.list()
        if any(pause.until is not None and pause.until <= now for pause in in_force):
            for pause in self._table.end_due(now):
                log.info("the pause of %s, which began at %s, is over", pause.scope, pause.since)
            in_force = self._table.list()
            agenda.read_upcoming_at = 0.0
        if {pause.id for pause in in_force} - self._seen:
            # Held timers must not fire, so their tasks are given back with all others; those are claimed again.
            self._claim_ahead.release(now)
            agenda.read_upcoming_at = 0.0
        self._seen = {pause.id for pause in in_force}
        ends_in_s = [(pause.until - now).total_seconds() for pause in in_force if pause.until is not None]
        agenda.look_at_pauses = monotonic + min(LOOK_EVERY_S, *ends_in_s, LOOK_EVERY_S)
