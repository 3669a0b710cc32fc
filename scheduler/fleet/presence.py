"""Which workers of a fleet serve which environment: each holds a lock on PostgreSQL while it receives messages.

The server releases the locks when the worker's process or its machine is gone, so nothing has to be cleaned up. A
worker that is stopped, or whose interpreter is held, keeps them, but sends no more statements. Daemons and
`scheduler doctor` count the workers that do. The same statements show the worker that a newer version has migrated the
store.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, text, union
from sqlalchemy.exc import DBAPIError

from ..core.timer import Environment
from ..errors import StoreMigratedError, StoreUnavailableError
from ..store.database import Store
from ..store.schema import runs, timers
from ..store.upgrade import VERSION, check_unmigrated

log = logging.getLogger("scheduler.worker")

#: How often a worker checks that its session is not lost, and that the store was not migrated.
CHECK_S = 5.0
#: A worker whose session has sent nothing for this long stands still; the server may keep it waiting for 10 s.
SILENT_S = 30.0
#: The first half of the locks' numbers: "flee" in ASCII. The second is that of the environment.
_FLEET = 0x666C6565
_NUMBERS = {environment.value: number for number, environment in enumerate(Environment, start=1)}


class WorkerPresence:
    """Holds the locks of the environments that this worker serves, on a session and a thread of its own.

    It holds them from Celery's signal that the worker is ready until the signal to end. It gives that signal itself if
    a newer version has migrated the store, which may have what this version would not heed.
    """

    def __init__(self, store_url: str, environments: Sequence[str]) -> None:
        self._store_url = store_url
        self._environments = environments
        self._is_over = threading.Event()
        #: Whether this worker ends because a newer version has migrated the store.
        self.has_ended_worker = False
        # Imported here because daemons, which only count, do not need it.
        from celery.signals import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
            worker_ready,
            worker_shutting_down,
        )

        worker_ready.connect(self._begin, weak=False)
        worker_shutting_down.connect(self._end, weak=False)

    def _begin(self, **_: Any) -> None:
        threading.Thread(target=self._hold, name="presence", daemon=True).start()

    def _end(self, **_: Any) -> None:
        self._is_over.set()

    def _hold(self) -> None:
        store: Store | None = None
        while not self._is_over.is_set():
            # The code that writes to the store logs its outages.
            with contextlib.suppress(DBAPIError, StoreUnavailableError):
                store = store or Store(self._store_url)
                try:
                    self._hold_on(store)
                except StoreMigratedError as error:
                    self._end_worker(error)
                    break
            self._is_over.wait(CHECK_S)
        if store is not None:
            store.close()

    def _hold_on(self, store: Store) -> None:
        """Hold the locks until the session is lost or the worker ends."""
        session = store.own_connection()
        try:
            for environment in self._environments:
                session.execute(_LOCK, {"fleet": _FLEET, "environment": _NUMBERS[environment]})
            while not self._is_over.wait(CHECK_S):
                check_unmigrated(str(store), session.execute(select(VERSION)).scalar())
        finally:
            session.invalidate()
            session.close()

    def _end_worker(self, reason: StoreMigratedError) -> None:
        """End this process as SIGTERM does: runs in progress continue, and others begin elsewhere."""
        log.error("%s", reason)
        self.has_ended_worker = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def serving_workers(connection: Connection) -> Counter[str]:
    """How many workers serve each environment at this moment, without those that stand still."""
    return _counted(connection, "serving")


def silent_workers(connection: Connection) -> Counter[str]:
    """How many workers of each environment stand still, but have not ended."""
    return _counted(connection, "silent")


def _counted(connection: Connection, which: str) -> Counter[str]:
    names = {number: environment for environment, number in _NUMBERS.items()}
    rows = connection.execute(_COUNT, {"fleet": _FLEET, "silent_s": SILENT_S}).mappings().all()
    return +Counter({names[row["objid"]]: row[which] for row in rows if row["objid"] in names})


def unserved(store: Store, environments: Collection[str]) -> list[str]:
    """The environments among these that have enabled timers or open runs, and no worker."""
    with store.reading() as connection:
        workers = serving_workers(connection)
        needing = set(connection.execute(_NEEDING).scalars())
    return [name for name in environments if not workers[name] and name in needing]


def no_worker_serves(environments: Collection[str]) -> str:
    """The message for environments without a worker, with the fix."""
    return f"no worker serves {' and '.join(environments)}, so runs wait; start one: scheduler worker"


def stand_still(silent: Mapping[str, int]) -> str:
    """The message for workers that stand still, with the fix."""
    which = ", ".join(f"{environment}: {count}" for environment, count in silent.items())
    return (
        f"workers that have sent nothing for {SILENT_S:.0f} s ({which}): each is stopped, hangs, or has lost its "
        "network; end them with SIGKILL, and start others"
    )


_NEEDING = union(
    select(timers.c.environment).where(timers.c.next_fire_at.is_not(None)),
    select(runs.c.environment).where(runs.c.outcome.is_(None)),
)
_LOCK = text("SELECT pg_advisory_lock_shared(:fleet, :environment)")
# objsubid 2 marks a lock whose number was given in two parts.
# Of sessions of another role, the server does not show when they have last sent something; they count as serving.
_COUNT = text("""
    SELECT objid::int, count(*) FILTER (WHERE silent) AS silent, count(*) FILTER (WHERE NOT silent) AS serving
    FROM pg_locks
    CROSS JOIN LATERAL (
        SELECT coalesce(max(state_change) < clock_timestamp() - make_interval(secs => :silent_s), false) AS silent
        FROM pg_stat_activity WHERE pg_stat_activity.pid = pg_locks.pid
    ) AS session
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = :fleet
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    GROUP BY objid
""")
