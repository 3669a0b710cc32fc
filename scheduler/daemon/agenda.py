"""Agenda: when a daemon does what it does not do in every turn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..claims.claims import Upcoming

_NOTHING = Upcoming(None, has_waiting=False)


@dataclass(slots=True)
class Agenda:
    """When the daemon does what it does not do in every turn, in monotonic seconds; 0.0 is in the next turn."""

    renew_lease_at: float = 0.0
    check_others_at: float = 0.0
    prune_at: float = 0.0
    check_zones_at: float = 0.0
    look_at_waiting: float = 0.0
    look_for_cancellations: float = 0.0
    #: When to read again from the store when timers are due next, and what was read the last time.
    read_upcoming_at: float = 0.0
    upcoming: Upcoming = _NOTHING
    #: The last claim found nothing although timers are due: another daemon is about to claim them.
    is_left_to_others: bool = False
    #: The fire time for which the executors have made ready.
    prepared_for: datetime | None = None

    def check_everything(self) -> None:
        """Timers, runs or daemons may have changed: read them in the next turn."""
        self.read_upcoming_at = self.check_others_at = self.look_for_cancellations = 0.0
