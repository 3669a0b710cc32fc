"""Claimer: claims the timers that are due, and hands out their tasks; or claims those that are due next, ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from ..claims.claims import Claims
from ..clock import Clock
from ..core.run import Task
from ..core.timer import Environment
from .agenda import Agenda
from .claim_ahead import ClaimAhead, is_ahead
from .dispatch import Dispatch
from .next_turn import MAX_SLEEP_S
from .result_buffer import ResultBuffer


class Claimer:
    """Claims for one daemon; `hand_out` gives the tasks to the executors."""

    def __init__(
        self,
        claims: Claims,
        claim_ahead: ClaimAhead,
        dispatch: Dispatch,
        agenda: Agenda,
        results: ResultBuffer,
        clock: Clock,
        hand_out: Callable[[Sequence[Task], datetime], None],
    ) -> None:
        self._claims = claims
        self._claim_ahead = claim_ahead
        self._dispatch = dispatch
        self._agenda = agenda
        self._results = results
        self._clock = clock
        self._hand_out = hand_out

    def claim(self, now: datetime) -> bool:
        """Claim due timers and hand out their tasks; returns whether there were any."""
        agenda, monotonic = self._agenda, self._clock.monotonic()
        if monotonic >= agenda.read_upcoming_at or self._claims.has_unknown_claims:
            agenda.upcoming = self._claims.upcoming()
            agenda.read_upcoming_at = monotonic + MAX_SLEEP_S
        if self._dispatch.is_full() or not agenda.upcoming.is_due(now):
            return False
        # A run that has ended looks open until it is recorded, so skip timers with an open run until then.
        skip_open = self._results.has_ended
        waiting = agenda.upcoming.has_waiting_at(now) and not skip_open
        tasks, agenda.upcoming = self._claims.claim(
            now, waiting=waiting, skip_open=skip_open, without=self._full_environment()
        )
        if self._claims.is_cancelling:
            agenda.look_for_cancellations = 0.0
            self._claims.notify_others()
        self._look_at_finished()
        agenda.is_left_to_others = not tasks and not skip_open
        ahead = [task for task in tasks if is_ahead(task, now)]
        self._claim_ahead.add(ahead)
        self._hand_out([task for task in tasks if not is_ahead(task, now)] if ahead else tasks, now)
        return bool(tasks)

    def claim_ahead(self, now: datetime) -> None:
        """Claim the timers that are due next."""
        without = self._full_environment()
        self._agenda.upcoming = self._claim_ahead.claim(self._agenda.upcoming, now, without=without)
        self._look_at_finished()

    def _look_at_finished(self) -> None:
        if self._claims.has_finished:
            self._claims.has_finished = False
            self._agenda.look_at_finished = 0.0

    def _full_environment(self) -> Environment | None:
        """An environment whose timers are not claimed now, because its executor is full."""
        return next(iter(self._dispatch.full()), None)
