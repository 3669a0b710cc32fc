"""Backfilling: runs for fire times of a past span that have none, entered to be run one after the other.

A fire time has run if a run of it succeeded, failed, was cut, or is going on or waiting; what was misfired, skipped or
short-circuited has not. Fire times that a daemon has yet to account for are left to it. A backfilled run waits for the
scheduled ones, asks no misfire policy and no breaker, and its outcome tells the breaker nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, or_, select

from ..core.admission import NewRun
from ..core.run import Kind, Outcome
from ..core.timer import Environment
from ..core.timestamps import stamp
from ..core.triggers import FireTimes
from ..errors import TimerError
from ..store.database import Store
from ..store.rows import NEW_RUN, new_run
from ..store.schema import runs
from ..store.timers import StoredTimer, TimerTable

#: How many runs one backfill enters at most unless more are asked for, and how many fire times it looks at.
DEFAULT_CAP, MAX_CAP, MOST_LOOKED_AT = 1_000, 10_000, 100_000

_RAN = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED)
_WAITING = (runs.c.kind == Kind.BACKFILL) & runs.c.outcome.is_(None) & runs.c.owner.is_(None)


@dataclass(frozen=True, slots=True)
class Backfill:
    """The fire times that are run, how many of the span have run already, and how many are left to the daemon."""

    fire_times: tuple[datetime, ...]
    have_run: int
    still_due: int


#: From an instant on, and before another.
Span = tuple[datetime, datetime]


def backfill(
    store: Store, name: str, environment: Environment, span: Span, *, now: datetime, cap: int = DEFAULT_CAP
) -> Backfill:
    """Enter a run for each fire time of a timer in a span that has none; a daemon begins them.

    Raises TimerError for a span that is not past, or that would take more than `cap` runs; nothing is entered then.
    """
    kept = TimerTable(store).get(name, environment)
    with store.writing_and_notifying() as connection:
        # Who else backfills the same span must find these.
        store.acquire_mutex(connection)
        found = _planned(connection, kept, span, now, cap)
        names = (kept.id, name, kept.timer.function, environment.value)
        run_ids = store.new_run_ids(connection, len(found.fire_times))
        rows = [
            dict(zip(NEW_RUN, new_run(names, NewRun(fire_time, fire_time, waits=True), stamp(now)), strict=True))
            | {"id": run_id, "kind": Kind.BACKFILL}
            for run_id, fire_time in zip(run_ids, found.fire_times, strict=True)
        ]
        if rows:
            connection.execute(insert(runs), rows)
    return found


def plan_backfill(
    store: Store, name: str, environment: Environment, span: Span, *, now: datetime, cap: int = DEFAULT_CAP
) -> Backfill:
    """What `backfill` would enter."""
    kept = TimerTable(store).get(name, environment)
    with store.reading() as connection:
        return _planned(connection, kept, span, now, cap)


def cancel_backfill(store: Store, name: str, environment: Environment) -> int:
    """Take back the backfilled runs of a timer that have not begun; returns how many."""
    TimerTable(store).get(name, environment)
    theirs = _WAITING & (runs.c.timer == name) & (runs.c.environment == environment)
    with store.writing_and_notifying() as connection:
        return connection.execute(delete(runs).where(theirs)).rowcount


def _planned(connection: Connection, kept: StoredTimer, span: Span, now: datetime, cap: int) -> Backfill:
    start, end = span
    if start.tzinfo is None or end.tzinfo is None:
        raise TimerError("the instants of a span need a time zone")
    if end > now:
        raise TimerError(f"a backfill is of the past, and {end.isoformat(timespec='seconds')} is yet to come")
    # From its next fire time on, a daemon accounts for a timer's fire times.
    until = end if kept.next_fire is None else min(end, kept.next_fire)
    schedule = kept.timer.schedule
    count = schedule.count(start, until) if start < until else 0
    if count > MOST_LOOKED_AT:
        raise TimerError(f"the span holds {count:,} fire times, and {MOST_LOOKED_AT:,} are looked at; narrow it")
    ran = _ran(connection, kept, start, until)
    missing = [fire_time for fire_time in _fires(schedule, start, until) if stamp(fire_time) not in ran]
    if len(missing) > cap:
        raise TimerError(
            f"{len(missing):,} fire times of the span have no run, and {cap:,} are entered at once; narrow it to end "
            f"by {missing[cap].isoformat(timespec='seconds')}, or raise the limit (at most {MAX_CAP:,})"
        )
    still_due = schedule.count(max(start, until), end) if until < end else 0
    return Backfill(tuple(missing), count - len(missing), still_due)


def _ran(connection: Connection, kept: StoredTimer, start: datetime, end: datetime) -> set[int]:
    """The fire times of a span, as stamps, that have a run in the history."""
    theirs = (runs.c.timer == kept.timer.name) & (runs.c.environment == kept.timer.environment)
    in_span = runs.c.fire_at.between(stamp(start), stamp(end))
    query = select(runs.c.fire_at).where(theirs, in_span, or_(runs.c.outcome.is_(None), runs.c.outcome.in_(_RAN)))
    return set(connection.execute(query).scalars())


def _fires(schedule: FireTimes, start: datetime, end: datetime) -> Iterator[datetime]:
    fire_time = schedule.next_fire(start - timedelta(microseconds=1))
    while fire_time is not None and fire_time < end:
        yield fire_time
        fire_time = schedule.next_fire(fire_time)


def request_run(store: Store, name: str, environment: Environment, *, now: datetime) -> int:
    """Enter a run of a timer at once, off schedule; a daemon begins it. Returns the id of the run."""
    kept = TimerTable(store).get(name, environment)
    with store.writing_and_notifying() as connection:
        names = (kept.id, name, kept.timer.function, environment.value)
        row = new_run(names, NewRun(now, now, waits=True), stamp(now))
        columns = dict(zip(NEW_RUN, row, strict=True)) | {"kind": Kind.MANUAL}
        (run_id,) = store.new_run_ids(connection, 1)
        connection.execute(insert(runs).values(columns | {"id": run_id}))
    return run_id
