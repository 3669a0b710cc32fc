"""How long the history is kept: by age, and by number for each timer. What is over is forgotten in small portions.

What goes on, waits, or is still counted in is never forgotten. The lines of a run go with it, and before it, so that a
run which printed much holds up nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, select

from ..core.timestamps import stamp
from .database import Store
from .schema import lines, runs, timers

#: How long runs and lines are kept where nothing is set.
KEEP = timedelta(days=30)
#: The most runs that one portion looks at, and the most lines that it takes.
MOST_RUNS, MOST_LINES = 500, 2_000


class Retention:
    """What one store keeps: runs that ended less than `keep` ago, and of each timer the latest `keep_runs`, 0 = all.

    A timer is known by its name and environment here, as in the history.
    """

    def __init__(self, store: Store, keep: timedelta = KEEP, keep_runs: int = 0) -> None:
        self._store = store
        self._keep = keep
        self._keep_runs = keep_runs
        self._begin_to_count()

    def prune(self, now: datetime) -> bool:
        """Forget a portion of what is too old, or too much; whether there may be more."""
        with self._store.writing() as connection:
            # Ids rise with time, so the oldest rows are found without an index on the end.
            oldest = _forgettable(connection)
            aged = [row.id for row in oldest if row.ended_at < stamp(now - self._keep)]
            if aged and not (_forget(connection, aged) and len(aged) < MOST_RUNS):
                return True
            return bool(self._keep_runs) and self._prune_by_number(connection)

    def _begin_to_count(self) -> None:
        """From the newest run on, back to the oldest: no index tells which runs are a timer's."""
        self._counted: Counter[tuple[str, str]] = Counter()
        self._before = _NEWEST

    def _prune_by_number(self, connection: Connection) -> bool:
        rows = connection.execute(_PORTION, {"before": self._before, "most": MOST_RUNS}).all()
        counted, surplus = self._counted.copy(), []
        for row in rows:
            counted[row.environment, row.timer] += 1
            if counted[row.environment, row.timer] > self._keep_runs:
                surplus.append(row.id)
        if surplus and not _forget(connection, [row.id for row in _forgettable(connection, runs.c.id.in_(surplus))]):
            return True
        if len(rows) < MOST_RUNS:
            self._begin_to_count()
            return False
        self._counted, self._before = counted, rows[-1].id
        return True


_NEWEST = 2**63 - 1
_PORTION = (
    select(runs.c.id, runs.c.environment, runs.c.timer)
    .where(runs.c.id < bindparam("before"))
    .order_by(runs.c.id.desc())
    .limit(bindparam("most"))
)


def _forgettable(connection: Connection, *conditions: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The id and end of the oldest runs that may be forgotten, for this transaction alone."""
    counted_in = select(timers.c.counter_run_id).where(timers.c.counter_run_id.is_not(None))
    ended: Select[Any] = select(runs.c.id, runs.c.ended_at).where(
        runs.c.outcome.is_not(None), runs.c.id.not_in(counted_in), *conditions
    )
    return connection.execute(ended.order_by(runs.c.id).limit(MOST_RUNS).with_for_update(skip_locked=True)).all()


def _forget(connection: Connection, run_ids: Sequence[int]) -> bool:
    """Forget runs and what they printed; False where they printed so much that only some lines of it are gone."""
    printed = select(lines.c.id).where(lines.c.run_id.in_(run_ids)).limit(MOST_LINES)
    if connection.execute(delete(lines).where(lines.c.id.in_(printed))).rowcount == MOST_LINES:
        return False
    connection.execute(delete(runs).where(runs.c.id.in_(run_ids)))
    return True
