"""Abandoned runs: ends the runs whose daemon or worker is gone, and enters again those that must be delivered.

It is unknown how far such a run came. If its timer is `at_least_once`, a new run of the same fire time is entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from ..core import breaker
from ..core.run import MESSAGES, Outcome
from ..core.timer import Delivery
from ..core.timestamps import stamp
from ..store.database import store_of
from ..store.rows import breaker_columns, breaker_of
from ..store.schema import runs, timers
from .alert_causes import alert_of_abandoned
from .chains import EndedRun, enter_followers

#: The most attempts at a fire time that must be delivered, if one daemon after the other dies during the run.
MAX_ATTEMPTS = 5


def abandon(
    connection: Connection,
    which: ColumnElement[bool],
    now: datetime,
    message: str = MESSAGES[Outcome.ABANDONED],
) -> Sequence[Row[Any]]:
    """End open runs as abandoned, and enter those again that must be delivered; returns their rows before that.

    A run with a request to cancel it ends as cancelled, and is not entered again.
    """
    # Lock timers before runs, and both by id, as in every transaction (leases.py).
    theirs = select(timers).where(timers.c.id.in_(select(runs.c.timer_id).where(which))).order_by(timers.c.id)
    timer_rows = {row.id: row for row in connection.execute(theirs.with_for_update(key_share=True))}
    # Lock and read again, because a fleet's worker may be ending them.
    open_runs = connection.execute(select(runs).where(which).order_by(runs.c.id).with_for_update()).all()
    lost = []
    ended: list[EndedRun] = []
    for row in open_runs:
        outcome = outcome_without_daemon(row)
        end_run(connection, row.id, outcome, now, message if outcome is Outcome.ABANDONED else MESSAGES[outcome])
        timer = timer_rows.get(row.timer_id)
        # The number is limited, because the run itself may kill its daemon.
        is_due_again = outcome is Outcome.ABANDONED and row.attempt < MAX_ATTEMPTS
        if is_due_again and timer is not None and timer.delivery == Delivery.AT_LEAST_ONCE:
            _enter_again(connection, row, now)
        else:
            if outcome is Outcome.ABANDONED:
                lost.append(row)
            ended.append(EndedRun(row.id, outcome, now))
    if ended:
        enter_followers(connection, ended)
    lose_probes(connection, timer_rows.values(), now)
    alert_of_abandoned(connection, lost, now, message)
    return open_runs


def outcome_without_daemon(row: Row[Any]) -> Outcome:
    """The outcome of an open run whose daemon or worker is gone."""
    return Outcome.ABANDONED if row.cancel_requested_at is None else Outcome.CANCELLED


def end_run(connection: Connection, run_id: int, outcome: Outcome, now: datetime, message: str) -> None:
    """Write the ending of a run that no executor has."""
    connection.execute(
        update(runs).where(runs.c.id == run_id).values(outcome=outcome, ended_at=stamp(now), message=message)
    )


def lose_probes(connection: Connection, timer_rows: Iterable[Row[Any]], now: datetime) -> None:
    """Let half-open breakers have another probe, because the result of theirs is unknown; the rows are locked."""
    for row in timer_rows:
        if row.breaker_state == breaker.BreakerState.HALF_OPEN:
            state = breaker.lose_probe(breaker_of(row), now)
            connection.execute(update(timers).where(timers.c.id == row.id).values(breaker_columns(state)))


def _enter_again(connection: Connection, row: Row[Any], now: datetime) -> None:
    (run_id,) = store_of(connection).new_run_ids(connection, 1)
    same = {
        name: row._mapping[name]
        for name in ("timer_id", "timer", "function", "environment", "kind", "own_params", "cause_id")
    }
    connection.execute(
        insert(runs).values(
            **same,
            id=run_id,
            fire_at=row.fire_at,
            last_fire_at=row.last_fire_at,
            count=1,
            attempt=row.attempt + 1,
            request_id=row.request_id,
            claimed_at=stamp(now),
            message="",
            lines_dropped=0,
        )
    )
