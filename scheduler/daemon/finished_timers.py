"""FinishedTimers: when the daemon looks for finished timers that are to be removed."""

from __future__ import annotations

from datetime import datetime
from math import inf

from ..clock import Clock
from ..store.database import Store
from ..store.finished_timers import remove_finished
from .agenda import Agenda

#: How often to look while a run of such a timer is in progress, besides after each record.
LOOK_EVERY_S = 1.0


class FinishedTimers:
    """The finished timers of one store that are to be removed; mostly there are none."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def look(self, agenda: Agenda, now: datetime) -> None:
        """Remove them, if it is time to look."""
        monotonic = self._clock.monotonic()
        if monotonic >= agenda.look_at_finished:
            waits = remove_finished(self._store, now)
            agenda.look_at_finished = monotonic + LOOK_EVERY_S if waits else inf
