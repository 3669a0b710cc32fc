"""StoredTimer: a timer with its id and its state in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row

from ..core.breaker import Breaker
from ..core.timer import Timer
from ..core.timestamps import instant, instant_or_none
from .rows import breaker_of, timer_of


@dataclass(frozen=True, slots=True)
class StoredTimer:
    """A timer with its id and its state in the store; `next_fire` is None while it is disabled."""

    id: int
    timer: Timer
    breaker: Breaker
    next_fire: datetime | None
    created_at: datetime
    #: The environment whose functions declare it, and whether they no longer do; see declaration_sync.py.
    declared_in: str | None = None
    has_vanished: bool = False
    #: Differs after each edit.
    revision: int = 0
    #: Whether a pause covers it, see pauses.py.
    is_held: bool = False

    @property
    def state(self) -> str:
        """Whether it fires: `enabled`, `paused`, `finished` if it will not fire again, or `disabled`, and why."""
        if self.timer.enabled:
            return "finished" if self.next_fire is None else "paused" if self.is_held else "enabled"
        return "disabled, no longer declared" if self.has_vanished else "disabled"

    def next_fires(self, now: datetime) -> Iterator[datetime]:
        """The fire time that the store has, which may be overdue, and those after `now`; empty if there is none."""
        fire = self.next_fire
        while fire is not None:
            yield fire
            fire = self.timer.schedule.next_fire(max(fire, now))


def stored_timer_of(row: Row[Any] | SimpleNamespace, connection: Connection) -> StoredTimer:
    """A row of the timers table as a value."""
    return StoredTimer(
        id=row.id,
        timer=timer_of(row, connection),
        breaker=breaker_of(row),
        next_fire=instant_or_none(row.next_fire_at),
        created_at=instant(row.created_at),
        declared_in=row.declared_in,
        has_vanished=row.suspended is not None,
        revision=row.revision,
        is_held=bool(row.held),
    )
