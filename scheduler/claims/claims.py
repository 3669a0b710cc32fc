"""Claims: takes due timers exclusively, and records how their runs ended: all reads and writes of a daemon.

Each write is one transaction for everything due, or for all results so far. It begins with a check of the daemon's
lease; leases.py lists the invariants. A claim, in order:

1. runs of a claim whose commit was not answered (unknown_commits.py)
2. waiting runs: further attempts, then manual and queued ones (waiting_runs.py)
3. timers that are due (due_timers.py, batch.py), judged by their open runs (open_runs.py), breakers and policies
4. backfilled runs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, insert, select

from ..core.alerts import AlertEvent
from ..core.breaker import Breaker
from ..core.misfire import GRACE, runs_late
from ..core.run import MESSAGES, Ending, Kind, Line, Outcome, Task
from ..core.timer import Environment
from ..core.timestamps import instant_or_none, stamp
from ..store.alert_recording import write_alerts
from ..store.database import Store, store_of
from ..store.entered_runs import enter_run
from ..store.rows import breaker_of, line_columns, timer_of
from ..store.schema import lines, runs, timers
from ..store.statements import Bulk, Query
from .abandoned_runs import end_run, lose_probes
from .alert_causes import events_of_passed_over
from .batch import Batch, StateChange
from .cancellations import end_cancelled, requested_cancellations
from .due_timers import DUE, JUDGED, TAKE_DUE, TAKE_PLAIN, TAKE_WITHOUT_OPEN, DueTimers, Upcoming
from .leases import Lease
from .open_runs import (
    count_overlaps,
    timers_with_open_runs,
)
from .releases import give_back, give_back_paused, uncount, undo_claims
from .results import enter_retries_and_move_breakers, write_results
from .timer_cache import CachedTimer, TimerCache
from .unknown_commits import UnknownCommits
from .waiting_runs import BACKFILLED, QUEUED, RETRIES, begin_waiting

#: The most timers that one claim takes; while they run, the daemon claims the next ones.
CLAIM_LIMIT = 500
#: The most timers that are claimed ahead in one transaction: meanwhile no other program can write to a SQLite file.
AHEAD_LIMIT = 1_000


class Claimed(NamedTuple):
    """The tasks to run, oldest first, and the upcoming timers after them."""

    tasks: list[Task]
    upcoming: Upcoming


class Claims:
    """The claims and records of the daemon that holds `lease`.

    It calls `on_breaker(timer name, before, after)` for every breaker that changes its state, and
    `on_unreadable(timer name, environment, reason)` once for each reason why a trigger cannot be read here.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        *,
        grace: timedelta = GRACE,
        on_breaker: Callable[[str, Breaker, Breaker], None] | None = None,
        on_unreadable: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self._store = store
        self._lease = lease
        self._grace = grace
        self._on_breaker = on_breaker or (lambda *_: None)
        self._cache = TimerCache(on_unreadable or (lambda *_: None))
        self._due = DueTimers(store, self._cache)
        self._unknown = UnknownCommits()
        #: Whether the last claim has requested that other runs end, of this daemon or of others.
        self.is_cancelling = False
        #: Whether a timer has been claimed for its last fire time, until the daemon has looked for finished ones.
        self.has_finished = False
        #: The number of fire times that did not run since this daemon began, by environment and outcome.
        self.passed_over: Counter[tuple[str, str]] = Counter()
        #: The same for the claim whose transaction is open; added once it is committed.
        self._passing_over: Counter[tuple[str, str]] = Counter()
        #: The events of alerts, of runs that end without having begun, in the claim whose transaction is open.
        self._events: list[AlertEvent] = []

    @property
    def ping_urls(self) -> Mapping[int, str]:
        """The ping addresses of timers, by id, as they were read for claims."""
        return self._cache.ping_urls

    # Upcoming timers

    def upcoming(self) -> Upcoming:
        """Read when the next timer, further attempt and waiting run can be claimed."""
        with self._store.reading() as connection:
            upcoming = self._due.upcoming(connection)
        return replace(upcoming, has_waiting=upcoming.has_waiting or self.has_unknown_claims)

    def last_claimed_at(self) -> datetime | None:
        """When a daemon last claimed a timer; ignores manual runs, which have the time of other programs' clocks."""
        latest = select(runs.c.claimed_at).where(runs.c.kind == Kind.SCHEDULED).order_by(runs.c.id.desc()).limit(1)
        with self._store.reading() as connection:
            claimed_at = connection.execute(latest).scalar()
        return instant_or_none(claimed_at)

    def preload(self, due_by: datetime, *, limit: int) -> None:
        """Read the timers that are due by an instant into the cache, so that their first claim is fast."""
        with self._store.reading() as connection:
            self._due.read(connection, DUE, {"now": stamp(due_by), "limit": limit, "without": ""})

    def count_due(self, by: datetime, *, most: int) -> int:
        """The number of timers that are due by an instant, counted up to `most`."""
        with self._store.reading() as connection:
            return self._due.count(connection, by, most)

    # Claiming

    def claim(
        self,
        now: datetime,
        *,
        waiting: bool = True,
        skip_open: bool = False,
        without: Environment | None = None,
        limit: int = CLAIM_LIMIT,
    ) -> Claimed:
        """Claim the timers that are due at `now`: write their runs and next fire times in one transaction.

        Fire times that do not run are recorded with their outcome. `waiting` also begins waiting runs. `skip_open`
        leaves out timers with open runs, for a daemon with unrecorded results: some of those runs have ended. `without`
        leaves out the timers of one environment.
        """
        self._passing_over.clear()
        self._events = []
        self.is_cancelling = False
        with self._store.writing() as connection:
            self._lease.check_to_begin(connection)
            tasks = self._committed_claims(connection, now)
            tasks += self._begin_waiting(connection, RETRIES, now) if waiting else []
            tasks += self._begin_waiting(connection, QUEUED, now) if waiting else []
            due = {"now": stamp(now), "limit": limit, "without": without or ""}
            tasks += self._claim_due(connection, now, TAKE_WITHOUT_OPEN if skip_open else TAKE_DUE, due)
            tasks += self._begin_waiting(connection, BACKFILLED, now) if waiting else []
            if self._events:
                write_alerts(connection, self._events)
            upcoming = self._due.upcoming(connection)
            # Until the commit is answered, it is unknown whether this daemon has these tasks.
            self._unknown.claiming(tasks)
        self._unknown.claimed = []
        self.passed_over.update(self._passing_over)
        return Claimed(tasks, upcoming)

    def claim_ahead(
        self, now: datetime, *, until: datetime, without: Environment | None = None, limit: int = AHEAD_LIMIT
    ) -> Claimed:
        """Claim timers that are due by `until`, a later instant, and whose run no rule can prevent.

        That is: no run of the timer is open, its breaker is closed and has counted no failure, and one fire time is
        due. The tasks are handed out at their fire times, or given back by `release`.
        """
        self._events = []
        with self._store.writing() as connection:
            self._lease.check_to_begin(connection)
            tasks = self._committed_claims(connection, now)
            due = {"now": stamp(until), "limit": limit, "without": without or ""}
            rows, cached = self._due.read(connection, TAKE_PLAIN, due)
            # Only after the rows were locked, as in _claim_due.
            with_open = timers_with_open_runs(connection, [row[0] for row in rows])
            batch = Batch(now, until=until, owner=self._lease.id, grace=self._grace, alerts=store_of(connection).alerts)
            for timer_id, _, since in rows:
                if timer_id not in with_open:
                    batch.begin(cached[timer_id], since)
            tasks += batch.write(connection)
            self._events += batch.events()
            if self._events:
                write_alerts(connection, self._events)
            self.has_finished |= batch.finishes
            upcoming = self._due.upcoming(connection)
            self._unknown.claiming(tasks)
        self._unknown.claimed = []
        return Claimed(tasks, upcoming)

    def enter_start_runs(self, now: datetime) -> None:
        """Enter a run of each timer with fire_on_start, once for this daemon's start."""
        with self._store.writing() as connection:
            self._lease.check_to_begin(connection)
            if not self._lease.note_start_fired(connection):
                # The transaction was committed, and not answered.
                return
            rows = connection.execute(select(timers).where(timers.c.fire_on_start, timers.c.enabled)).all()
            for row in rows:
                timer = timer_of(row, connection)
                if timer.has_in_window(now):
                    enter_run(connection, row.id, timer, Kind.ON_START, now)

    def notify_others(self) -> None:
        """Wake the other daemons, because one of their runs is to be cancelled."""
        if self._lease.other_daemons:
            with self._store.writing_and_notifying():
                pass

    def requested_cancellations(self) -> list[int]:
        """The runs of this daemon that are to be cancelled."""
        with self._store.reading() as connection:
            return requested_cancellations(connection, self._lease.id)

    def release(self, tasks: Sequence[Task], now: datetime) -> None:
        """Undo the claim of tasks that were not handed out, so that their timers fire at those times after all.

        If that would fire later ones twice (releases.py), the claim stays, and the next claim returns the task.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            stay = undo_claims(connection, self._lease.id, tasks, now, self._cache)
        self.recheck(stay)

    def give_back(self, tasks: Sequence[Task], now: datetime) -> None:
        """Give back tasks that have not begun, because this daemon stops; notifies others, which may begin them.

        After an error, pass the same tasks again; those already given back are left alone.
        """
        with self._store.writing_and_notifying() as connection:
            self._lease.check(connection)
            give_back(connection, self._lease.id, [*tasks, *self._unknown.claimed], now, self._cache)
        self._unknown.claimed = []

    def recheck(self, tasks: Sequence[Task]) -> None:
        """Have the next claim check whether this daemon still has these tasks, which were not handed out."""
        self._unknown.claimed = [*self._unknown.claimed, *tasks]

    @property
    def has_unknown_claims(self) -> bool:
        """Whether there are tasks whose claim may or may not have been committed."""
        return bool(self._unknown.claimed)

    def _committed_claims(self, connection: Connection, now: datetime) -> list[Task]:
        """The tasks, in the store, of claims whose commit was not answered; none of them has begun.

        Without those that were cancelled, whose timers were paused, or that are too late: they do not begin.
        """
        tasks: list[Task] = []
        committed = self._unknown.committed_claims(connection, self._lease.id)
        if not committed:
            return tasks
        to_cancel = requested_cancellations(connection, self._lease.id)
        wanted: list[Task] = []
        for task in committed:
            if task.run_id in to_cancel:
                end_cancelled(connection, task.run_id, now)
            else:
                wanted.append(task)
        begin, missed = give_back_paused(connection, self._lease.id, wanted, now, self._cache)
        for task in missed:
            self._miss(connection, task, self._cache.get(task.timer_id), now)
        for task in begin:
            timer = self._cache.get(task.timer_id)
            late = now - task.fire_time
            is_late = late > (self._grace if timer is None or timer.rule.grace is None else timer.rule.grace)
            if is_late and timer is not None and _is_missed(task, timer, late):
                self._miss(connection, task, timer, now)
            else:
                tasks.append(task._replace(past_due=is_late))
        return tasks

    def _miss(self, connection: Connection, task: Task, timer: CachedTimer | None, now: datetime) -> None:
        """End the run of a task, which has not begun, as missed."""
        end_run(connection, task.run_id, Outcome.MISFIRED, now, MESSAGES[Outcome.MISFIRED])
        named = task.timer, task.environment
        self._events += events_of_passed_over(store_of(connection).alerts, Outcome.MISFIRED, named, task.fire_time, now)
        its_timer = select(timers).where(timers.c.id == task.timer_id).with_for_update(key_share=True)
        rows = connection.execute(its_timer).all()
        lose_probes(connection, rows, now)
        # A timer that was enabled since the claim counts anew, and this run is not of that count.
        for row in rows:
            if timer is not None and row.revision == timer.revision:
                uncount(connection, row, task, timer.rule.schedule)

    def _begin_waiting(self, connection: Connection, which: Select[Any], now: datetime) -> list[Task]:
        return begin_waiting(
            connection,
            which,
            self._lease.id,
            now,
            self._grace,
            passed_over=self._passing_over,
            events=self._events,
            on_timer=self._cache.note_ping_url,
        )

    def _claim_due(
        self, connection: Connection, now: datetime, query: Query, parameters: Mapping[str, Any]
    ) -> list[Task]:
        rows, cached = self._due.read(connection, query, parameters)
        if not rows:
            return []
        # A race: count open runs only after the rows are locked, because another daemon may have claimed one of these
        # timers in between and entered a run.
        open_runs = count_overlaps(connection, [row[0] for row in rows])
        batch = Batch(now, owner=self._lease.id, grace=self._grace, alerts=store_of(connection).alerts)
        # Nearly every timer simply runs. Read the others again, with the columns to judge them by.
        to_judge = [
            timer_id
            for timer_id, _, since, is_plain in rows
            if not (is_plain and timer_id not in open_runs and batch.begin(cached[timer_id], since))
        ]
        for row in JUDGED.rows(connection, to_judge):
            batch.add(row, cached[row.id], breaker_of(row), open_runs[row.id])
        tasks = batch.write(connection)
        self._events += batch.events()
        self.has_finished |= batch.finishes
        self._report_breakers(batch.changes)
        self._passing_over.update(batch.passed_over)
        self.is_cancelling |= bool(batch.cancelling)
        return tasks

    # Recording

    def record(self, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line] = ()) -> None:
        """Write the endings and the lines of runs, and move breakers, in one transaction.

        After a StoreUnavailableError, pass the same again, followed by newer results: nothing is written twice, even if
        the transaction was committed but not answered.
        """
        changes: list[StateChange] = []
        with self._store.writing() as connection:
            self._lease.check(connection)
            ended, printed = self._unknown.unrecorded(connection, self._lease.id, ended, printed)
            if ended:
                write_results(connection, self._lease.id, ended)
                changes = enter_retries_and_move_breakers(connection, ended)
            if printed:
                _LINES.execute(connection, [tuple(line_columns(line).values()) for line in printed])
        self._unknown.record_committed()
        self._report_breakers(changes)

    def forget_unknown_commits(self) -> None:
        """Forget them after the lease was lost, because another daemon has taken over the committed runs."""
        self._unknown = UnknownCommits()

    def _report_breakers(self, changes: Iterable[StateChange]) -> None:
        for name, before, after in changes:
            if before.state is not after.state:
                self._on_breaker(name, before, after)


_LINES = Bulk(insert(lines), ("run_id", "at", "level", "text"))


def _is_missed(task: Task, timer: CachedTimer, late: timedelta) -> bool:
    """Whether a claimed task is too late to begin. A requested run never is, nor one that was late when claimed."""
    may_be = task.kind == Kind.SCHEDULED and task.attempt == 1 and not task.past_due
    return may_be and not runs_late(timer.rule.misfire, late, timer.rule.catch_up)
