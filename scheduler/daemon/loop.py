"""Daemon: the loop that sleeps, claims due timers, hands their tasks to executors, and records how the runs ended.

One thread takes the turns. It holds the lock of store_calls.py except while it waits for the store, so no other lock is
needed here. `step` is one turn, which never sleeps; `run` takes turns on a thread until it is stopped, while the watch
(watch.py) supervises it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from ..claims.claims import Claims
from ..claims.leases import Lease
from ..claims.session_lock import SessionLock
from ..clock import Clock, SteadyClock, SystemClock
from ..core.misfire import GRACE
from ..core.run import Task
from ..core.timer import Environment
from ..errors import StoreError, StoreMigratedError, StoreUnavailableError
from ..executors import Executor, Report
from ..store.database import Store
from ..store.pause_table import PauseTable
from ..store.retention import KEEP, Retention
from ..store.timers import TimerTable
from ..store.tzdata_updates import TzdataUpdates
from ..store.wake_socket import WakeSocket
from .agenda import Agenda
from .cancellations import Cancellations
from .claim_ahead import ClaimAhead
from .claimer import Claimer
from .collector import Collector
from .dispatch import Dispatch
from .events import Listener, log_breaker, log_unreadable
from .finished_timers import FinishedTimers
from .give_back import give_back, give_back_all
from .health import Health
from .next_turn import NextTurn
from .pauses import Pauses
from .recorder import Recorder
from .result_buffer import ResultBuffer
from .run_pings import Messenger, RunPings
from .sleeper import Sleeper
from .store_calls import StoreCalls
from .system_clock_setback import SystemClockSetback
from .turn_errors import RETRY_S, TurnErrors
from .upkeep import Upkeep
from .watch import Watch

log = logging.getLogger("scheduler.daemon")

#: How long to wait after handing out tasks before claiming more: a worker may need the daemon's processor to begin.
HEAD_START_S = 0.001
#: How long where nothing more is due, unless a worker reports something before.
WORKERS_FIRST_S = 0.004


class Daemon:
    """Fires the timers of a store, each on the executor of its environment.

    The history keeps runs that ended less than `keep` ago, and of each timer the latest `keep_runs`, 0 = all.
    `listener(ended, lines)` is called, on the loop's thread, with everything that was just recorded. `courier` delivers
    alerts and sends pings.
    """

    def __init__(
        self,
        store: Store,
        executors: Mapping[Environment, Executor],
        *,
        clock: Clock | None = None,
        grace: timedelta = GRACE,
        keep: timedelta = KEEP,
        keep_runs: int = 0,
        listener: Listener | None = None,
        courier: Messenger | None = None,
    ) -> None:
        self._calls = StoreCalls()
        self._store = store = store.watched_by(self._calls)
        self._dispatch = Dispatch(executors, self._calls)
        self._clock = SteadyClock(clock or SystemClock())
        self._session_lock = SessionLock(store)
        self._lease = Lease(store, self._session_lock, fleet=self._dispatch.fleets)
        self._claims = Claims(store, self._lease, grace=grace, on_breaker=log_breaker, on_unreadable=log_unreadable)
        self._run_pings = self._dispatch.run_pings = RunPings(self._claims.ping_urls, courier)
        self._claim_ahead = ClaimAhead(self._claims, self._clock, grace=grace)
        retention = Retention(store, keep, keep_runs)
        self._upkeep = Upkeep(
            store, self._lease, self._claims, self._dispatch, retention, self._clock, TzdataUpdates(store)
        )
        self._system_clock_setback = SystemClockSetback(self._clock, self._claim_ahead, TimerTable(store))
        self._pauses = Pauses(PauseTable(store), self._claim_ahead, self._clock)
        self._finished = FinishedTimers(store, self._clock)
        self._cancellations = Cancellations(self._claims, self._claim_ahead, self._dispatch, self._clock)
        self._wake_socket = WakeSocket()
        self._sleeper = Sleeper(store, self._clock)
        self._results = ResultBuffer()
        self._agenda = Agenda()
        #: Whether the last turn ended with the hand-out, to leave the processors to the workers.
        self.gave_head_start = False
        #: Whether it has ended without a call of `stop`, because a newer version has migrated the store.
        self.has_ended_itself = False
        self._recorder = Recorder(
            self._claims, self._results, self._agenda, self._dispatch, self._calls, listener, self._run_pings
        )
        self._next_turn = NextTurn(
            self._agenda, self._claim_ahead, self._dispatch, self._lease, self._results, self._clock
        )
        self._claimer = Claimer(
            self._claims, self._claim_ahead, self._dispatch, self._agenda, self._results, self._clock, self._hand_out
        )
        self._health = Health(store, self._clock, retry_s=RETRY_S)
        self._watch = Watch(self._calls, store, self._clock, self._health)
        self._watch.guard(self._dispatch, self._claim_ahead)
        self._collector = Collector(self._watch, self._dispatch, self._results, self._clock)
        self._turn_errors = TurnErrors(
            self._agenda,
            self._claims,
            self._claim_ahead,
            self._collector,
            self._dispatch,
            self._health,
            self._next_turn,
            self._results,
            self._upkeep,
        )

    def run(self) -> None:
        """Take turns until `stop` is called; then wait for the runs in progress, and end the lease.

        A thread of its own takes the turns. Returns in bounded time even if the store does not answer: then that thread
        ends when the call that it waits for does, and only releases what it holds.
        """
        self._watch.run(self._take_turns, self.stop)

    def _take_turns(self) -> None:
        try:
            while True:
                self._health.turn_begins()
                wait_s = self.turn()
                if self._watch.is_ending or (self._watch.is_stopping and not self._dispatch.running):
                    return
                self._health.turn_ended()
                self._sleep(wait_s)
        finally:
            self.close()

    def _sleep(self, seconds: float) -> None:
        self._watch.sleeps_until(time.monotonic() + seconds)
        try:
            has_changed = self._sleeper.sleep(seconds, self._filenos())
        except Exception as error:
            self._health.sleep_failed(error)
            threading.Event().wait(min(seconds, RETRY_S))
            has_changed = True
        if has_changed:
            self._agenda.check_everything()
            self._claim_ahead.refresh()

    def stop(self) -> None:
        """Begin no more runs, and end when the runs in progress have ended; a second call ends them at once.

        Safe from any thread and from a signal handler.
        """
        self._watch.stop()
        self._wake_socket.wake()

    def wake(self) -> None:
        """Take the next turn now, and read what has changed; safe from any thread."""
        self._wake_socket.wake()

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant at which a timer fires or is tried again, as of the last turn."""
        upcoming = (self._claim_ahead.next_due, self._agenda.upcoming.next_due)
        return min((due for due in upcoming if due is not None), default=None)

    @property
    def running(self) -> int:
        """How many runs are in progress or wait for a worker, except those of a fleet."""
        return self._dispatch.running

    @property
    def begun(self) -> int:
        """How many runs have begun and not ended, except those of a fleet; safe from any thread."""
        return self._dispatch.begun

    @property
    def waiting(self) -> int:
        """How many of the runs wait for a worker."""
        return self._dispatch.waiting

    @property
    def oldest_unbegun_s(self) -> float:
        """How long the oldest run that was handed out has been waiting to begin."""
        return self._dispatch.oldest_unbegun_s

    @property
    def holds_lease(self) -> bool:
        """Whether this daemon has a row in the store, as of the last turn."""
        return self._upkeep.is_registered and self._health.store_answers

    @property
    def store_answers(self) -> bool:
        """Whether the store answered in the last turn, and does not keep the current one waiting for long."""
        return self._health.store_answers

    @property
    def turn_s(self) -> float:
        """How long the current turn has taken, in seconds; 0 while the loop sleeps."""
        return self._health.turn_s

    @property
    def faults(self) -> Mapping[str, int]:
        """How many turns each kind of fault has aborted: `store`, `lease`, `unforeseen`, `sleep`."""
        return self._health.faults

    @property
    def passed_over(self) -> Mapping[tuple[str, str], int]:
        """How many fire times did not run, by environment and outcome."""
        return self._claims.passed_over

    def turn(self) -> float:
        """Take one turn, handle its errors, and return the seconds that the loop may sleep."""
        try:
            wait_s = self.step()
            self._run_pings.look()
        except StoreMigratedError as error:
            log.error("%s", error)
            self.has_ended_itself = True
            self.stop()
            return 0.0
        except Exception as error:
            return self._turn_errors.handle(error)
        self._health.store_answered()
        return wait_s

    def step(self) -> float:
        """Take one turn; returns the seconds until the next one.

        The order guarantees that due tasks go first. Each phase that did something ends the turn, so that the next turn
        begins by handing out the tasks that became due meanwhile. docs/architecture.md draws it.
        """
        self._check_store_and_clock()
        now = self._clock.now()
        # HAND OUT
        if self._hand_out_due(now) and (head_start_s := self._head_start_s(now)) is not None:
            self.gave_head_start = True
            return head_start_s
        self.gave_head_start = False
        self._read_wake_ups()
        # COLLECT
        self._collector.collect()
        # LEASE
        self._upkeep.keep_lease(self._agenda, now, self._wake_socket.port, is_stopping=self._watch.is_stopping)
        self._pauses.look(self._agenda, now)
        self._finished.look(self._agenda, now)
        if cancelled := self._cancellations.look(self._agenda, now).ended:
            self._results.add(Report(ended=cancelled), self._clock.monotonic())
        self._agenda.is_left_to_others = False
        monotonic = self._clock.monotonic()
        self._health.look_at_waiting(self._dispatch, self._agenda, monotonic)
        # CLAIM
        if not self._watch.is_stopping and self._may_claim(monotonic) and self._claimer.claim(now):
            return 0.0
        # RECORD
        if self._recorder.is_due(now, monotonic) and self._recorder.record():
            return 0.0 if not self._watch.is_stopping else self._next_turn.wait_s(claims=False)
        # CLAIM AHEAD
        if not self._watch.is_stopping and self._claim_upcoming(now):
            return 0.0
        # PREPARE
        self._prepare()
        return self._next_turn.wait_s(claims=not self._watch.is_stopping)

    # Before the phases

    def _check_store_and_clock(self) -> None:
        self._store.check_in_place()
        if not self._upkeep.is_registered and (latest := self._claims.last_claimed_at()) is not None:
            # The clock may have been set back while no daemon ran.
            self._clock.continue_from(latest)
        if self._system_clock_setback.check():
            self._agenda.read_upcoming_at = 0.0
        if not self._watch.is_stopping:
            # Before anything is handed out.
            self._claim_ahead.finish_release(self._clock.now())

    def _read_wake_ups(self) -> None:
        # Read both, so that neither ends the next sleep.
        if self._wake_socket.was_woken() | self._session_lock.was_notified():
            self._agenda.check_everything()
            self._claim_ahead.refresh()

    # HAND OUT

    def _hand_out_due(self, now: datetime) -> bool:
        """Hand out the tasks that were claimed ahead and are due; returns whether there were any."""
        if self._watch.is_stopping:
            give_back(self._dispatch, self._claim_ahead, now)
            return False
        due = self._claim_ahead.due(now)
        self._hand_out(due, now)
        return bool(due)

    def _head_start_s(self, now: datetime) -> float | None:
        """How long to leave the processors to the workers after a hand-out; None to go on with the turn."""
        if not self._health.store_answers:
            return None
        if self._agenda.upcoming.is_due(now):
            return HEAD_START_S
        # Timers that are due one after the other must not keep the daemon from the rest of its turn.
        return None if self.gave_head_start else min(WORKERS_FIRST_S, self._next_turn.until_hand_out_s(now))

    def _hand_out(self, tasks: Sequence[Task], now: datetime) -> None:
        if self._watch.is_stopping:
            self._dispatch.unbegun += tasks
        elif tasks:
            self._results.add(self._dispatch.hand_out(tasks, now), self._clock.monotonic())

    # CLAIM

    def _may_claim(self, monotonic: float) -> bool:
        """Whether due timers are claimed before the results are recorded, as the database and their age allow."""
        record_first = self._results.has_ended and self._store.records_before_claims
        return not (self._results.is_overdue(monotonic) or record_first)

    # CLAIM AHEAD

    def _claim_upcoming(self, now: datetime) -> bool:
        """Claim ahead once it is time to; returns whether there was anything to do."""
        begins_at = self._next_turn.claims_ahead_at(now)
        if begins_at is None or now < begins_at:
            return False
        # Until a run that has ended is recorded, its timer cannot be claimed.
        if not (self._results.has_ended and self._recorder.record()):
            self._claimer.claim_ahead(now)
        return True

    # PREPARE

    def _prepare(self) -> None:
        """Let executors prepare for many tasks that are due next, once for each fire time."""
        due = self._claim_ahead.next_due
        if due is None or due == self._agenda.prepared_for:
            return
        self._agenda.prepared_for = due
        self._dispatch.prepare(self._claim_ahead.next_crowd)

    # Sleeping

    def _filenos(self) -> list[int]:
        """The descriptors that become readable when there is something to do."""
        return [self._wake_socket.fileno(), *self._session_lock.filenos(), *self._dispatch.filenos()]

    # The end

    def close(self) -> None:
        """End runs in progress at once, abandon those without an outcome, release everything. `run` calls this."""
        try:
            if not self._calls.is_given_up:
                self._end()
        finally:
            if self._calls.is_given_up:
                self._dispatch.stop_fleets()
            self._lease.note_ended()
            self._sleeper.close()
            self._session_lock.close()
            self._wake_socket.close()

    def _end(self) -> None:
        answers = self._try_to_finish()
        self._dispatch.stop()
        self._health.close()
        # Try a store that does not answer only once: the next daemon sees that this process, or this daemon, has ended.
        if answers and self._upkeep.is_registered:
            try:
                self._lease.leave(self._clock.now())
            except StoreError as error:
                log.error("%s", error)

    def _try_to_finish(self) -> bool:
        """Release tasks that have not begun and record those that have ended; False if the store does not answer."""
        self._collector.collect_locally()
        try:
            if self._upkeep.is_registered:
                # If another file has replaced the store's, nothing is written to it.
                self._store.check_in_place()
                give_back_all(self._dispatch, self._claim_ahead, self._clock)
                self._collector.collect()
                self._recorder.record()
        except StoreUnavailableError as error:
            log.error("%s", error)
            return False
        except StoreError as error:
            log.error("%s", error)
        return True
