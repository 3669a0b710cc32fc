"""Releases: claims ahead that are undone, so that their timers fire at those times as if they had not been claimed.

After a pause, another daemon may have claimed later fire times of the timer. To set `next_fire_at` back would fire
those twice; then the claim is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from ..core.run import Kind, Task
from ..core.timestamps import stamp
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk

# Timers are locked by id, before their runs: see leases.py.
_LOCK_TIMERS = Among(select(timers.c.id).order_by(timers.c.id).with_for_update(key_share=True), timers.c.id)
#: With the id of the timer as it is now: null for a removed one, whose former id may be another timer's by now.
_OURS = Among(
    select(runs.c.id, runs.c.timer_id).where(runs.c.owner == bindparam("daemon"), runs.c.outcome.is_(None)), runs.c.id
)
_LATEST_FIRES = (
    select(runs.c.timer_id, func.max(runs.c.fire_at).label("fire_at"))
    .where(runs.c.id > bindparam("first"), runs.c.kind == Kind.SCHEDULED)
    .group_by(runs.c.timer_id)
)
_DELETE = Bulk(delete(runs).where(runs.c.id == bindparam("run")), ("run",))
_SET_BACK = Bulk(
    update(timers)
    .where(timers.c.id == bindparam("timer"), timers.c.enabled)
    .where(or_(timers.c.next_fire_at.is_(None), timers.c.next_fire_at > bindparam("fire_at")))
    .values(next_fire_at=bindparam("fire_at")),
    ("fire_at", "timer"),
)


def undo_claims(connection: Connection, owner: int, tasks: Sequence[Task]) -> list[Task]:
    """Delete the runs of tasks that were claimed but not handed out, and set their timers back to those fire times.

    Returns the tasks whose claim stays, because later fire times of their timers have been claimed or counted.
    """
    _LOCK_TIMERS.rows(connection, [task.timer_id for task in tasks if task.timer_id is not None])
    rows = _OURS.rows(connection, [task.run_id for task in tasks], daemon=owner)
    timer_ids: dict[int, int | None] = {row.id: row.timer_id for row in rows}
    first = min((task.run_id for task in tasks), default=0)
    latest = {row.timer_id: row.fire_at for row in connection.execute(_LATEST_FIRES, {"first": first})}
    ours = [task for task in tasks if task.run_id in timer_ids]
    stay = [
        task
        for task in ours
        if (timer_id := timer_ids[task.run_id]) is not None and latest.get(timer_id, 0) > stamp(task.fire_time)
    ]
    staying = {task.run_id for task in stay}
    undone = [task for task in ours if task.run_id not in staying]
    _DELETE.execute(connection, [(task.run_id,) for task in undone])
    _SET_BACK.execute(
        connection,
        [(stamp(task.fire_time), timer_id) for task in undone if (timer_id := timer_ids[task.run_id]) is not None],
    )
    return stay
