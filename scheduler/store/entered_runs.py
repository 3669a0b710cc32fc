"""Enters runs that are not of a schedule: they wait in the store until a daemon begins them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from ..core.overlap import NewRun
from ..core.run import Kind
from ..core.timer import Timer
from ..core.timestamps import stamp
from .database import store_of
from .rows import NEW_RUN, new_run
from .schema import runs, timers
from .statements import Among

_NAMED = Among(timers.select(), timers.c.name)


def enter_run(connection: Connection, timer_id: int, timer: Timer, kind: Kind, at: datetime, **columns: Any) -> int:
    """Enter a run of a timer with the fire time `at`; returns its id."""
    names = (timer_id, timer.name, timer.function, timer.environment.value)
    row = dict(zip(NEW_RUN, new_run(names, NewRun(at, at, waits=True), stamp(at)), strict=True))
    (run_id,) = store_of(connection).new_run_ids(connection, 1)
    connection.execute(insert(runs).values(row | {"kind": kind} | columns | {"id": run_id}))
    return run_id


def enter_on_enable(connection: Connection, timer_id: int, timer: Timer, now: datetime) -> None:
    """Enter the run of a timer with fire_on_enable that is enabled now, if now is in its window."""
    if timer.fire_on_enable and timer.has_in_window(now):
        enter_run(connection, timer_id, timer, Kind.ON_ENABLE, now)


def enter_on_enable_of_new(connection: Connection, new: Iterable[Timer], now: datetime) -> None:
    """The same for timers that were just added; the disabled ones are left out."""
    firing = {(timer.environment.value, timer.name): timer for timer in new if timer.enabled and timer.fire_on_enable}
    for row in _NAMED.rows(connection, sorted({name for _, name in firing})):
        if (timer := firing.get((row.environment, row.name))) is not None:
            enter_on_enable(connection, row.id, timer, now)
