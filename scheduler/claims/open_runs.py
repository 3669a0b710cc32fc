"""Open runs: rows without an outcome, and which of them block the next fire of their timer.

    owner   due_at   an open run that
    set     any      is in progress: a daemon or a fleet has it
    null    null     waits for its turn: manual, queued by the overlap policy, or backfilled
    null    set      is a further attempt, and waits until it is due

A run in progress blocks its timer, and so does a queued one; the overlap policy (core/overlap.py) decides what happens
then. Backfilled runs and further attempts that wait do not block fire times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, exists, func, or_, select

from ..core.run import Kind
from ..store.schema import runs, timers
from ..store.statements import Among

IS_BACKFILLED = runs.c.kind == Kind.BACKFILL
#: A row that waits: for its turn or, if it is a further attempt, until it is due.
WAITS = runs.c.outcome.is_(None) & runs.c.owner.is_(None)
WAITS_FOR_TURN = WAITS & runs.c.due_at.is_(None)
WAITS_FOR_RETRY = WAITS & runs.c.due_at.is_not(None)
_HELD = timers.alias()
#: A run whose timer is paused.
IS_HELD = exists().where(_HELD.c.id == runs.c.timer_id, _HELD.c.held)
#: A row that the overlap policy of its timer counts.
COUNTS_AS_OVERLAP = runs.c.outcome.is_(None) & or_(runs.c.owner.is_not(None), ~IS_BACKFILLED & runs.c.due_at.is_(None))

#: Runs with the columns of their timers that a task needs.
WITH_TIMER = select(runs, timers.c.params, timers.c.limit_s).join(timers, timers.c.id == runs.c.timer_id)


def count_overlaps(connection: Connection, timer_ids: Sequence[int]) -> Counter[int]:
    """The number of runs that the overlap policy counts, by timer."""
    return Counter({row[0]: row[1] for row in _OVERLAPS.tuples(connection, timer_ids)})


def timers_with_open_runs(connection: Connection, timer_ids: Sequence[int]) -> set[int]:
    """The timers with an open run."""
    return {row[0] for row in _OPEN.tuples(connection, timer_ids)}


_OPEN = Among(select(runs.c.timer_id).where(runs.c.outcome.is_(None)), runs.c.timer_id)
_OVERLAPS = Among(
    select(runs.c.timer_id, func.count()).where(COUNTS_AS_OVERLAP).group_by(runs.c.timer_id), runs.c.timer_id
)
