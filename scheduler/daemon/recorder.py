"""Recorder: when the daemon writes results into the store, and calls the listener with them."""

from __future__ import annotations

from datetime import datetime
from math import inf

from ..claims.claims import Claims
from .agenda import Agenda
from .dispatch import Dispatch
from .events import Listener
from .result_buffer import ResultBuffer
from .run_pings import RunPings
from .store_calls import StoreCalls


class Recorder:
    """Records the results of one daemon; `agenda` and `dispatch` show whether it has time to."""

    def __init__(
        self,
        claims: Claims,
        results: ResultBuffer,
        agenda: Agenda,
        dispatch: Dispatch,
        calls: StoreCalls,
        listener: Listener | None,
        run_pings: RunPings,
    ) -> None:
        self._claims = claims
        self._results = results
        self._agenda = agenda
        self._dispatch = dispatch
        self._calls = calls
        self._listener = listener
        self._run_pings = run_pings

    def is_due(self, now: datetime, monotonic: float) -> bool:
        """Whether to record in this turn, if there is anything to record."""
        # A due timer that was not claimed may wait only for a run of its own that has ended and is not recorded.
        is_held_up = self._agenda.upcoming.is_due(now) and not self._dispatch.is_full()
        # While tasks wait for a worker, do not compete with workers for CPU.
        has_time = not self._dispatch.waiting and self._results.is_ripe(monotonic, running=self._dispatch.running)
        return is_held_up or has_time or self._results.is_overdue(monotonic)

    def record(self) -> bool:
        """Write endings and lines, and call the listener; returns whether there were any."""
        if not self._results:
            return False
        if self._results.has_ended or self._results.printed:
            self._claims.record(self._results.ended, self._results.printed)
        ended, printed = self._results.take_all()
        self._agenda.read_upcoming_at = 0.0
        if self._agenda.look_at_finished < inf:
            self._agenda.look_at_finished = 0.0
        self._run_pings.ended(ended)
        if self._listener is not None:
            # The listener may take long, and read from the store.
            with self._calls.of("a listener"):
                self._listener(ended, printed)
        return True
