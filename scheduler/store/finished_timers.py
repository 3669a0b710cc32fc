"""Removes timers with remove_when_finished, once they are finished and their last run has ended.

A declared timer stays, because its declaration would add it again.
"""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import exists, or_, select, text

from .change_recording import Author, Way, record_changes
from .database import Store
from .schema import REMOVED_WHEN_FINISHED, runs, timers
from .stored_timer import stored_timer_of
from .timer_changes import removed
from .timer_edits import delete_timer

log = logging.getLogger("scheduler.store")

_HAS_OPEN_RUN = exists().where(runs.c.timer_id == timers.c.id, runs.c.outcome.is_(None))
_FINISHED = select(timers).where(
    text(REMOVED_WHEN_FINISHED),
    timers.c.enabled.is_(True),
    timers.c.next_fire_at.is_(None),
    or_(timers.c.declared_in.is_(None), timers.c.suspended.is_not(None)),
)
_ENDED = _FINISHED.where(~_HAS_OPEN_RUN).order_by(timers.c.id)


def remove_finished(store: Store, now: datetime) -> bool:
    """Remove these timers, and record that; returns whether runs of others are in progress.

    The daemon's lease is not checked (invariant 3 in claims/leases.py).
    """
    with store.reading() as connection:
        finished, ended = (len(connection.execute(query).all()) for query in (_FINISHED, _ENDED))
    if ended:
        with store.writing() as connection:
            # Locked, then read again: a run may have been requested meanwhile.
            for row in connection.execute(_ENDED.with_for_update(of=timers, skip_locked=True)).all():
                timer = stored_timer_of(row, connection).timer
                delete_timer(connection, row.id)
                by = Author.of_process(Way.DAEMON, "it is finished, and remove_when_finished is set")
                record_changes(connection, [removed(timer)], by, now=now)
                log.info("removed the timer %s in %s: %s", row.name, row.environment, by.why, extra={"timer": row.name})
    return finished > ended
