"""Cancellations: reads the requests to cancel runs, and passes them to the executors.

It reads them when the daemon is woken, which every request does, and otherwise twice a minute. Until a requested run
has ended, it passes the request to the executors repeatedly, because they may not have had the run yet.
"""

from __future__ import annotations

from datetime import datetime

from ..claims.claims import Claims
from ..clock import Clock
from ..executors import Report, outcome
from .agenda import Agenda
from .claim_ahead import ClaimAhead
from .dispatch import Dispatch

#: How soon to read again while there are requests, and otherwise.
LOOK_AGAIN_S, LOOK_EVERY_S = 0.2, 30.0


class Cancellations:
    """Cancels the runs of one daemon."""

    def __init__(self, claims: Claims, claim_ahead: ClaimAhead, dispatch: Dispatch, clock: Clock) -> None:
        self._claims = claims
        self._claim_ahead = claim_ahead
        self._dispatch = dispatch
        self._clock = clock

    def look(self, agenda: Agenda, now: datetime) -> Report:
        """Pass the requests to the executors, if it is time to; returns the runs that end without them."""
        report = Report()
        monotonic = self._clock.monotonic()
        if monotonic < agenda.look_for_cancellations:
            return report
        run_ids = self._claims.requested_cancellations()
        agenda.look_for_cancellations = monotonic + (LOOK_AGAIN_S if run_ids else LOOK_EVERY_S)
        if run_ids:
            ending = outcome.cancelled_unbegun(now)
            report.ended = [(task, ending) for task in self._claim_ahead.remove(run_ids)]
            self._dispatch.cancel(run_ids)
        return report
