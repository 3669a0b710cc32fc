"""Agenda: when the daemon next does the tasks that are not part of every turn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..claims.due_timers import Upcoming

_NOTHING = Upcoming(None, has_waiting=False)


@dataclass(slots=True)
class Agenda:
    """The next instants of tasks that are not part of every turn, in monotonic seconds; 0.0 means the next turn."""

    renew_lease_at: float = 0.0
    check_others_at: float = 0.0
    prune_at: float = 0.0
    check_zones_at: float = 0.0
    look_at_waiting: float = 0.0
    look_for_cancellations: float = 0.0
    look_at_pauses: float = 0.0
    #: inf if there are no finished timers to remove.
    look_at_finished: float = 0.0
    #: When to read the upcoming timers from the store again, and the result of the last read.
    read_upcoming_at: float = 0.0
    upcoming: Upcoming = _NOTHING
    #: The last claim found nothing although timers are due: another daemon is about to claim them.
    is_left_to_others: bool = False
    #: The fire time for which the executors have prepared.
    prepared_for: datetime | None = None

    def check_everything(self) -> None:
        """Read timers, runs and daemons in the next turn, because they may have changed."""
        self.read_upcoming_at = self.check_others_at = 0.0
        self.look_for_cancellations = self.look_at_pauses = self.look_at_finished = 0.0
