"""The daemons of the store: where each runs, since when, and what it does."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from ...core.timestamps import instant
from ...store.daemon_locks import holders_of_locks
from ...store.schema import daemons, runs
from ...store.statistics import DaemonLease
from ..current import console
from ..rendering import render


class Instance(NamedTuple):
    """A daemon, the environments whose functions run in a fleet, and the number of its runs in progress."""

    lease: DaemonLease
    fleet: str
    running: int


def show() -> str:
    """The page."""
    now = console().now()
    instances, waiting = _read()
    return render(
        "instances.html",
        instances=sorted(instances, key=lambda instance: (not instance.lease.lives(now), instance.lease.started_at)),
        waiting=waiting,
        is_alive=any(instance.lease.lives(now) for instance in instances),
    )


def _read() -> tuple[list[Instance], int]:
    """The daemons, and the number of runs that wait; the open runs are counted by an index."""
    open_runs = select(runs.c.owner, func.count()).where(runs.c.outcome.is_(None)).group_by(runs.c.owner)
    with console().store.reading() as connection:
        with_lock = holders_of_locks(connection)
        counts = {row[0]: row[1] for row in connection.execute(open_runs)}
        found = [
            Instance(
                DaemonLease(row.host, row.pid, instant(row.started_at), instant(row.lease_until), row.id in with_lock),
                row.fleet,
                counts.get(row.id, 0),
            )
            for row in connection.execute(select(daemons).order_by(daemons.c.started_at))
        ]
    return found, counts.get(None, 0)
