"""Requested runs: one manual run of a timer, and backfills, which run the fire times of a past span that have no run.

Both enter rows that wait; a daemon begins them (waiting_runs.py). For a backfill, a fire time counts as run if a run
of it succeeded, failed, timed out, was cancelled or abandoned, is in progress or waits; it does not if it was misfired,
skipped or short-circuited. Fire times that a daemon has yet to claim are left to it. Backfilled runs wait for scheduled
ones, ignore misfire policy and breaker, and do not move the breaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from ..core.fire_times import FireTimes
from ..core.overlap import NewRun
from ..core.run import Kind, Outcome
from ..core.timer import Environment
from ..core.timer_checks import params_text
from ..core.timestamps import require_instant, stamp
from ..errors import RunError, TimerError
from ..store.change_recording import Action, Author, NewChange, record_changes
from ..store.database import Store
from ..store.request_keys import RequestKey, keep_key, run_of_key
from ..store.rows import NEW_RUN, RunColumns, new_run
from ..store.runs import of_timer
from ..store.schema import runs, timers
from ..store.statements import Bulk
from ..store.stored_timer import StoredTimer, stored_timer_of
from ..store.timers import TimerTable
from ..store.timers_at_once import enter_runs
from .open_runs import IS_BACKFILLED, WAITS

#: The most runs that one backfill enters by default and at all, and the most fire times in its span.
DEFAULT_CAP, MAX_CAP, MAX_FIRE_TIMES = 1_000, 10_000, 100_000

_RAN = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.ABANDONED, Outcome.CANCELLED)

#: The first instant of a span, and the first one after it.
TimeRange = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Backfill:
    """The fire times to enter, how many have a run already, and how many are left to the daemon."""

    fire_times: tuple[datetime, ...]
    have_run: int
    still_due: int


def request_run(
    store: Store,
    name: str,
    environment: Environment,
    *,
    now: datetime,
    params: Mapping[str, Any] | None = None,
    by: Author | None = None,
    key: RequestKey | None = None,
) -> int:
    """Enter a run of a timer at once, off schedule; a daemon begins it. Returns the id of the run.

    `params` replace the parameters of the timer, for this run only. TimerError unless they are a JSON object. With
    `by`, the request is recorded with the changes of the timer. A request with the `key` of an earlier one enters
    nothing, and returns the run of that one.
    """
    own_params = None if params is None else params_text(params)
    return _enter(store, TimerTable(store).get(name, environment), own_params, now, by=by, key=key)


def request_again(
    store: Store, run_id: int, *, now: datetime, by: Author | None = None, key: RequestKey | None = None
) -> int:
    """Enter a run of the timer of another run, with that one's own parameters if it had any; returns its id.

    RunError if there is no such run, or its timer was removed. `by` and `key` are as for `request_run`.
    """
    with store.reading() as connection:
        run = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
        if run is None:
            raise RunError(f"no run {run_id} in the store; scheduler runs lists them", run_id=run_id)
        by_name = (timers.c.name == run.timer) & (timers.c.environment == run.environment)
        # Its name may have changed since; a later timer may have the id of a removed one.
        by_id = (timers.c.id == run.timer_id) & (timers.c.created_at <= run.claimed_at)
        row = connection.execute(select(timers).where(by_name | by_id).order_by(~by_name).limit(1)).one_or_none()
        stored = None if row is None else stored_timer_of(row, connection)
    if stored is None:
        raise RunError(f"run {run_id} cannot be run again: its timer {run.timer!r} was removed", run_id=run_id)
    return _enter(store, stored, run.own_params, now, by=by, key=key)


def _enter(
    store: Store,
    stored: StoredTimer,
    own_params: str | None,
    now: datetime,
    *,
    by: Author | None = None,
    key: RequestKey | None = None,
) -> int:
    with store.writing_and_notifying() as connection:
        if key is not None:
            store.acquire_mutex(connection)
            if (known := run_of_key(connection, key, now=now)) is not None:
                return known
        (requested,) = enter_runs(connection, [stored], now=now, own_params=own_params)
        assert requested.after is not None
        run_id = int(requested.after["run"])
        if key is not None:
            keep_key(connection, key, run_id, now=now)
        if by is not None:
            record_changes(connection, [requested], by, now=now)
    return run_id


def backfill(
    store: Store,
    name: str,
    environment: Environment,
    span: TimeRange,
    *,
    now: datetime,
    cap: int = DEFAULT_CAP,
    by: Author | None = None,
) -> Backfill:
    """Enter a run for each fire time of a past span that has none; a daemon begins them.

    Raises TimerError for a span that ends before it begins, or in the future, or that would take more than `cap` runs;
    nothing is entered then. With `by`, the request is recorded with the changes of the timer.
    """
    stored = TimerTable(store).get(name, environment)
    # Computed and searched for in the whole history before the store is locked.
    with store.reading() as connection:
        planned = _planned(connection, stored, span, now, cap)
        seen = connection.execute(select(func.max(runs.c.id))).scalar() or 0
    names = (stored.id, name, stored.timer.function, environment.value)
    new = {fire_time: _backfilled(names, fire_time, now) for fire_time in planned.fire_times}
    with store.writing_and_notifying() as connection:
        # A concurrent backfill of the same span must see these rows. Ids are in the order of commits where one program
        # writes at a time.
        store.acquire_mutex(connection)
        entered = _fire_times_with_run(connection, stored, *span, after=seen if store.has_single_writer else 0)
        missing = [fire_time for fire_time in planned.fire_times if stamp(fire_time) not in entered]
        run_ids = store.new_run_ids(connection, len(missing))
        _ENTER.execute(connection, [(run_id, *new[at][1:]) for run_id, at in zip(run_ids, missing, strict=True)])
        if missing and by is not None:
            after = {"runs": len(missing), "first": missing[0].isoformat(), "last": missing[-1].isoformat()}
            record_changes(connection, [NewChange(Action.BACKFILLED, name, environment, after=after)], by, now=now)
    have_run = planned.have_run + len(planned.fire_times) - len(missing)
    return replace(planned, fire_times=tuple(missing), have_run=have_run)


def _backfilled(names: RunColumns, fire_time: datetime, now: datetime) -> list[Any]:
    row = new_run(names, NewRun(fire_time, fire_time, waits=True), stamp(now))
    row[_KIND] = Kind.BACKFILL.value
    return row


_KIND = NEW_RUN.index("kind")
_ENTER = Bulk(insert(runs), NEW_RUN)


def plan_backfill(
    store: Store, name: str, environment: Environment, span: TimeRange, *, now: datetime, cap: int = DEFAULT_CAP
) -> Backfill:
    """Compute what `backfill` would enter."""
    stored = TimerTable(store).get(name, environment)
    with store.reading() as connection:
        return _planned(connection, stored, span, now, cap)


def cancel_backfill(
    store: Store, name: str, environment: Environment, *, now: datetime | None = None, by: Author | None = None
) -> int:
    """Delete the backfilled runs of a timer that have not begun; returns how many. With `by`, that is recorded."""
    TimerTable(store).get(name, environment)
    theirs = IS_BACKFILLED & WAITS & (runs.c.timer == name) & (runs.c.environment == environment)
    with store.writing_and_notifying() as connection:
        count = connection.execute(delete(runs).where(theirs)).rowcount
        if count and by is not None:
            made = NewChange(Action.CANCELLED, name, environment, after={"backfilled": count})
            record_changes(connection, [made], by, now=now or datetime.now(UTC))
        return count


def _planned(connection: Connection, stored: StoredTimer, span: TimeRange, now: datetime, cap: int) -> Backfill:
    start, end = span
    require_instant("the start of a span", start)
    require_instant("the end of a span", end)
    if start > end:
        first, last = start.isoformat(timespec="seconds"), end.isoformat(timespec="seconds")
        raise TimerError(f"the span from {first} to {last} ends before it begins")
    if end > now:
        raise TimerError(f"a backfill must end in the past; {end.isoformat(timespec='seconds')} is in the future")
    # From its next fire time on, a daemon accounts for a timer's fire times.
    until = end if stored.next_fire is None else min(end, stored.next_fire)
    schedule = stored.timer.schedule
    count = schedule.count(start, until) if start < until else 0
    if count > MAX_FIRE_TIMES:
        raise TimerError(f"the span holds {count:,} fire times, and at most {MAX_FIRE_TIMES:,} are checked; narrow it")
    ran = _fire_times_with_run(connection, stored, start, until)
    missing = [fire_time for fire_time in _fire_times(schedule, start, until) if stamp(fire_time) not in ran]
    if len(missing) > cap:
        raise TimerError(
            f"{len(missing):,} fire times of the span have no run, and {cap:,} are entered at once; narrow it to end "
            f"by {missing[cap].isoformat(timespec='seconds')}, or raise the limit (at most {MAX_CAP:,})"
        )
    still_due = schedule.count(max(start, until), end) if until < end else 0
    return Backfill(tuple(missing), count - len(missing), still_due)


def _fire_times_with_run(
    connection: Connection, stored: StoredTimer, start: datetime, end: datetime, *, after: int = 0
) -> set[int]:
    """The fire times of a span, as stamps, that have a run in the history; one with an id `after` that."""
    theirs = of_timer(connection, stored.timer.name, stored.timer.environment)
    theirs &= runs.c.environment == stored.timer.environment
    in_span = runs.c.fire_at.between(stamp(start), stamp(end))
    theirs &= runs.c.id > after
    query = select(runs.c.fire_at).where(theirs, in_span, or_(runs.c.outcome.is_(None), runs.c.outcome.in_(_RAN)))
    return set(connection.execute(query).scalars())


def _fire_times(schedule: FireTimes, start: datetime, end: datetime) -> Iterator[datetime]:
    fire_time = schedule.next_fire(start - timedelta(microseconds=1))
    while fire_time is not None and fire_time < end:
        yield fire_time
        fire_time = schedule.next_fire(fire_time)
