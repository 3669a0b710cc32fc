"""Enters runs that are not of a schedule: they wait in the store until a daemon begins them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from ..core.overlap import NewRun
from ..core.run import Kind
from ..core.timer import Timer
from ..core.timestamps import stamp
from .database import store_of
from .rows import NEW_RUN, new_request_ids, new_run
from .schema import runs, timers
from .statements import Among, Bulk

_NAMED = Among(select(timers.c.id, timers.c.environment, timers.c.name), timers.c.name)


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
    found = ((row.id, firing.get((row.environment, row.name))) for row in _named(connection, firing))
    enter_on_enable_of_many(connection, [(timer_id, timer) for timer_id, timer in found if timer is not None], now)


def enter_on_enable_of_many(connection: Connection, enabled: Iterable[tuple[int, Timer]], now: datetime) -> None:
    """The same for timers with their ids."""
    firing = [(timer_id, timer) for timer_id, timer in enabled if timer.fire_on_enable and timer.has_in_window(now)]
    enter_runs_of(connection, firing, Kind.ON_ENABLE, now)


def enter_runs_of(
    connection: Connection, of: Sequence[tuple[int, Timer]], kind: Kind, at: datetime, own_params: str | None = None
) -> Sequence[int]:
    """Enter a run of each timer, with its id, for the fire time `at`; returns the ids of the runs."""
    run_ids = store_of(connection).new_run_ids(connection, len(of))
    # All rows are equal but for the ids and the timer.
    row = [*new_run((0, "", "", ""), NewRun(at, at, waits=True), stamp(at)), own_params]
    row[_KIND] = kind.value
    rows = []
    for run_id, request_id, (timer_id, timer) in zip(run_ids, new_request_ids(len(of)), of, strict=True):
        row[:_KIND] = run_id, timer_id, timer.name, timer.function, timer.environment.value
        row[_REQUEST_ID] = request_id
        rows.append(tuple(row))
    _ENTER.execute(connection, rows)
    return run_ids


def _named(connection: Connection, keys: Iterable[tuple[str, str]]) -> Sequence[Row[Any]]:
    return _NAMED.rows(connection, sorted({name for _, name in keys}))


#: Before the kind are the id of the run, and the columns that describe its timer.
_KIND, _REQUEST_ID = NEW_RUN.index("kind"), NEW_RUN.index("request_id")
_ENTER = Bulk(insert(runs), (*NEW_RUN, "own_params"))
