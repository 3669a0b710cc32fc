"""Results: writes how runs ended into their rows, has further attempts entered, and moves breakers.

One transaction does all of it, so that a daemon's crash loses no attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, literal_column, select, text, union_all, update

from ..core import breaker
from ..core.alerts import AlertEvent, Cause
from ..core.breaker import BreakerPolicy, Verdict
from ..core.run import MESSAGES, Ending, Kind, Outcome, Task
from ..core.timestamps import stamp, stamp_or_none
from ..store.change_recording import Author, Way, record_changes
from ..store.rows import BREAKER, breaker_columns, breaker_of, storable
from ..store.schema import CHAINED, TROUBLED, runs, timers
from ..store.statements import Among, Bulk, Query
from ..store.stored_timer import stored_timer_of
from ..store.timer_changes import edited
from .alert_causes import alert_of_endings
from .batch import StateChange
from .chains import EndedRun, enter_followers
from .retries import enter_retries

log = logging.getLogger("scheduler.claims")

#: Not the id of a timer: others follow some timer.
_HAS_CHAINS = -1
#: Timers whose breaker is not closed, or has counted a failure, and _HAS_CHAINS: few, with indexes on these conditions.
_TROUBLED = Query(
    union_all(
        select(timers.c.id).where(text(TROUBLED)),
        select(literal_column(str(_HAS_CHAINS))).where(select(timers.c.id).where(text(CHAINED)).exists()),
    )
)
# In the order of ids, as in every transaction (leases.py).
_LOCK_TIMERS = Among(select(timers).order_by(timers.c.id).with_for_update(key_share=True), timers.c.id)
_WRITE_BREAKER = Bulk(
    update(timers).where(timers.c.id == bindparam("timer")).values({name: bindparam(name) for name in BREAKER}),
    (*BREAKER, "timer"),
)
#: An open run of the daemon: a result that comes too late changes nothing.
_OUR_RUN = update(runs).where(
    runs.c.id == bindparam("run"), runs.c.owner == bindparam("daemon"), runs.c.outcome.is_(None)
)
#: The columns of a run's ending; `result_values` has their values.
RESULT = ("started_at", "ended_at", "outcome", "message", "error", "result", "lines_dropped")
_WRITE_RESULT = Bulk(_OUR_RUN.values({name: bindparam(name) for name in RESULT}), (*RESULT, "run", "daemon"))
#: For nearly every run: it succeeded and returned None, so the other columns keep the values from the claim.
_WRITE_PLAIN_RESULT = Bulk(
    _OUR_RUN.values(
        started_at=bindparam("started_at"),
        ended_at=bindparam("ended_at"),
        outcome=literal_column(f"'{Outcome.SUCCEEDED.value}'"),
    ),
    ("started_at", "ended_at", "run", "daemon"),
)


def write_results(connection: Connection, daemon_id: int, ended: Sequence[tuple[Task, Ending]]) -> None:
    """Write the endings of a daemon's runs; skips runs that it no longer owns or that have an outcome."""
    plain: list[tuple[Any, ...]] = []
    others: list[tuple[Any, ...]] = []
    for task, ending in ended:
        outcome, _, ended_at, started_at, error, result, lines_dropped, message = ending
        if outcome is Outcome.SUCCEEDED and result is None and error is None and message is None and not lines_dropped:
            plain.append((stamp_or_none(started_at), stamp(ended_at), task.run_id, daemon_id))
        else:
            others.append((*result_values(ending), task.run_id, daemon_id))
    _WRITE_PLAIN_RESULT.execute(connection, plain)
    _WRITE_RESULT.execute(connection, others)


def result_values(ending: Ending) -> tuple[Any, ...]:
    """An ending as the values of the columns RESULT, for every executor."""
    outcome, _, ended_at, started_at, error, result, lines_dropped, message = ending
    return (
        stamp_or_none(started_at),
        stamp(ended_at),
        outcome.value,
        MESSAGES[outcome] if message is None else storable(message),
        error and storable(error),
        result and storable(result),
        lines_dropped,
    )


def enter_retries_and_move_breakers(connection: Connection, ended: Sequence[tuple[Task, Ending]]) -> list[StateChange]:
    """Enter further attempts of runs that failed, and runs that follow; move breakers, and write alerts.

    Returns the moves. Called in the transaction that writes the results. It reads a closed breaker without counted
    failures only if a run of its timer failed.
    """
    failed = [pair for pair in ended if pair[1].verdict is Verdict.FAILURE]
    retried = enter_retries(connection, failed) if failed else ()
    disabled = _disable_failed(connection, [pair for pair in failed if pair[0].run_id not in retried])
    troubled = {row[0] for row in _TROUBLED.tuples(connection)}
    moves: list[StateChange] = []
    if troubled or failed:
        for_good = [pair for pair in ended if pair[0].run_id not in retried]
        if _HAS_CHAINS in troubled:
            enter_followers(
                connection, [EndedRun(task.run_id, ending.outcome, ending.ended_at) for task, ending in for_good]
            )
        moves = _move_breakers(connection, for_good, troubled)
    # Last, after timers and runs.
    alert_of_endings(connection, ended, retried, disabled)
    return moves


def _move_breakers(
    connection: Connection, ended: Sequence[tuple[Task, Ending]], troubled: Collection[int]
) -> list[StateChange]:
    """Move each timer's breaker by how its runs ended, in order of their fire times; backfilled runs do not count."""
    ended = [(task, ending) for task, ending in ended if task.kind is not Kind.BACKFILL]
    judged = {
        task.timer_id
        for task, ending in ended
        if task.timer_id is not None and (ending.verdict is Verdict.FAILURE or task.timer_id in troubled)
    }
    rows = {row.id: row for row in _LOCK_TIMERS.rows(connection, sorted(judged))}
    if not rows:
        return []
    states = {timer_id: breaker_of(row) for timer_id, row in rows.items()}
    for task, ending in sorted(ended, key=lambda pair: pair[0].fire_time):
        timer_id = task.timer_id
        if timer_id in states:
            policy = BreakerPolicy(threshold=rows[timer_id].breaker_threshold)
            error = ending.error or ending.text
            states[timer_id] = breaker.after(
                states[timer_id], ending.verdict, task.fire_time, error=error, policy=policy
            )
    changes = [(row.name, breaker_of(row), states[timer_id]) for timer_id, row in rows.items()]
    moved = [(timer_id, after) for timer_id, (_, before, after) in zip(rows, changes, strict=True) if after != before]
    _WRITE_BREAKER.execute(connection, [(*breaker_columns(state).values(), timer_id) for timer_id, state in moved])
    return changes


def _disable_failed(connection: Connection, failed: Sequence[tuple[Task, Ending]]) -> list[AlertEvent]:
    """Disable the timers with `pause_on_failure` whose scheduled run has failed after its retries, and record that.

    Returns the events of alerts.
    """
    events = []
    run_ids = {task.timer_id: task.run_id for task, _ in failed if task.timer_id and task.kind is Kind.SCHEDULED}
    for row in _PAUSING.rows(connection, sorted(run_ids)):
        values = {"enabled": False, "next_fire_at": None, "revision": timers.c.revision + 1}
        connection.execute(update(timers).where(timers.c.id == row.id).values(values))
        before = stored_timer_of(row, connection)
        after = replace(before, timer=replace(before.timer, enabled=False), next_fire=None)
        by = Author.of_process(Way.DAEMON, f"run {run_ids[row.id]} failed, and pause_on_failure is set")
        record_changes(connection, edited(before, after), by, now=datetime.now(UTC))
        log.warning("disabled the timer %s in %s: %s", row.name, row.environment, by.why, extra={"timer": row.name})
        cause, run_id = Cause.PAUSED_ON_FAILURE, run_ids[row.id]
        events.append(AlertEvent(cause, datetime.now(UTC), row.name, row.environment, run_id, f"disabled: {by.why}"))
    return events


_PAUSING = Among(
    select(timers)
    .where(timers.c.pause_on_failure.is_(True), timers.c.enabled.is_(True))
    .order_by(timers.c.id)
    .with_for_update(key_share=True),
    timers.c.id,
)
