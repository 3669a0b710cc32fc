"""FleetCancellations: the fleet's worker kills the child of a run that is to be cancelled, as at its limit.

The child may end its run and begin the next one at that moment. So the worker stops it first, reads and ends the row,
and only then kills it; if the row shows that the child has another run, the worker continues it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from billiard import active_children  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.signals import worker_ready  # type: ignore[import-untyped, import-not-found, unused-ignore]
from sqlalchemy.exc import DBAPIError

from ..errors import StoreUnavailableError
from ..store.database import Store
from ..store.subscription import Subscription
from .notes import read_notes
from .runs import CANCELLATIONS, FleetRuns

#: How often a worker checks its session, and how soon it opens another one after a loss.
CHECK_S, RETRY_S = 5.0, 1.0


class FleetCancellations:
    """Kills children whose runs are to be cancelled, on a session and a thread of its own."""

    def __init__(self, store_url: str, folder: Path) -> None:
        self._store_url = store_url
        self._folder = folder
        worker_ready.connect(self._begin, weak=False)

    def _begin(self, sender: Any, **_: Any) -> None:
        threading.Thread(target=self._watch, args=(sender.hostname,), name="cancellations", daemon=True).start()

    def _watch(self, node: str) -> None:
        store: Store | None = None
        while True:
            # The code that writes to the store logs its outages.
            with contextlib.suppress(DBAPIError, StoreUnavailableError):
                store = store or Store(self._store_url)
                self._listen(store, node)
            time.sleep(RETRY_S)

    def _listen(self, store: Store, node: str) -> None:
        """Cancel runs on notifications, until the session is lost."""
        session = Subscription(store, CANCELLATIONS)
        try:
            connection, fleet = session.connect(), FleetRuns(store)
            while True:
                # Also once at the beginning, because a notification may have been missed.
                self._cancel(fleet, node)
                is_notified, _, _ = select.select(session.filenos(), [], [], CHECK_S)
                if not is_notified:
                    connection.exec_driver_sql("SELECT 1")
                elif session.receive() is None:
                    return
        finally:
            session.close()

    def _cancel(self, fleet: FleetRuns, node: str) -> None:
        """Kill the children whose runs are to be cancelled according to the rows, whatever the notification says."""
        pids = {f"{node}/{child.pid}": child.pid for child in active_children()}
        for run_id, worker in fleet.to_cancel(pids):
            self._cancel_run(fleet, run_id, worker, pids[worker])

    def _cancel_run(self, fleet: FleetRuns, run_id: int, worker: str, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            is_ended = False
            try:
                lines, ended = read_notes(self._folder / str(pid), run_id)
                if ended is None:
                    printed = [line.unpacked() for line in lines]
                    is_ended = fleet.cancel(run_id, worker, datetime.now(UTC), printed)
            finally:
                if is_ended:
                    os.killpg(pid, signal.SIGKILL)
                else:
                    # The daemon notifies again while the run is open.
                    os.kill(pid, signal.SIGCONT)
