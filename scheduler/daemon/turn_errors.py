"""TurnErrors: what a daemon does after a turn that ended with an error, so that the next turn can be taken."""

from __future__ import annotations

import logging

from ..claims.claims import Claims
from ..errors import LeaseLostError, StoreUnavailableError
from .agenda import Agenda
from .claim_ahead import ClaimAhead
from .collector import Collector
from .dispatch import Dispatch
from .health import Health
from .next_turn import NextTurn
from .result_buffer import ResultBuffer
from .upkeep import Upkeep

log = logging.getLogger("scheduler.daemon")

#: How long to wait before trying again when the store did not answer.
RETRY_S = 0.5


class TurnErrors:
    """Handles the errors of one daemon's turns; each counts as a fault in its health."""

    def __init__(
        self,
        agenda: Agenda,
        claims: Claims,
        claim_ahead: ClaimAhead,
        collector: Collector,
        dispatch: Dispatch,
        health: Health,
        next_turn: NextTurn,
        results: ResultBuffer,
        upkeep: Upkeep,
    ) -> None:
        self._agenda = agenda
        self._claims = claims
        self._claim_ahead = claim_ahead
        self._collector = collector
        self._dispatch = dispatch
        self._health = health
        self._next_turn = next_turn
        self._results = results
        self._upkeep = upkeep

    def handle(self, error: Exception) -> float:
        """Handle the error that ended a turn; returns the seconds that the loop may sleep."""
        if isinstance(error, LeaseLostError):
            return self._lease_lost(error)
        if isinstance(error, StoreUnavailableError):
            return self._store_unavailable(error)
        return self._unexpected(error)

    def _lease_lost(self, error: LeaseLostError) -> float:
        """Forget what was claimed under the lease: other daemons may have it."""
        log.warning("%s; registering again under a new id", error)
        self._health.faults["lease"] += 1
        self._claims.forget_unknown_commits()
        self._claim_ahead.forget()
        self._dispatch.unbegun.clear()
        self._results.forget()
        self._upkeep.is_registered = False
        return 0.0

    def _store_unavailable(self, error: StoreUnavailableError) -> float:
        self._health.store_failed(str(error))
        self._agenda.read_upcoming_at = 0.0
        # The error may have ended the turn before it collected, and limits hold even without the store.
        self._collector.collect_locally()
        return min(RETRY_S, self._next_turn.wait_without_store_s())

    def _unexpected(self, error: Exception) -> float:
        """Log a bug of this program, which must not stop other timers."""
        self._health.faults["unforeseen"] += 1
        log.error("unexpected error in the daemon; retrying in %g s", RETRY_S, exc_info=error)
        self._agenda.read_upcoming_at = 0.0
        return RETRY_S
