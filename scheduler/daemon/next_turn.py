"""When the next turn of a daemon begins: at the earliest instant at which there may be something to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..claims.leases import CHECK_SUSPECTS_S, Lease
from ..clock import Clock
from .agenda import Agenda
from .claim_ahead import ClaimAhead
from .dispatch import MAX_WAITING, Dispatch
from .result_buffer import ResultBuffer

#: The longest sleep, and how often the upcoming timers are read even if no change was notified.
MAX_SLEEP_S = 30.0
#: How long to wait where the executors are full.
FULL_S = 0.01
#: How long to leave due timers to another daemon that is about to claim them.
LEAVE_TO_OTHERS_S = 0.02


class NextTurn:
    """Computes from the parts of a daemon how long it may sleep; changes none of them."""

    def __init__(
        self,
        agenda: Agenda,
        claim_ahead: ClaimAhead,
        dispatch: Dispatch,
        lease: Lease,
        results: ResultBuffer,
        clock: Clock,
    ) -> None:
        self._agenda = agenda
        self._claim_ahead = claim_ahead
        self._dispatch = dispatch
        self._lease = lease
        self._results = results
        self._clock = clock

    def wait_s(self, *, claims: bool) -> float:
        """How long the daemon may sleep; `claims` is False if it begins no more runs."""
        agenda, monotonic = self._agenda, self._clock.monotonic()
        waits = [MAX_SLEEP_S, agenda.renew_lease_at - monotonic, agenda.check_others_at - monotonic]
        waits += [agenda.look_for_cancellations - monotonic, agenda.look_at_pauses - monotonic]
        waits.append(agenda.look_at_finished - monotonic)
        if claims:
            waits += self._until_claims_s(self._clock.now())
        if self._lease.has_suspects:
            waits.append(CHECK_SUSPECTS_S)
        waits += self._dispatch.next_checks_s()
        if (overdue_in_s := self._results.overdue_in_s(monotonic)) is not None:
            waits.append(overdue_in_s)
        return max(0.0, min(waits))

    def wait_without_store_s(self) -> float:
        """The same while the store does not answer: tasks that were claimed ahead are handed out at their time.

        A due task that could not be handed out is tried again with the next attempt at the store, not at once.
        """
        waits = [self.until_hand_out_s(self._clock.now()), *self._dispatch.next_checks_s()]
        return min(filter(None, waits), default=MAX_SLEEP_S)

    def claims_ahead_at(self, now: datetime) -> datetime | None:
        """When the next claim ahead begins; None if there is none."""
        due = self._agenda.upcoming.next_due
        if due is None or due <= now or self._dispatch.waiting + len(self._claim_ahead) >= MAX_WAITING:
            return None
        daemons, is_busy = 1 + self._lease.other_daemons, self._dispatch.running > 0
        return self._claim_ahead.begins_at(self._agenda.upcoming, now, daemons=daemons, is_busy=is_busy)

    def _until_claims_s(self, now: datetime) -> Iterator[float]:
        """In how many seconds tasks are to be handed out, and timers to be claimed."""
        yield self.until_hand_out_s(now)
        due = self._agenda.upcoming.next_due
        if due is None:
            return
        due_in_s = (due - now).total_seconds()
        if self._dispatch.is_full():
            yield max(due_in_s, FULL_S)
        elif due_in_s <= 0 and self._agenda.is_left_to_others:
            yield LEAVE_TO_OTHERS_S
        else:
            begins_at = self.claims_ahead_at(now)
            yield due_in_s if begins_at is None else (begins_at - now).total_seconds()

    def until_hand_out_s(self, now: datetime) -> float:
        """In how many seconds tasks that were claimed ahead are due; MAX_SLEEP_S if there are none."""
        due = self._claim_ahead.next_due
        return MAX_SLEEP_S if due is None else max(0.0, (due - now).total_seconds())
