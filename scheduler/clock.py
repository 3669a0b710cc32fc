"""Where the time comes from: the system's clocks, or a clock that a test moves by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall-clock instants for fire times, monotonic seconds for limits."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The clocks of the machine."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to go on; for tests, yours too.

    >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(1.5)
    >>> clock.now().isoformat()
    '2026-01-01T00:00:01.500000+00:00'
    >>> clock.jump(-3600)       # what NTP or an operator does: only the wall clock moves
    >>> clock.now().hour, clock.monotonic()
    (23, 1.5)
    """

    __slots__ = ("_monotonic", "_now")

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both readings."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards ({seconds} s); jump() moves the wall clock alone")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock reads `instant`."""
        self.advance((instant - self._now).total_seconds())

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back by `seconds`, as NTP does; the monotonic reading stays."""
        self._now += timedelta(seconds=seconds)
