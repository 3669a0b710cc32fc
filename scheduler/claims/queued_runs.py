"""Runs that wait for their turn: manual, queued, backfilled ones, and further attempts. Which begin, in which order.

A manual run begins at once. Another one begins when no run of its timer goes on, one for each timer, the oldest first;
a further attempt not before it is due, and never once the next fire time has come; and a backfilled run only when its
timer has nothing else to do. Backfilled runs and further attempts that wait keep no fire from running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, or_, select, update

from ..core import breaker
from ..core.admission import OverlapPolicy
from ..core.breaker import Admission
from ..core.retry import is_past
from ..core.run import MESSAGES, Kind, Outcome, Task
from ..core.timestamps import instant, stamp
from ..store.database import store_of
from ..store.rows import BREAKER, breaker_columns, breaker_of, task_of, timer_of
from ..store.schema import runs, timers
from ..store.statements import Bulk
from .leases import end_run, lose_probes

WAITS = runs.c.outcome.is_(None) & runs.c.owner.is_(None)
_IS_BACKFILLED = runs.c.kind == Kind.BACKFILL
_HAS_TURN = runs.c.due_at.is_(None)
#: Whether there may be runs whose turn it is.
WAITS_FOR_TURN = WAITS & _HAS_TURN
#: The further attempts, due or not.
WAITS_FOR_RETRY = WAITS & runs.c.due_at.is_not(None)
#: What keeps a timer from firing, by its overlap policy.
IS_OPEN = runs.c.outcome.is_(None) & or_(runs.c.owner.is_not(None), ~_IS_BACKFILLED & _HAS_TURN)

_WAITING: Select[Any] = (
    select(
        runs,
        *(timers.c[name] for name in ("revision", "params", "limit_s", *BREAKER)),
        timers.c.function.label("timer_function"),
    )
    .outerjoin(timers, timers.c.id == runs.c.timer_id)
    .where(WAITS)
    .order_by(runs.c.id)
)
_RUNNING = select(runs.c.timer_id).where(
    runs.c.outcome.is_(None), runs.c.owner.is_not(None), runs.c.timer_id.is_not(None)
)
_BUSY = select(runs.c.timer_id).where(
    runs.c.outcome.is_(None), or_(runs.c.owner.is_not(None), ~_IS_BACKFILLED), runs.c.timer_id.is_not(None)
)
_FIRST = select(func.min(runs.c.id)).where(WAITS_FOR_TURN).group_by(runs.c.timer_id)
#: The further attempts that are due.
RETRIED = _WAITING.where(
    WAITS_FOR_RETRY,
    runs.c.due_at <= bindparam("now"),
    or_(runs.c.timer_id.is_(None), timers.c.overlap == OverlapPolicy.ALLOW, runs.c.timer_id.not_in(_RUNNING)),
)
#: The runs whose turn it is, but for backfilled ones.
IN_TURN = _WAITING.where(
    ~_IS_BACKFILLED,
    _HAS_TURN,
    or_(
        runs.c.kind == Kind.MANUAL,
        runs.c.timer_id.is_(None),
        runs.c.id.in_(_FIRST.where(~_IS_BACKFILLED)) & runs.c.timer_id.not_in(_RUNNING),
    ),
)
#: The backfilled runs whose turn it is.
BACKFILLED = _WAITING.where(
    _IS_BACKFILLED,
    or_(
        runs.c.timer_id.is_(None),
        runs.c.id.in_(_FIRST.where(_IS_BACKFILLED)) & runs.c.timer_id.not_in(_BUSY),
    ),
)
_TAKE = Bulk(
    update(runs).where(runs.c.id == bindparam("run")).values(owner=bindparam("daemon"), claimed_at=bindparam("at")),
    ("daemon", "at", "run"),
)


def begun_in_turn(
    connection: Connection,
    in_turn: Select[Any],
    daemon_id: int,
    now: datetime,
    grace: timedelta,
    *,
    passed_over: Counter[tuple[str, str]],
) -> list[Task]:
    """Begin the runs whose turn it is, for a daemon; one that is short-circuited instead gives its turn to the next.

    Those that end instead of beginning are counted in `passed_over`, by environment and outcome.
    """
    tasks: list[Task] = []
    while waiting := _found(connection, in_turn, now):
        begun = []
        for row in waiting:
            outcome = _ended_instead(connection, row, now)
            if outcome is None:
                begun.append(row)
            else:
                passed_over[row.environment, outcome] += 1
        _TAKE.execute(connection, [(daemon_id, stamp(now), row.id) for row in begun])
        tasks += [_task(row, now, grace) for row in begun]
    return tasks


def _found(connection: Connection, in_turn: Select[Any], now: datetime) -> Sequence[Row[Any]]:
    """The waiting runs whose turn has come, for this daemon alone to begin."""
    found = connection.execute(in_turn, {"now": stamp(now)}).all()
    if not found or store_of(connection).has_single_writer:
        return found
    # What was read may be changing in other hands: lock the timers, leave out those that others hold, and read again.
    timer_ids = [row.timer_id for row in found if row.timer_id is not None]
    lock = select(timers.c.id).where(timers.c.id.in_(timer_ids)).with_for_update(skip_locked=True, key_share=True)
    ours = list(connection.execute(lock).scalars())
    mine = or_(runs.c.timer_id.is_(None), runs.c.timer_id.in_(ours))
    locked = in_turn.where(mine).with_for_update(skip_locked=True, of=runs)
    return connection.execute(locked, {"now": stamp(now)}).all()


def _ended_instead(connection: Connection, run: Row[Any], now: datetime) -> Outcome | None:
    """None for a waiting run that may begin; the outcome of one that ends here, its timer gone or short-circuited."""
    if run.revision is None:
        end_run(connection, run.id, Outcome.ABANDONED, now, "abandoned: the timer was removed")
        return Outcome.ABANDONED
    if run.due_at is not None:
        return _not_retried(connection, run, now)
    before = breaker_of(run)
    if run.kind in (Kind.MANUAL, Kind.BACKFILL) or before is breaker.CLOSED:
        return None
    admitted, admission = breaker.admit(before, instant(run.fire_at))
    if admission is Admission.SHORT_CIRCUIT:
        end_run(connection, run.id, Outcome.SHORT_CIRCUITED, now, MESSAGES[Outcome.SHORT_CIRCUITED])
        return Outcome.SHORT_CIRCUITED
    connection.execute(update(timers).where(timers.c.id == run.timer_id).values(breaker_columns(admitted)))
    return None


def _not_retried(connection: Connection, run: Row[Any], now: datetime) -> Outcome | None:
    """None for a further attempt that may begin, being due; its fire time has passed the breaker already."""
    row = connection.execute(select(timers).where(timers.c.id == run.timer_id).with_for_update(key_share=True)).one()
    if not row.enabled:
        outcome, why = Outcome.ABANDONED, "abandoned: the timer was disabled before the next attempt"
    elif is_past(timer_of(row), instant(run.fire_at), now):
        outcome, why = Outcome.MISFIRED, "missed: the next fire time came before this attempt"
    else:
        return None
    end_run(connection, run.id, outcome, now, why)
    lose_probes(connection, [row], now)
    return outcome


def _task(run: Row[Any], now: datetime, grace: timedelta) -> Task:
    task = task_of(run, past_due=now - instant(run.fire_at) > grace)
    return task._replace(function=run.timer_function)
