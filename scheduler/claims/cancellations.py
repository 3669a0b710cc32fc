"""Cancellations: requests of users to end a run at once, in the column `cancel_requested_at` of the run.

    the run                       is ended, as cancelled, by
    waits                         the transaction of the request
    has a daemon                  the daemon's executor; the request wakes the daemon
    has begun in a fleet          its worker, which the daemon notifies (fleet/cancellations.py)
    has lost daemon or worker     the daemon that takes over (abandoned_runs.py)

A run with a request never begins, and nothing follows it: it is not given back, not delivered again, not tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, literal_column, select, update

from ..core.run import MESSAGES, Kind, Outcome, Run
from ..core.timestamps import stamp
from ..errors import RunError
from ..store.change_recording import Action, Author, NewChange, record_changes
from ..store.database import Store
from ..store.rows import run_of
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk
from .abandoned_runs import end_run, lose_probes
from .chains import EndedRun, enter_followers

#: The open runs of a daemon with a request; few, with an index on the same conditions.
_REQUESTED = select(runs.c.id).where(
    runs.c.cancel_requested_at.is_not(None), runs.c.outcome.is_(None), runs.c.owner == bindparam("daemon")
)


def request_cancel(store: Store, run_id: int, *, now: datetime, by: Author | None = None) -> Run:
    """Request the end of a run; returns the run, with its outcome if it was waiting.

    A second request for the same run changes nothing. RunError for an unknown run, and for one that has ended. With
    `by`, the request is recorded with the changes of the timer.
    """
    with store.writing_and_notifying() as connection:
        row, timer = _locked(connection, run_id)
        if row.outcome is not None:
            raise RunError(f"run {run_id} of {row.timer} has ended already: {row.outcome}", run_id=run_id)
        if row.cancel_requested_at is None:
            connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_requested_at=stamp(now)))
        if row.owner is None:
            end_run(connection, run_id, Outcome.CANCELLED, now, MESSAGES[Outcome.CANCELLED])
            if row.due_at is not None:
                # The attempt before it was the last one.
                enter_followers(connection, [EndedRun(run_id, Outcome.CANCELLED, now)])
            lose_probes(connection, [timer] if timer is not None else [], now)
        if by is not None and row.cancel_requested_at is None:
            made = NewChange(Action.CANCELLED, row.timer, row.environment, after={"run": run_id})
            record_changes(connection, [made], by, now=now)
        return run_of(connection.execute(select(runs).where(runs.c.id == run_id)).one())


def _locked(connection: Connection, run_id: int) -> tuple[Row[Any], Row[Any] | None]:
    """Lock the rows of a run's timer and of the run, in this order; returns the rows."""
    of_run = select(runs).where(runs.c.id == run_id)
    found = connection.execute(of_run).one_or_none()
    if found is None:
        raise RunError(f"no run {run_id} in the store; scheduler runs lists them", run_id=run_id)
    of_timer = select(timers).where(timers.c.id == found.timer_id).with_for_update(key_share=True)
    timer = connection.execute(of_timer).one_or_none()
    return connection.execute(of_run.with_for_update()).one(), timer


def cancel_others(connection: Connection, timer_ids: Sequence[int], at: int) -> Counter[tuple[str, str]]:
    """Cancel the open runs of timers whose next run replaces them: end those that wait, request the end of others.

    Returns how many have ended, by environment and outcome. The rows of the timers are locked.
    """
    if not timer_ids:
        return Counter()
    _ASK.execute(connection, timer_ids, at=at)
    queued = _QUEUED.rows(connection, timer_ids)
    _END_QUEUED.execute(connection, [(at, row.id) for row in queued])
    return Counter((row.environment, Outcome.CANCELLED.value) for row in queued)


def requested_cancellations(connection: Connection, daemon_id: int) -> list[int]:
    """The open runs of a daemon with a request to cancel them."""
    return list(connection.execute(_REQUESTED, {"daemon": daemon_id}).scalars())


def end_cancelled(connection: Connection, run_id: int, now: datetime) -> None:
    """End a run that has a request and has not begun."""
    end_run(connection, run_id, Outcome.CANCELLED, now, MESSAGES[Outcome.CANCELLED])


_OPEN = runs.c.outcome.is_(None)
_ASK = Among(
    update(runs)
    .where(_OPEN, runs.c.owner.is_not(None), runs.c.cancel_requested_at.is_(None))
    .values(cancel_requested_at=bindparam("at")),
    runs.c.timer_id,
)
_QUEUED = Among(
    select(runs.c.id, runs.c.environment).where(
        _OPEN, runs.c.owner.is_(None), runs.c.due_at.is_(None), runs.c.kind == Kind.SCHEDULED
    ),
    runs.c.timer_id,
)
_END_QUEUED = Bulk(
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(
        ended_at=bindparam("at"),
        outcome=literal_column(f"'{Outcome.CANCELLED.value}'"),
        message=literal_column(f"'{MESSAGES[Outcome.CANCELLED]}'"),
    ),
    ("at", "run"),
)
