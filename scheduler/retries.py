"""Entering further attempts of failed runs: each a row of its own, which waits until it is due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from .core.breaker import Verdict
from .core.retry import retry_at
from .core.run import Ending, Kind, Task
from .core.timestamps import stamp
from .store.rows import new_run_ids, timer_of
from .store.schema import runs, timers
from .store.statements import Among, Bulk


def enter_retries(connection: Connection, ended: Sequence[tuple[Task, Ending]]) -> Collection[int]:
    """Enter the next attempts of runs that failed and are to be tried again; the ids of those runs.

    In the transaction that records how they ended, so that no attempt is lost with a daemon.
    """
    failed = [
        (task, ending)
        for task, ending in ended
        if ending.verdict is Verdict.FAILURE and task.kind is Kind.SCHEDULED and task.timer_id is not None
    ]
    timer_ids = {task.timer_id for task, _ in failed if task.timer_id is not None}
    persistent = {row.id: timer_of(row) for row in _PERSISTENT.rows(connection, sorted(timer_ids))}
    retried = [
        (task, ending, at)
        for task, ending in failed
        if (timer := persistent.get(task.timer_id or 0)) is not None
        and (at := retry_at(timer, task.fire_time, task.attempt, ending.ended_at)) is not None
    ]
    if retried:
        _TRIED_AGAIN.execute(connection, [(stamp(at), task.run_id) for task, _, at in retried])
        run_ids = new_run_ids(connection, len(retried))
        connection.execute(
            insert(runs),
            [
                _attempt(run_id, task, ending.ended_at, at)
                for run_id, (task, ending, at) in zip(run_ids, retried, strict=True)
            ],
        )
    return {task.run_id for task, _, _ in retried}


def _attempt(run_id: int, failed: Task, now: datetime, at: datetime) -> dict[str, object]:
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


_PERSISTENT = Among(select(timers).where(timers.c.retries > 0), timers.c.id)
_TRIED_AGAIN = Bulk(
    update(runs).where(runs.c.id == bindparam("run")).values(retry_at=bindparam("retry_at")), ("retry_at", "run")
)
