"""Waiting runs: rows that wait to begin; selects those that begin now, in their order.

    manual            at once, even while its timer is paused
    further attempt   when it is due and its timer has room; a scheduled one never begins once the next fire
                      time has come
    queued, chained   when its timer has room; one for each timer, the oldest first
    backfilled        like a queued one, but only when no other run of its timer is open

A timer has room while no run of it is in progress; with overlap `allow`, fewer than `max_concurrent`, 0 = any number.
open_runs.py says which open runs block their timer meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select, update

from ..core import breaker
from ..core.alerts import AlertEvent
from ..core.breaker import Admission
from ..core.overlap import OverlapPolicy
from ..core.retry import is_past
from ..core.run import MESSAGES, Kind, Outcome, Task
from ..core.timestamps import instant, stamp
from ..store.database import store_of
from ..store.rows import BREAKER, breaker_columns, breaker_of, task_of, timer_of
from ..store.schema import runs, timers
from ..store.statements import Bulk
from .abandoned_runs import end_run, lose_probes
from .alert_causes import events_of_passed_over
from .cancellations import end_cancelled
from .chains import EndedRun, enter_followers
from .open_runs import IS_BACKFILLED, IS_HELD, WAITS, WAITS_FOR_RETRY, WAITS_FOR_TURN

_WAITING: Select[Any] = (
    select(
        runs,
        *(timers.c[name] for name in ("revision", "params", "limit_s", "ping_url", *BREAKER)),
        timers.c.function.label("timer_function"),
    )
    .outerjoin(timers, timers.c.id == runs.c.timer_id)
    .where(WAITS, or_(runs.c.kind == Kind.MANUAL, ~IS_HELD))
    .order_by(runs.c.id)
)
_HAS_NO_TIMER = runs.c.timer_id.is_(None)
#: Timers with a run in progress.
_RUNNING = select(runs.c.timer_id).where(runs.c.outcome.is_(None), runs.c.owner.is_not(None), ~_HAS_NO_TIMER)
#: Timers with a run that is in progress, or that waits and is not backfilled.
_BUSY = select(runs.c.timer_id).where(
    runs.c.outcome.is_(None), or_(runs.c.owner.is_not(None), ~IS_BACKFILLED), ~_HAS_NO_TIMER
)
_OTHERS = runs.alias()
_IN_PROGRESS = (
    select(func.count())
    .where(_OTHERS.c.timer_id == timers.c.id, _OTHERS.c.outcome.is_(None), _OTHERS.c.owner.is_not(None))
    .correlate(timers)
    .scalar_subquery()
)
_ALLOWS = timers.c.overlap == OverlapPolicy.ALLOW
#: Whether any number of runs of a timer may be in progress.
_IS_UNLIMITED = _ALLOWS & (timers.c.max_concurrent == 0)
_HAS_ROOM = or_(runs.c.timer_id.not_in(_RUNNING), _ALLOWS & (timers.c.max_concurrent > _IN_PROGRESS))
_FIRST_OF_TIMER = select(func.min(runs.c.id)).where(WAITS_FOR_TURN).group_by(runs.c.timer_id)
_IS_DUE = runs.c.due_at <= bindparam("now")
_FIRST_RETRY = select(func.min(runs.c.id)).where(WAITS_FOR_RETRY, _IS_DUE).group_by(runs.c.timer_id)
#: The further attempts that begin now.
RETRIES = _WAITING.where(
    WAITS_FOR_RETRY,
    _IS_DUE,
    or_(_HAS_NO_TIMER, _IS_UNLIMITED, runs.c.id.in_(_FIRST_RETRY) & _HAS_ROOM),
)
#: The manual, queued and chained runs that begin now.
QUEUED = _WAITING.where(
    ~IS_BACKFILLED,
    runs.c.due_at.is_(None),
    or_(
        runs.c.kind == Kind.MANUAL,
        _HAS_NO_TIMER,
        _IS_UNLIMITED,
        runs.c.id.in_(_FIRST_OF_TIMER.where(~IS_BACKFILLED)) & _HAS_ROOM,
    ),
)
#: The backfilled runs that begin now.
BACKFILLED = _WAITING.where(
    IS_BACKFILLED,
    or_(_HAS_NO_TIMER, runs.c.id.in_(_FIRST_OF_TIMER.where(IS_BACKFILLED)) & runs.c.timer_id.not_in(_BUSY)),
)
_BEGIN = Bulk(
    update(runs).where(runs.c.id == bindparam("run")).values(owner=bindparam("daemon"), claimed_at=bindparam("at")),
    ("daemon", "at", "run"),
)


def begin_waiting(
    connection: Connection,
    which: Select[Any],
    daemon_id: int,
    now: datetime,
    grace: timedelta,
    *,
    passed_over: Counter[tuple[str, str]],
    events: list[AlertEvent],
    on_timer: Callable[[int, str | None], None],
) -> list[Task]:
    """Begin waiting runs for a daemon; `which` is RETRIES, QUEUED or BACKFILLED.

    A run whose timer is gone or short-circuited ends instead, and the next one of its timer can begin, so the query is
    repeated until it returns no rows. `passed_over` counts the runs that end, by environment and outcome; `events` gets
    those of alerts; `on_timer` is called with the id and the ping address of each timer of a run that begins.
    """
    tasks: list[Task] = []
    while waiting := _locked(connection, which, now):
        begun = []
        for row in waiting:
            outcome = _end_if_not_runnable(connection, row, now)
            if outcome is None:
                begun.append(row)
            else:
                passed_over[row.environment, outcome] += 1
                named, rules = (row.timer, row.environment), store_of(connection).alerts
                events += events_of_passed_over(rules, outcome, named, instant(row.fire_at), now)
        _BEGIN.execute(connection, [(daemon_id, stamp(now), row.id) for row in begun])
        for row in begun:
            on_timer(row.timer_id, row.ping_url)
        tasks += [_task(row, now, grace) for row in begun]
    return tasks


def _locked(connection: Connection, which: Select[Any], now: datetime) -> Sequence[Row[Any]]:
    """Lock and return the rows of a query, and their timers."""
    rows = connection.execute(which, {"now": stamp(now)}).all()
    if not rows or store_of(connection).has_single_writer:
        return rows
    # Another transaction may be changing these rows: lock the timers that no other one holds, and read again.
    timer_ids = [row.timer_id for row in rows if row.timer_id is not None]
    lock = select(timers.c.id).where(timers.c.id.in_(timer_ids)).with_for_update(skip_locked=True, key_share=True)
    locked = list(connection.execute(lock).scalars())
    again = which.where(or_(_HAS_NO_TIMER, runs.c.timer_id.in_(locked))).with_for_update(skip_locked=True, of=runs)
    return connection.execute(again, {"now": stamp(now)}).all()


def _end_if_not_runnable(connection: Connection, run: Row[Any], now: datetime) -> Outcome | None:
    """End a waiting run that may not begin, and return its outcome; None if it may.

    Its timer was removed or is short-circuited, or it is to be cancelled.
    """
    if run.revision is None:
        end_run(connection, run.id, Outcome.ABANDONED, now, "abandoned: the timer was removed")
        return Outcome.ABANDONED
    if run.cancel_requested_at is not None:
        # It was requested while a daemon that stopped gave the run back.
        end_cancelled(connection, run.id, now)
        return Outcome.CANCELLED
    if run.due_at is not None:
        return _end_retry_if_not_runnable(connection, run, now)
    before = breaker_of(run)
    if run.kind in (Kind.MANUAL, Kind.BACKFILL) or before is breaker.CLOSED:
        return None
    admitted, admission = breaker.admit(before, instant(run.fire_at))
    if admission is Admission.SHORT_CIRCUIT:
        end_run(connection, run.id, Outcome.SHORT_CIRCUITED, now, MESSAGES[Outcome.SHORT_CIRCUITED])
        return Outcome.SHORT_CIRCUITED
    connection.execute(update(timers).where(timers.c.id == run.timer_id).values(breaker_columns(admitted)))
    return None


def _end_retry_if_not_runnable(connection: Connection, run: Row[Any], now: datetime) -> Outcome | None:
    """The same for a further attempt; ignores the breaker, which admitted the fire time already."""
    row = connection.execute(select(timers).where(timers.c.id == run.timer_id).with_for_update(key_share=True)).one()
    is_of_schedule = run.kind == Kind.SCHEDULED
    if is_of_schedule and not row.enabled:
        outcome, message = Outcome.ABANDONED, "abandoned: the timer was disabled before the next attempt"
    elif is_of_schedule and is_past(timer_of(row, connection), instant(run.fire_at), now):
        outcome, message = Outcome.MISFIRED, "missed: the next fire time came before this attempt"
    else:
        return None
    end_run(connection, run.id, outcome, now, message)
    # The attempt before it was the last one.
    enter_followers(connection, [EndedRun(run.id, Outcome.FAILED, now)])
    lose_probes(connection, [row], now)
    return outcome


def _task(run: Row[Any], now: datetime, grace: timedelta) -> Task:
    task = task_of(run, past_due=now - instant(run.fire_at) > grace)
    # The timer may have been edited since the run was entered.
    return task._replace(function=run.timer_function)
