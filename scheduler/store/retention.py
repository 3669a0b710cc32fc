"""Retention: prunes the history, by age and by number for each timer, in small portions.

Recorded changes and alerts are kept by age alone, as long as runs.

A run that is open, or that still counts further fire times in its row, is never deleted. The lines of a run are deleted
before it, so that a run with much output does not make a long transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, select

from ..core.timestamps import stamp
from .alert_recording import GIVE_UP_AFTER
from .database import Store
from .schema import alerts, changes, lines, runs, timers

#: How long runs and lines are kept by default.
KEEP = timedelta(days=30)
#: The most runs that one portion reads, and the most lines that it deletes.
MAX_RUNS, MAX_LINES = 500, 2_000


class Retention:
    """Keeps the runs that ended less than `keep` ago, and of each timer the latest `keep_runs`, 0 = all.

    Timers are distinguished by name and environment, as in the history, which outlives them.
    """

    def __init__(self, store: Store, keep: timedelta = KEEP, keep_runs: int = 0) -> None:
        self._store = store
        self._keep = keep
        self._keep_runs = keep_runs
        self._restart_count()

    def prune(self, now: datetime) -> bool:
        """Delete a portion of the runs that are too old, or too many; returns whether there may be more.

        The daemon's lease is not checked (invariant 3 in claims/leases.py).
        """
        with self._store.writing() as connection:
            # Ids increase with time, so finding the oldest rows needs no index on the end.
            oldest = _deletable(connection)
            aged = [row.id for row in oldest if row.ended_at < stamp(now - self._keep)]
            if aged and not (_delete(connection, aged) and len(aged) < MAX_RUNS):
                return True
            if _delete_changes(connection, stamp(now - self._keep)) == MAX_RUNS:
                return True
            if _delete_alerts(connection, stamp(now - self._keep)) == MAX_RUNS:
                return True
            return bool(self._keep_runs) and self._prune_by_number(connection)

    def _restart_count(self) -> None:
        """Count the runs of each timer from the newest run on, in portions: no index finds the runs of one timer."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._before = _NEWEST

    def _prune_by_number(self, connection: Connection) -> bool:
        rows = connection.execute(_PORTION, {"before": self._before, "most": MAX_RUNS}).all()
        counts, surplus = self._counts.copy(), []
        for row in rows:
            counts[row.environment, row.timer] += 1
            if counts[row.environment, row.timer] > self._keep_runs:
                surplus.append(row.id)
        if surplus and not _delete(connection, [row.id for row in _deletable(connection, runs.c.id.in_(surplus))]):
            # Some lines were not deleted yet; count the same portion again.
            return True
        if len(rows) < MAX_RUNS:
            self._restart_count()
            return False
        self._counts, self._before = counts, rows[-1].id
        return True


_NEWEST = 2**63 - 1
_PORTION = (
    select(runs.c.id, runs.c.environment, runs.c.timer)
    .where(runs.c.id < bindparam("before"))
    .order_by(runs.c.id.desc())
    .limit(bindparam("most"))
)


def _deletable(connection: Connection, *conditions: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Lock and return the id and end of the oldest runs that may be deleted, except those that others have locked."""
    counting = select(timers.c.counter_run_id).where(timers.c.counter_run_id.is_not(None))
    ended: Select[Any] = select(runs.c.id, runs.c.ended_at).where(
        runs.c.outcome.is_not(None), runs.c.id.not_in(counting), *conditions
    )
    return connection.execute(ended.order_by(runs.c.id).limit(MAX_RUNS).with_for_update(skip_locked=True)).all()


def _delete(connection: Connection, run_ids: Sequence[int]) -> bool:
    """Delete runs and their lines; False if there are so many lines that only some were deleted."""
    printed = select(lines.c.id).where(lines.c.run_id.in_(run_ids)).limit(MAX_LINES)
    if connection.execute(delete(lines).where(lines.c.id.in_(printed))).rowcount == MAX_LINES:
        return False
    connection.execute(delete(runs).where(runs.c.id.in_(run_ids)))
    return True


def _delete_changes(connection: Connection, before: int) -> int:
    """Delete the changes among the oldest ones that were made before an instant; returns how many."""
    oldest = select(changes.c.id, changes.c.at).order_by(changes.c.id).limit(MAX_RUNS)
    aged = [row.id for row in connection.execute(oldest.with_for_update(skip_locked=True)) if row.at < before]
    if aged:
        connection.execute(delete(changes).where(changes.c.id.in_(aged)))
    return len(aged)


def _delete_alerts(connection: Connection, before: int) -> int:
    """Delete the alerts that were last counted before an instant and need not be delivered any more; returns how many.

    An alert of a rule that no settings have any more would wait for ever.
    """
    is_forgotten = alerts.c.at < before - GIVE_UP_AFTER // timedelta(microseconds=1)
    is_over = (alerts.c.last_at < before) & (alerts.c.next_attempt_at.is_(None) | is_forgotten)
    oldest = select(alerts.c.id).where(is_over).order_by(alerts.c.id).limit(MAX_RUNS)
    aged = list(connection.execute(oldest.with_for_update(skip_locked=True)).scalars())
    if aged:
        connection.execute(delete(alerts).where(alerts.c.id.in_(aged)))
    return len(aged)
