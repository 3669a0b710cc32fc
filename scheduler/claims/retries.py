"""Retries: enters the next attempts of runs that have failed, where their timers have retries left.

core/retry.py decides when; results.py calls this in the transaction that writes the results.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from ..core.breaker import Verdict
from ..core.retry import after_pause, retry_at
from ..core.run import Ending, Kind, Task
from ..core.timer import Timer
from ..core.timestamps import stamp
from ..store.database import store_of
from ..store.rows import timer_of
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk

#: The kinds of runs that are tried again where their timer has retries.
_TRIED_AGAIN = frozenset({Kind.SCHEDULED, Kind.CHAINED, Kind.ON_ENABLE, Kind.ON_START})
_CAUSES = Among(select(runs.c.id, runs.c.cause_id), runs.c.id)
_TO_CANCEL = Among(select(runs.c.id).where(runs.c.cancel_requested_at.is_not(None)), runs.c.id)
_WITH_RETRIES = Among(select(timers).where(timers.c.retries > 0), timers.c.id)
_SET_RETRY_AT = Bulk(
    update(runs).where(runs.c.id == bindparam("run")).values(retry_at=bindparam("retry_at")), ("retry_at", "run")
)


def enter_retries(connection: Connection, ended: Sequence[tuple[Task, Ending]]) -> Collection[int]:
    """Enter the next attempts of failed runs whose timers have retries left; returns the ids of those runs.

    A run that failed after a request to cancel it is not tried again.
    """
    failed = [
        (task, ending)
        for task, ending in ended
        if ending.verdict is Verdict.FAILURE and task.kind in _TRIED_AGAIN and task.timer_id is not None
    ]
    timer_ids = {task.timer_id for task, _ in failed if task.timer_id is not None}
    retrying = {row.id: timer_of(row, connection) for row in _WITH_RETRIES.rows(connection, sorted(timer_ids))}
    to_cancel = {row.id for row in _TO_CANCEL.rows(connection, [task.run_id for task, _ in failed if retrying])}
    retried = [
        (task, ending, at)
        for task, ending in failed
        if task.run_id not in to_cancel
        and (timer := retrying.get(task.timer_id or 0)) is not None
        and (at := _retry_at(timer, task, ending)) is not None
    ]
    if retried:
        _SET_RETRY_AT.execute(connection, [(stamp(at), task.run_id) for task, _, at in retried])
        run_ids = store_of(connection).new_run_ids(connection, len(retried))
        chained = [task.run_id for task, _, _ in retried if task.kind is Kind.CHAINED]
        causes = {row.id: row.cause_id for row in _CAUSES.rows(connection, chained)}
        connection.execute(
            insert(runs),
            [
                _next_attempt(run_id, task, ending.ended_at, at) | {"cause_id": causes.get(task.run_id)}
                for run_id, (task, ending, at) in zip(run_ids, retried, strict=True)
            ],
        )
    return {task.run_id for task, _, _ in retried}


def _retry_at(timer: Timer, task: Task, ending: Ending) -> datetime | None:
    """When a failed run is tried again; the next fire time counts only for one of the schedule."""
    if task.kind is not Kind.SCHEDULED:
        return after_pause(timer, task.attempt, ending.ended_at)
    return retry_at(timer, task.fire_time, task.attempt, ending.ended_at)


def _next_attempt(run_id: int, failed: Task, now: datetime, at: datetime) -> dict[str, object]:
    """The row of a run that tries a fire time again, due at an instant."""
    fire_at = stamp(failed.fire_time)
    return {
        "id": run_id,
        "timer_id": failed.timer_id,
        "timer": failed.timer,
        "function": failed.function,
        "environment": failed.environment,
        "kind": failed.kind.value,
        "fire_at": fire_at,
        "last_fire_at": fire_at,
        "count": 1,
        "attempt": failed.attempt + 1,
        "request_id": failed.request_id,
        "claimed_at": stamp(now),
        "due_at": stamp(at),
        "message": "",
        "lines_dropped": 0,
    }
