"""Releases: claims ahead that are undone, so that the timers fire at those times as if nobody had claimed them.

A daemon that stood still may come too late for that: another one has gone on from there. To fire again from the earlier
time would be to fire twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, or_, select, update

from ..core.run import Kind, Task
from ..core.timestamps import stamp
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk

_LOCKED = Among(select(timers.c.id).order_by(timers.c.id).with_for_update(key_share=True), timers.c.id)
#: A timer that was removed is no longer named by its runs, and its id may be another's by now.
_OURS = Among(
    select(runs.c.id, runs.c.timer_id).where(runs.c.owner == bindparam("daemon"), runs.c.outcome.is_(None)), runs.c.id
)
_LATER = (
    select(runs.c.timer_id, func.max(runs.c.fire_at).label("fire_at"))
    .where(runs.c.id > bindparam("first"), runs.c.kind == Kind.SCHEDULED)
    .group_by(runs.c.timer_id)
)
_FORGET = Bulk(delete(runs).where(runs.c.id == bindparam("run")), ("run",))
_FIRE_AGAIN = Bulk(
    update(timers)
    .where(timers.c.id == bindparam("timer"), timers.c.enabled)
    .where(or_(timers.c.next_fire_at.is_(None), timers.c.next_fire_at > bindparam("fire_at")))
    .values(next_fire_at=bindparam("fire_at")),
    ("fire_at", "timer"),
)


def undo(connection: Connection, owner: int, tasks: Sequence[Task]) -> list[Task]:
    """Forget the runs of a daemon's tasks that were not handed out, and have their timers fire again.

    Returns the tasks that stay as they are, because later fire times of their timers are claimed or counted already.
    """
    _LOCKED.rows(connection, [task.timer_id for task in tasks if task.timer_id is not None])
    found = _OURS.rows(connection, [task.run_id for task in tasks], daemon=owner)
    named: dict[int, int | None] = {row.id: row.timer_id for row in found}
    first = min((task.run_id for task in tasks), default=0)
    latest = {row.timer_id: row.fire_at for row in connection.execute(_LATER, {"first": first})}
    ours = [task for task in tasks if task.run_id in named]
    stay = [
        task
        for task in ours
        if (timer_id := named[task.run_id]) is not None and latest.get(timer_id, 0) > stamp(task.fire_time)
    ]
    kept = {task.run_id for task in stay}
    undone = [task for task in ours if task.run_id not in kept]
    _FORGET.execute(connection, [(task.run_id,) for task in undone])
    again = [(stamp(task.fire_time), timer_id) for task in undone if (timer_id := named[task.run_id]) is not None]
    _FIRE_AGAIN.execute(connection, again)
    return stay
