"""The daemon: the loop that waits, claims what is due, has it run, and records how it ended.

One thread does it all, so that nothing here needs a lock. A turn is: hand out what stands by and is due now, collect
what ended, record it, claim what is due or soon will be. `step` is one turn and takes no longer than its work; `run`
takes turns until it is told to stop.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ..claims.claims import Claims, Upcoming
from ..claims.leases import LOOK_TWICE_S, Lease
from ..claims.presence import Presence
from ..clock import Clock, SteadyClock, SystemClock
from ..core.misfire import GRACE
from ..core.run import Kind, Outcome, Task
from ..core.timer import Environment
from ..errors import LeaseLostError, StoreError, StoreUnavailableError
from ..executors import Executor
from ..store.database import Store
from ..store.notify import Bell
from ..store.retention import KEEP, Retention
from ..store.timers import TimerTable
from .claim_ahead import ClaimAhead
from .clock_setback import ClockSetback
from .dispatch import FULL, Dispatch
from .events import Listener, log_abandoned, log_breaker, log_unreadable
from .result_buffer import ResultBuffer
from .sleeper import Sleeper

log = logging.getLogger("scheduler.daemon")

#: The longest sleep; and so often the store is looked at, even if nobody has said that it changed.
MAX_SLEEP_S = 30.0
#: How long to wait before asking a store again that did not answer.
RETRY_S = 0.5
#: A daemon that starts reads the timers that are due this soon, so many at most: none of them waits to be read then.
LEARN_AHEAD = timedelta(minutes=1)
MAX_LEARNT = 10_000
#: When to look again where so many tasks wait for a worker that no more are claimed.
FULL_S = 0.01
#: What was handed out begins before what is due is claimed: a worker may have to wait for the daemon's processor.
HEAD_START_S = 0.001
#: How long to leave due timers to another daemon that is about to take them.
LEAVE_TO_OTHERS_S = 0.02
#: How often the history is pruned, and how soon it goes on where there is more than one portion.
PRUNE_EVERY_S, PRUNE_ON_S = 3600.0, 0.1


class Daemon:
    """Fires the timers of a store, each on the executor of its environment.

    Of the history, runs are kept that ended less than `keep` ago, and of each timer the latest `keep_runs`, 0 = all.
    `listener(ended, lines)` is told, on the daemon's thread, of everything that was just recorded.
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
    ) -> None:
        self._store = store
        self._deployment = Dispatch(executors)
        self._clock = SteadyClock(clock or SystemClock())
        self._presence = Presence(store)
        self._lease = Lease(store, self._presence, fleet=self._deployment.fleets)
        self._claims = Claims(store, self._lease, grace=grace, on_breaker=log_breaker, on_unreadable=log_unreadable)
        self._standby = ClaimAhead(self._claims, self._clock, grace=grace)
        self._retention = Retention(store, keep, keep_runs)
        self._setbacks = ClockSetback(self._clock, self._standby, TimerTable(store))
        self._listener = listener
        self._bell = Bell()
        self._sleeper = Sleeper(store, self._clock)
        self._stopping = False
        self._ending = False
        self._registered = False
        self._renew_at = 0.0
        self._look_after_others_at = 0.0
        self._prune_at = 0.0
        self._agenda = Upcoming(None, waits=False)
        self._is_left_to_others = False
        #: The fire time for which everything is ready.
        self._prepared_for: datetime | None = None
        self._look_at = 0.0
        self._outbox = ResultBuffer()
        self._faults: Counter[str] = Counter()
        #: What the store said when it did not answer; empty while it does.
        self._complaint = ""

    def run(self) -> None:
        """Take turns until `stop` is called; then let what runs here come to its end, and give up the lease."""
        try:
            while True:
                wait_s = self.turn()
                if self._ending or (self._stopping and not self._deployment.running):
                    return
                if self._sleeper.sleep(wait_s, self._filenos()):
                    self._look_at = self._look_after_others_at = 0.0
                    self._standby.refresh()
        finally:
            self.close()

    def stop(self) -> None:
        """Begin no more runs and end when those going on have ended; called again, end them at once.

        Safe from any thread and from a signal handler.
        """
        self._ending = self._stopping
        self._stopping = True
        self._bell.ring()

    def wake(self) -> None:
        """Have the loop look again now; safe from any thread."""
        self._bell.ring()

    @property
    def next_due(self) -> datetime | None:
        """The earliest instant at which a timer fires or is tried again, as of the last turn."""
        return min((due for due in (self._standby.next_due, self._agenda.next_due) if due is not None), default=None)

    @property
    def running(self) -> int:
        """How many runs are going on, those included that wait for a worker, but for those that a fleet has."""
        return self._deployment.running

    @property
    def waiting(self) -> int:
        """How many of the runs wait for a worker."""
        return self._deployment.waiting

    @property
    def holds_lease(self) -> bool:
        """Whether this daemon is entered in the store, as of the last turn."""
        return self._registered and not self._complaint

    @property
    def faults(self) -> Mapping[str, int]:
        """How many turns a fault cut short: `store`, `lease`, `unforeseen`."""
        return self._faults

    @property
    def passed_over(self) -> Mapping[tuple[str, str], int]:
        """How many fire times did not run, by environment and outcome."""
        return self._claims.passed_over

    def turn(self) -> float:
        """One turn, which outlives a store that does not answer; returns the seconds that the loop may sleep."""
        try:
            wait_s = self.step()
        except LeaseLostError as error:
            log.warning("%s; starting afresh", error)
            self._faults["lease"] += 1
            self._claims.forget()
            self._standby.forget()
            self._outbox.forget()
            self._registered = False
            return 0.0
        except StoreUnavailableError as error:
            self._complain(str(error))
            self._faults["store"] += 1
            self._look_at = 0.0
            # What stands by is handed out at its time all the same; what could not be is tried no more often.
            return min([RETRY_S, *filter(None, self._next_hand_out_s(self._clock.now()))])
        except Exception:
            # An error of this program; other timers must not pay for it.
            self._faults["unforeseen"] += 1
            log.exception("unforeseen; going on in %g s", RETRY_S)
            self._look_at = 0.0
            return RETRY_S
        self._complain("")
        return wait_s

    def _complain(self, complaint: str) -> None:
        """Say once what is wrong with the store, not twice a second, and once that all is well again."""
        if complaint and not self._complaint:
            log.error("%s; trying again every %g s", complaint, RETRY_S)
        elif self._complaint and not complaint:
            log.info("%s: the store answers again", self._store)
        self._complaint = complaint

    def step(self) -> float:
        """Hand out, collect, record, claim; returns the seconds until there may be something to do again."""
        self._store.check_in_place()
        if not self._registered and (latest := self._claims.latest()) is not None:
            # The clock may have been set back while no daemon ran.
            self._clock.continue_from(latest)
        if self._setbacks.check():
            self._look_at = 0.0
        now = self._clock.now()
        if self._hand_out_due(now) and self._agenda.is_due(now):
            return HEAD_START_S
        if self._bell.was_rung() | self._presence.was_rung():
            self._look_at = self._look_after_others_at = 0.0
            self._standby.refresh()
        self._collect()
        self._keep_lease(now)
        self._is_left_to_others = False
        monotonic = self._clock.monotonic()
        if not self._stopping and self._may_claim(monotonic) and self._claim(now):
            return 0.0
        # What is due and was not claimed may only wait for a run of its timer that ended, and is not recorded.
        is_held_up = self._agenda.is_due(now) and not self._deployment.is_full()
        # While tasks wait for a worker, the processor is theirs.
        has_time = not self._deployment.waiting and self._outbox.is_ripe(monotonic, running=self._deployment.running)
        if (is_held_up or has_time or self._outbox.is_overdue(monotonic)) and self._record():
            return 0.0 if not self._stopping else self._sleep_s()
        if not self._stopping and self._claim_ahead(now):
            return 0.0
        self._prepare()
        return self._sleep_s()

    # The parts of a turn

    def _keep_lease(self, now: datetime) -> None:
        monotonic = self._clock.monotonic()
        if not self._registered:
            self._lease.register(now, self._bell.port)
            self._registered = True
            self._renew_at = 0.0
            self._claims.learn(now + LEARN_AHEAD, most=MAX_LEARNT)
        if monotonic >= self._renew_at:
            self._lease.renew(now)
            self._renew_at = monotonic + self._lease.renew_again_s
        self._lease.show()
        if monotonic >= self._look_after_others_at:
            had_others = self._lease.others
            self._take_over(now)
            if had_others or self._lease.others:
                # They tell nobody of the further attempts that they enter.
                self._look_at = 0.0
            self._look_after_others_at = monotonic + self._lease.look_again_s
        if monotonic >= self._prune_at:
            there_is_more = self._retention.prune(now)
            self._prune_at = monotonic + (PRUNE_ON_S if there_is_more else PRUNE_EVERY_S)

    def _take_over(self, now: datetime) -> None:
        abandoned, adopted = self._lease.take_over(now, self._clock.monotonic())
        if abandoned:
            log_abandoned(abandoned)
            self._claims.passed_over.update((row.environment, Outcome.ABANDONED) for row in abandoned)
        if adopted:
            log.info("adopted %d runs of daemons that are gone", len(adopted))
            self._deployment.adopt(adopted)

    def _collect(self) -> None:
        for report in self._deployment.collect():
            self._outbox.add(report, self._clock.monotonic())

    def _record(self) -> bool:
        """Write what ended and what was printed; whether there was anything."""
        if not self._outbox:
            return False
        if self._outbox.has_ended or self._outbox.printed:
            self._claims.record(self._outbox.ended, self._outbox.printed)
        ended, printed = self._outbox.take_all()
        self._look_at = 0.0
        if self._listener is not None:
            self._listener(ended, printed)
        return True

    def _may_claim(self, monotonic: float) -> bool:
        """Whether outcomes wait until what is due is claimed; PostgreSQL would search long for timers that are free."""
        return not (
            self._outbox.is_overdue(monotonic) or (self._outbox.has_ended and self._store.records_before_claims)
        )

    def _claim(self, now: datetime) -> bool:
        """Take what is due and hand it out; whether there was anything to run."""
        monotonic = self._clock.monotonic()
        if monotonic >= self._look_at or self._claims.is_in_doubt:
            self._agenda = self._claims.agenda()
            self._look_at = monotonic + MAX_SLEEP_S
        if self._deployment.is_full() or not self._agenda.is_due(now):
            return False
        # A run that ended, but is not recorded, would keep its timer from firing.
        free = self._outbox.has_ended
        waits = self._agenda.waits_at(now) and not free
        tasks, self._agenda = self._claims.claim(now, waits=waits, free=free, without=self._without())
        self._is_left_to_others = not tasks and not free
        ahead = [task for task in tasks if _is_ahead(task, now)]
        self._standby.add(ahead)
        self._hand_out([task for task in tasks if not _is_ahead(task, now)] if ahead else tasks, now)
        return bool(tasks)

    def _claim_ahead(self, now: datetime) -> bool:
        """Take what is due soon, once it is time to; whether there was anything to do."""
        begins_at = self._claims_ahead_at(now)
        if begins_at is None or now < begins_at:
            return False
        # A run that ended, but is not recorded, would keep its timer from being claimed.
        if not (self._outbox.has_ended and self._record()):
            self._agenda = self._standby.claim(self._agenda, now, without=self._without())
        return True

    def _claims_ahead_at(self, now: datetime) -> datetime | None:
        due = self._agenda.next_due
        if due is None or due <= now or self._deployment.waiting + len(self._standby) >= FULL:
            return None
        is_busy = self._deployment.running > 0
        return self._standby.begins_at(self._agenda, now, daemons=1 + self._lease.others, is_busy=is_busy)

    def _prepare(self) -> None:
        """Let executors make ready for many tasks that are about to be handed out."""
        due = self._standby.next_due
        if due is None or due == self._prepared_for:
            return
        self._prepared_for = due
        self._deployment.prepare(self._standby.next_crowd)

    def _hand_out_due(self, now: datetime) -> bool:
        if self._stopping:
            self._standby.release()
        due = self._standby.due(now)
        self._hand_out(due, now)
        return bool(due)

    def _without(self) -> Environment | None:
        """The environment of which nothing more is claimed for the time being."""
        return next(iter(self._deployment.full()), None)

    def _hand_out(self, tasks: Sequence[Task], now: datetime) -> None:
        if tasks:
            self._outbox.add(self._deployment.hand_out(tasks, now), self._clock.monotonic())

    def _sleep_s(self) -> float:
        monotonic = self._clock.monotonic()
        waits = [MAX_SLEEP_S, self._renew_at - monotonic, self._look_after_others_at - monotonic]
        if not self._stopping:
            waits += self._next_claims_s(self._clock.now())
        if self._lease.has_suspects:
            waits.append(LOOK_TWICE_S)
        waits += self._deployment.next_checks_s()
        if (overdue_in_s := self._outbox.overdue_in_s(monotonic)) is not None:
            waits.append(overdue_in_s)
        return max(0.0, min(waits))

    def _next_claims_s(self, now: datetime) -> Iterator[float]:
        """In how many seconds something is to be handed out, and to be claimed."""
        yield from self._next_hand_out_s(now)
        if self._agenda.next_due is None:
            return
        due_in_s = (self._agenda.next_due - now).total_seconds()
        if self._deployment.is_full():
            yield max(due_in_s, FULL_S)
        elif due_in_s <= 0 and self._is_left_to_others:
            yield LEAVE_TO_OTHERS_S
        else:
            begins_at = self._claims_ahead_at(now)
            yield due_in_s if begins_at is None else (begins_at - now).total_seconds()

    def _next_hand_out_s(self, now: datetime) -> Iterator[float]:
        if self._standby.next_due is not None:
            yield max(0.0, (self._standby.next_due - now).total_seconds())

    def _filenos(self) -> list[int]:
        """What turns readable when there is something to do."""
        return [self._bell.fileno(), *self._presence.filenos(), *self._deployment.filenos()]

    def close(self) -> None:
        """End what runs at once, abandon what has no outcome, and release everything; `run` does so by itself."""
        try:
            self._collect()
            if self._registered:
                self._standby.release()
                self._record()
        except StoreError as error:
            log.error("%s", error)
        self._deployment.stop()
        try:
            if self._registered:
                self._lease.leave(self._clock.now())
        except StoreError as error:
            log.error("%s", error)
        self._sleeper.close()
        self._presence.close()
        self._bell.close()


def _is_ahead(task: Task, now: datetime) -> bool:
    """Whether a task was claimed ahead; one that was asked for begins at once, be it by a clock ahead of ours."""
    return task.fire_time > now and task.kind is Kind.SCHEDULED and task.attempt == 1
