"""Health: the state that a daemon reports: faults, whether the store answers, how long its turn takes."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections import Counter

from ..clock import Clock
from ..store.database import Store
from ..store.outage import Outage
from .agenda import Agenda
from .dispatch import Dispatch

log = logging.getLogger("scheduler.daemon")

#: After this long, the log reports a store that does not answer, and a turn that does not end.
SLOW_STORE_S, SLOW_TURN_S = 2.0, 5.0
#: After this long, the log reports runs that wait to begin.
LONG_WAIT_S = 10.0
#: How often to check how long runs have been waiting to begin.
LOOK_AT_WAITING_S = 2.0


class Health:
    """Logs each problem once when it begins, and once when it has ended."""

    def __init__(self, store: Store, clock: Clock, *, retry_s: float) -> None:
        self._store = store
        self._outage = Outage(f"{store}: the store", log, clock, retry_s=retry_s)
        #: How many turns a fault cut short: `store`, `lease`, `unforeseen`, `sleep`.
        self.faults: Counter[str] = Counter()
        self._is_slow = False
        self._is_waiting = False
        self._do_runs_wait = False
        self._sleep_error = ""
        #: When the current turn began, in monotonic seconds; None while the loop sleeps.
        self._turn_since: float | None = None
        self._is_turn_slow = False

    @property
    def store_answers(self) -> bool:
        """Whether the store answered in the last turn, and does not keep the current one waiting for long."""
        return not self._outage.is_on and not self._is_slow

    # The store

    def store_failed(self, error: str) -> None:
        """Note that a turn ended with an error of the store."""
        self.faults["store"] += 1
        self._outage.failed(error)
        self._is_slow = self._is_waiting = False

    def loop_waits(self, away_s: float, subject: str) -> None:
        """Note that the loop has been waiting for `away_s`: for the store, or for `subject`."""
        if away_s < SLOW_STORE_S or self._is_waiting or not self.store_answers:
            return
        self._is_waiting = True
        self._is_slow = not subject
        meanwhile = "limits are kept, and what was claimed fires, but nothing more"
        if subject:
            log.warning("%s of the daemon has not returned for %.0f s; %s", subject, away_s, meanwhile)
        else:
            log.warning("%s: no answer for %.0f s; %s", self._store, away_s, meanwhile)

    def store_answered(self) -> None:
        """Note that a turn ended without an error of the store."""
        if self._is_slow:
            log.info("%s: the store answers again", self._store)
        self._is_slow = self._is_waiting = False
        self._outage.answered()

    # Workers

    def look_at_waiting(self, dispatch: Dispatch, agenda: Agenda, monotonic: float) -> None:
        """Check for how long runs have been waiting to begin, if it is time to."""
        if monotonic >= agenda.look_at_waiting:
            agenda.look_at_waiting = monotonic + LOOK_AT_WAITING_S
            self.runs_wait(dispatch.waiting, dispatch.oldest_unbegun_s)

    def runs_wait(self, waiting: int, oldest_s: float) -> None:
        """Report that `waiting` runs wait to begin, the oldest one for `oldest_s`."""
        if oldest_s >= LONG_WAIT_S and not self._do_runs_wait:
            self._do_runs_wait = True
            log.warning(
                "no worker is free: %s, the oldest for %.0f s; are there enough workers?",
                "1 run waits" if waiting == 1 else f"{waiting} runs wait",
                oldest_s,
            )
        elif oldest_s < LONG_WAIT_S / 2 and self._do_runs_wait:
            self._do_runs_wait = False
            log.info("runs begin in time again")

    def close(self) -> None:
        """Log that a problem is over, if one was logged: the daemon ends."""
        self._outage.close()

    # The loop

    def sleep_failed(self, error: Exception) -> None:
        """Note that waiting for descriptors failed; the loop still runs, but is woken less precisely."""
        self.faults["sleep"] += 1
        if str(error) != self._sleep_error:
            self._sleep_error = str(error)
            log.error("the daemon cannot sleep until there is something to do (%s); looking twice a second", error)

    def turn_begins(self) -> None:
        self._turn_since = time.monotonic()

    def turn_ended(self) -> None:
        self._turn_since = None
        if self._is_turn_slow:
            self._is_turn_slow = False
            log.info("the daemon is running again")

    @property
    def turn_s(self) -> float:
        """How long the current turn has taken; 0 while the loop sleeps."""
        since = self._turn_since
        return 0.0 if since is None else time.monotonic() - since

    def turn_is_slow(self, thread_id: int) -> None:
        """Report a turn that takes long although the loop is not waiting; `thread_id` is that of the loop."""
        if self.turn_s < SLOW_TURN_S or self._is_turn_slow:
            return
        self._is_turn_slow = True
        frame = sys._current_frames().get(thread_id)
        where = traceback.extract_stack(frame)[-1] if frame else None
        place = f"{where.filename}, line {where.lineno}, in {where.name}" if where else "an unknown place"
        log.error("the daemon has been busy for %.0f s in %s; nothing fires meanwhile", self.turn_s, place)
