"""Releases: undoes claims of runs that have not begun, so that their timers fire at those times after all.

Setting `next_fire_at` back would fire later fire times twice if they have been claimed or counted meanwhile. Then a
daemon that keeps running keeps the claim, and a run of one that stops waits for the next daemon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, literal_column, null, or_, select, update

from ..core.fire_times import FireTimes
from ..core.run import Kind, Task
from ..core.timestamps import instant, stamp, stamp_or_none
from ..store.database import store_of
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk
from .abandoned_runs import lose_probes
from .cancellations import end_cancelled
from .timer_cache import TimerCache

# Lock timers by id, before their runs (leases.py).
_LOCKED_TIMERS = Among(select(timers).order_by(timers.c.id).with_for_update(key_share=True), timers.c.id)
_NEEDED = ("id", "timer_id", "kind", "attempt", "fire_at", "last_fire_at", "cancel_requested_at")
#: With the current id of the timer: null for a removed one, because another timer may have its former id.
_OURS = Among(
    select(*(runs.c[name] for name in _NEEDED)).where(runs.c.owner == bindparam("daemon"), runs.c.outcome.is_(None)),
    runs.c.id,
)
_LATEST_FIRES = (
    select(runs.c.timer_id, func.max(runs.c.last_fire_at).label("fire_at"))
    .where(runs.c.id > bindparam("first"), runs.c.kind == Kind.SCHEDULED)
    .group_by(runs.c.timer_id)
)
_DELETE = Bulk(delete(runs).where(runs.c.id == bindparam("run")), ("run",))
_UNCOUNT = Bulk(
    update(timers)
    .where(timers.c.id == bindparam("timer"), timers.c.begun_runs > literal_column("0"))
    .values(begun_runs=timers.c.begun_runs - bindparam("count")),
    ("count", "timer"),
)
_SET_BACK = Bulk(
    update(timers)
    .where(timers.c.id == bindparam("timer"), timers.c.enabled)
    .where(or_(timers.c.next_fire_at.is_(None), timers.c.next_fire_at > bindparam("fire_at")))
    .values(next_fire_at=bindparam("fire_at")),
    ("fire_at", "timer"),
)


_LET_WAIT = Bulk(update(runs).where(runs.c.id == bindparam("run")).values(owner=null()), ("run",))


def undo_claims(
    connection: Connection, owner: int, tasks: Sequence[Task], now: datetime, cache: TimerCache
) -> list[Task]:
    """Delete the runs of tasks that were claimed but not handed out, and set their timers back to those fire times.

    Returns the tasks whose claim stays, because later fire times of their timers have been claimed or counted. A timer
    that was changed since, or disabled for a while, keeps the plan that it has from then on; a run whose fire time that
    plan has passed waits. Runs to cancel end.
    """
    timer_rows = _lock_timers(connection, tasks)
    ours = _without_cancelled(connection, _ours(connection, owner, tasks), now)
    latest = _latest_other_fires(connection, list(ours))
    staying = {
        row.id for row in ours.values() if row.timer_id is not None and latest.get(row.timer_id, 0) > row.fire_at
    }
    others = [row for row in ours.values() if row.id not in staying]
    planned, passed = _planned_and_passed(connection, others, timer_rows, cache)
    _delete(connection, [row for row in others if row not in passed])
    _set_back(connection, planned)
    _LET_WAIT.execute(connection, [(row.id,) for row in passed])
    return [task for task in tasks if task.run_id in staying]


def give_back(connection: Connection, owner: int, tasks: Sequence[Task], now: datetime, cache: TimerCache) -> None:
    """Give back tasks that have not begun, handed out or not, because their daemon stops.

    The fire times of enabled timers are due again. Three kinds of runs wait for the next daemon: those whose claim
    cannot be undone (see above), those of timers that were changed since, and requested ones. Those to cancel end.
    """
    timer_rows = _lock_timers(connection, tasks)
    ours = _without_cancelled(connection, _ours(connection, owner, tasks), now)
    latest = _latest_other_fires(connection, list(ours))
    scheduled = [
        row
        for row in ours.values()
        if row.kind == Kind.SCHEDULED
        and row.attempt == 1
        and latest.get(row.timer_id, 0) <= row.fire_at == row.last_fire_at
    ]
    planned, _ = _planned_and_passed(connection, scheduled, timer_rows, cache)
    # A timer that was disabled or removed since keeps its run.
    of_no_timer = [row for row in scheduled if not _is_enabled(timer_rows, row) and row.fire_at > stamp(now)]
    undone = [*planned, *of_no_timer]
    _delete(connection, undone)
    _set_back(connection, planned)
    _LET_WAIT.execute(connection, [(run_id,) for run_id in ours.keys() - {row.id for row in undone}])
    lose_probes(connection, timer_rows.values(), now)


def give_back_paused(
    connection: Connection, owner: int, tasks: Sequence[Task], now: datetime, cache: TimerCache
) -> tuple[list[Task], list[Task]]:
    """Give back tasks, none of which was handed out, whose timers have been paused or disabled since their claim.

    Returns the others, and those whose fire times have passed and whose timers are disabled: nobody will claim these
    fire times again. Requested runs begin in spite of a pause.
    """
    timer_rows = _lock_timers(connection, tasks)
    paused: list[Task] = []
    others: list[Task] = []
    missed: list[Task] = []
    for task in tasks:
        timer = None if task.timer_id is None else timer_rows.get(task.timer_id)
        if timer is None or task.kind is Kind.MANUAL:
            others.append(task)
        elif task.kind is Kind.SCHEDULED and task.attempt == 1 and not timer.enabled and task.fire_time <= now:
            missed.append(task)
        elif timer.held or (task.kind is Kind.SCHEDULED and not timer.enabled):
            paused.append(task)
        else:
            others.append(task)
    if paused:
        give_back(connection, owner, paused, now, cache)
    return others, missed


def uncount(connection: Connection, row: Row[Any], task: Task, schedule: FireTimes) -> None:
    """Take a run that never begins out of the count of its timer's max_runs; `row` is the timer's, which is locked.

    A timer that is finished with this run goes on after the last fire time that was claimed.
    """
    if not row.max_runs or task.kind is not Kind.SCHEDULED or task.attempt > 1:
        return
    _UNCOUNT.execute(connection, [(1, row.id)])
    if row.enabled and row.next_fire_at is None:
        claimed = select(func.max(runs.c.last_fire_at)).where(runs.c.timer_id == row.id, runs.c.kind == Kind.SCHEDULED)
        next_fire = schedule.next_fire(instant(connection.execute(claimed).scalar_one()))
        connection.execute(update(timers).where(timers.c.id == row.id).values(next_fire_at=stamp_or_none(next_fire)))


def _planned_and_passed(
    connection: Connection, rows: Sequence[Row[Any]], timer_rows: Mapping[int, Row[Any]], cache: TimerCache
) -> tuple[list[Row[Any]], list[Row[Any]]]:
    """Two parts of the runs whose timers are enabled: those that may be set back to their fire times, and some others.

    Without these others, no run of theirs would account for a fire time that the schedule has, since the plan of the
    timer has passed it: it is finished by its number of runs, or was disabled for a while.
    """
    by_timer: dict[int, list[Row[Any]]] = {}
    for row in rows:
        if _is_enabled(timer_rows, row):
            by_timer.setdefault(row.timer_id, []).append(row)
    known = cache.read(connection, [(timer_id, timer_rows[timer_id].revision) for timer_id in by_timer])
    planned: list[Row[Any]] = []
    passed: list[Row[Any]] = []
    for timer_id, theirs in by_timer.items():
        schedule, next_fire_at = known[timer_id].rule.schedule, timer_rows[timer_id].next_fire_at
        still = _still_planned(theirs, schedule, next_fire_at)
        planned += still
        passed += [
            row
            for row in theirs
            if row not in still and _has(schedule, row) and (next_fire_at is None or next_fire_at > row.fire_at)
        ]
    return planned, passed


def _has(schedule: FireTimes, row: Row[Any]) -> bool:
    """Whether a schedule has the fire time of a run."""
    fire_time = instant(row.fire_at)
    return schedule.next_fire(fire_time - timedelta(microseconds=1)) == fire_time


def _is_enabled(timer_rows: Mapping[int, Row[Any]], row: Row[Any]) -> bool:
    """Whether the timer of a run is there, and enabled."""
    return row.timer_id in timer_rows and bool(timer_rows[row.timer_id].enabled)


def _still_planned(rows: Sequence[Row[Any]], schedule: FireTimes, next_fire_at: int | None) -> list[Row[Any]]:
    """The runs of a timer whose fire times its schedule still has, without a gap up to its next fire time.

    If the timer was changed since the claim, or was disabled for a while, the others would be counted wrongly.
    """
    planned: list[Row[Any]] = []
    for row in sorted(rows, key=lambda row: row.fire_at, reverse=True):
        following = schedule.next_fire(instant(row.fire_at))
        if not _has(schedule, row) or (None if following is None else stamp(following)) != next_fire_at:
            break
        planned.append(row)
        next_fire_at = row.fire_at
    return planned


def _lock_timers(connection: Connection, tasks: Sequence[Task]) -> dict[int, Row[Any]]:
    timer_ids = {task.timer_id for task in tasks if task.timer_id is not None}
    return {row.id: row for row in _LOCKED_TIMERS.rows(connection, sorted(timer_ids))}


def _ours(connection: Connection, owner: int, tasks: Sequence[Task]) -> dict[int, Row[Any]]:
    """The open runs of these tasks that this daemon owns, by id."""
    return {row.id: row for row in _OURS.rows(connection, [task.run_id for task in tasks], daemon=owner)}


def _without_cancelled(connection: Connection, rows: dict[int, Row[Any]], now: datetime) -> dict[int, Row[Any]]:
    """The rows, less those of runs to cancel, which end here."""
    for run_id in [row.id for row in rows.values() if row.cancel_requested_at is not None]:
        end_cancelled(connection, run_id, now)
        del rows[run_id]
    return rows


def _latest_other_fires(connection: Connection, run_ids: Sequence[int]) -> dict[int, int]:
    """By timer, the latest other fire time that was claimed or counted since the first of these runs."""
    if not run_ids:
        return {}
    store = store_of(connection)
    others = _LATEST_FIRES.where(~store.is_among(runs.c.id, "these"))
    values = {"first": min(run_ids), "these": store.list_parameter(run_ids)}
    return {row.timer_id: row.fire_at for row in connection.execute(others, values) if row.timer_id is not None}


def _delete(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Delete runs; those of a timer with max_runs have not begun after all."""
    counts = Counter(row.timer_id for row in rows if row.timer_id is not None)
    _UNCOUNT.execute(connection, [(count, timer_id) for timer_id, count in counts.items()])
    _DELETE.execute(connection, [(row.id,) for row in rows])


def _set_back(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Set timers back, so that they fire next at the first of the fire times of these runs."""
    earliest: dict[int, int] = {}
    for row in rows:
        earliest[row.timer_id] = min(row.fire_at, earliest.get(row.timer_id, row.fire_at))
    _SET_BACK.execute(connection, [(fire_at, timer_id) for timer_id, fire_at in earliest.items()])
