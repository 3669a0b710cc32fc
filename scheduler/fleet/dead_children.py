"""EndingWriter: kills what dead children of a fleet's worker left running, and writes the endings that they did not.

It lives in the worker's main process, which also kills the living children, to end at once, and writes the endings that
they could not write, because the store did not answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..clock import SystemClock
from ..core.alerts import AlertRule
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome
from ..errors import StoreUnavailableError
from ..store.database import Store
from ..store.outage import Outage
from .notes import read_notes, remove_left
from .runs import WORKER_STOPPED, FleetRuns

log = logging.getLogger("scheduler.worker")

#: How often to try again when the store did not answer.
RETRY_S = 0.5
#: How long a worker that ends tries to write the remaining endings.
STOP_S = 10.0


class EndingWriter:
    """Writes endings on a thread of its own, in order, as soon as the store answers.

    `run_ids` are the runs that the child's message asked for; `worker` is the child's name in the rows, `node/pid`.
    """

    def __init__(self, store_url: str, folder: Path, alerts: Sequence[AlertRule] = ()) -> None:
        self._store_url = store_url
        self._alerts = [rule.without_target() for rule in alerts]
        self._folder = folder
        self._fleet: FleetRuns | None = None
        #: Whether the worker kills its children, in order to end at once.
        self._abandons = False
        self._outage = Outage("the store", log, SystemClock(), retry_s=RETRY_S)
        self._jobs: queue.SimpleQueue[Callable[[FleetRuns], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ending writer", daemon=True)
        self._thread.start()

    def child_died(
        self, pid: int, worker: str, run_ids: Sequence[int], channel: str, outcome: Outcome, error: str
    ) -> None:
        """End the run of a dead child with `outcome`, and hand back the runs that it had not begun."""
        if self._abandons:
            self.child_was_killed(pid, worker)
            return
        ending = Ending(outcome=outcome, verdict=Verdict.FAILURE, ended_at=datetime.now(UTC), error=error)
        _kill_group(pid)

        def write(fleet: FleetRuns) -> None:
            run_id = fleet.run_of(worker, run_ids)
            if run_id is not None:
                lines, ended = read_notes(self._folder / str(pid), run_id)
                if ended is None:
                    log.warning("run %s: %s", run_id, error)
                how = ending if ended is None else ended.ending.unpacked()
                fleet.end(run_id, worker, how, [line.unpacked() for line in lines])
            fleet.announce_unbegun(run_ids, channel)

        self._jobs.put(write)

    def abandon_from_now_on(self) -> None:
        """Abandon the runs of children that die from now on: the worker kills them."""
        self._abandons = True

    def child_was_killed(self, pid: int, worker: str) -> None:
        """Kill a child with what its function started; abandon its run, unless that had ended."""
        _kill_group(pid)

        def write(fleet: FleetRuns) -> None:
            run_id = fleet.run_of(worker)
            if run_id is None:
                return
            lines, ended = read_notes(self._folder / str(pid), run_id)
            printed = [line.unpacked() for line in lines]
            if ended is not None:
                fleet.end(run_id, worker, ended.ending.unpacked(), printed, channel=ended.channel)
                return
            if printed:
                fleet.add_lines(printed)
            fleet.abandon(run_id, worker, datetime.now(UTC), WORKER_STOPPED)

        self._jobs.put(write)

    def ended_unwritten(self, pid: int, run_id: int, run_ids: Sequence[int], channel: str) -> None:
        """Write the ending that a living child could not write, and hand back the runs that it had not begun."""
        others = [each for each in run_ids if each != run_id]

        def write(fleet: FleetRuns) -> None:
            lines, ended = read_notes(self._folder / str(pid), run_id)
            if ended is None:
                log.error("the ending of run %s is lost; its daemon will abandon it", run_id)
            else:
                printed = [line.unpacked() for line in lines]
                fleet.end(run_id, ended.worker, ended.ending.unpacked(), printed, channel=ended.channel)
                remove_left(self._folder / str(pid), run_id)
            if others:
                fleet.announce_unbegun(others, channel)

        self._jobs.put(write)

    def hand_back(self, run_ids: Sequence[int], channel: str) -> None:
        """Notify the daemon that runs have not begun, and may have to be published again."""
        self._jobs.put(lambda fleet: fleet.announce_unbegun(run_ids, channel))

    def close(self, timeout_s: float = STOP_S) -> None:
        """Write the remaining endings, for `timeout_s` at most."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        # At the start, because a store that a newer version has migrated meanwhile can be written to, but not opened.
        with contextlib.suppress(StoreUnavailableError):
            self._fleet = self._opened()
        while (job := self._next_job()) is not None:
            while not self._try(job):
                time.sleep(RETRY_S)

    def _next_job(self) -> Callable[[FleetRuns], None] | None:
        """The next job; meanwhile, an outage of the store ends when it has answered for long enough."""
        while (over_in_s := self._outage.over_in_s) is not None:
            with contextlib.suppress(queue.Empty):
                return self._jobs.get(timeout=over_in_s + 0.01)
            self._outage.answered()
        return self._jobs.get()

    def _opened(self) -> FleetRuns:
        return FleetRuns(Store(self._store_url, alerts=self._alerts))

    def _try(self, job: Callable[[FleetRuns], None]) -> bool:
        try:
            self._fleet = self._fleet or self._opened()
            job(self._fleet)
        except StoreUnavailableError as error:
            self._outage.failed(str(error))
            return False
        except Exception:
            log.exception("an ending was not written; its daemon will abandon the run")
        self._outage.answered()
        return True


def _kill_group(pid: int) -> None:
    """Kill a child and the processes that its function started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
