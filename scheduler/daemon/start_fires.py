"""StartFires: when the timers with fire_on_start fire: once, if no other daemon serves the store when this one starts.

A row of another daemon may be that of a dead one. So this waits until every daemon that was there at the start is
found dead; one whose process runs, that renews its lease, or that leaves by itself, was alive.
"""

from __future__ import annotations

from datetime import datetime

from ..claims.claims import Claims
from ..claims.leases import Lease


class StartFires:
    """The fires of one daemon's start."""

    def __init__(self, lease: Lease, claims: Claims) -> None:
        self._lease = lease
        self._claims = claims
        #: The other daemons at the start that may be alive, with the ends of their leases; None if it is decided.
        self._others: dict[int, int] | None = None
        self._has_started = False

    def registered(self, others: dict[int, int]) -> None:
        """Note the other daemons, and the ends of their leases, when this one registers for the first time."""
        if not self._has_started:
            self._has_started, self._others = True, others

    def look(self, now: datetime) -> bool:
        """Enter the runs, once it is known that no other daemon was alive; returns whether it has."""
        if self._others is None:
            return False
        dead, seen = self._lease.taken_over, self._lease.seen
        self._others = {other: until for other, until in self._others.items() if other not in dead}
        is_any_running = not self._lease.running.isdisjoint(self._others)
        if is_any_running or any(seen.get(other) != until for other, until in self._others.items()):
            self._others = None
        elif not self._others:
            self._claims.enter_start_runs(now)
            self._others = None
            return True
        return False
