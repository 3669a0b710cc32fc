"""Claims: taking due timers exclusively, and recording how their runs ended. A daemon's reads and writes.

Each write is one transaction for everything due, or for all results so far. It begins with a check of the daemon's
lease; the invariants stand in leases.py. A claim, in order:

1. runs of a claim whose commit was not answered (unknown_commits.py)
2. waiting runs: further attempts, then manual and queued ones (waiting_runs.py)
3. timers that are due (batch.py), judged by what their open runs (open_runs.py), breakers and policies say
4. backfilled runs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Text, bindparam, cast, exists, func, insert, select

from ..core import breaker
from ..core.breaker import Breaker
from ..core.misfire import GRACE, runs_late
from ..core.run import MESSAGES, Ending, Kind, Line, Outcome, Task
from ..core.timer import Environment
from ..core.timestamps import instant_or_none, stamp
from ..store.database import Store
from ..store.rows import BREAKER, breaker_of, line_columns
from ..store.schema import lines, runs, timers
from ..store.statements import Among
from .abandoned_runs import end_run, lose_probes
from .batch import Batch, StateChange
from .cancellations import end_cancelled, requested_cancellations
from .leases import Lease
from .open_runs import COUNTS_AS_OVERLAP, WAITS_FOR_RETRY, WAITS_FOR_TURN, count_overlaps, timers_with_open_runs
from .releases import give_back, undo_claims
from .results import enter_retries_and_move_breakers, write_results
from .timer_cache import CachedTimer, TimerCache
from .unknown_commits import UnknownCommits
from .waiting_runs import BACKFILLED, QUEUED, RETRIES, begin_waiting

#: The most timers that one claim takes: while they run, the next ones are claimed.
CLAIM_LIMIT = 500
#: The most timers that are claimed ahead in one transaction: meanwhile no other program can write to a SQLite file.
AHEAD_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The earliest instant at which a timer fires or is tried again, and whether runs wait for their turn."""

    next_due: datetime | None
    has_waiting: bool
    #: When the first further attempt of a failed run is due.
    next_retry: datetime | None = None

    def has_waiting_at(self, now: datetime) -> bool:
        """Whether there are waiting runs to begin."""
        return self.has_waiting or (self.next_retry is not None and self.next_retry <= now)

    def is_due(self, now: datetime) -> bool:
        """Whether there may be anything to claim."""
        return self.has_waiting_at(now) or (self.next_due is not None and self.next_due <= now)


class Claimed(NamedTuple):
    """The tasks to run, oldest first, and what there is to claim after them."""

    tasks: list[Task]
    upcoming: Upcoming


class Claims:
    """What the daemon that holds `lease` takes from a store, and writes back.

    `on_breaker(timer name, before, after)` is called for every breaker that changes its state, and
    `on_unreadable(timer name, environment, reason)` for the first timer with each reason for which triggers cannot be
    read here.
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
        self._unknown = UnknownCommits()
        #: Fire times that did not run, by environment and outcome, since this daemon began.
        self.passed_over: Counter[tuple[str, str]] = Counter()
        #: Those of the claim whose transaction is open; they count once it is committed.
        self._passing_over: Counter[tuple[str, str]] = Counter()

    # What there is to claim

    def upcoming(self) -> Upcoming:
        """What there is to claim, and when."""
        with self._store.reading() as connection:
            upcoming = self._upcoming(connection)
        return replace(upcoming, has_waiting=upcoming.has_waiting or self.has_unknown_claims)

    def last_claimed_at(self) -> datetime | None:
        """When a daemon last claimed a timer of this store; manual runs carry the time of other programs' clocks."""
        latest = select(runs.c.claimed_at).where(runs.c.kind == Kind.SCHEDULED).order_by(runs.c.id.desc()).limit(1)
        with self._store.reading() as connection:
            claimed_at = connection.execute(latest).scalar()
        return instant_or_none(claimed_at)

    def preload(self, due_by: datetime, *, limit: int) -> None:
        """Read timers that are due by then into the cache, so that their first claim need not."""
        with self._store.reading() as connection:
            self._due(connection, _DUE, {"now": stamp(due_by), "limit": limit, "without": ""})

    def count_due(self, by: datetime, *, most: int) -> int:
        """The number of timers that are due by then, counted up to `most`."""
        with self._store.reading() as connection:
            query = _count(self._readable(_DUE_IDS)) if self._cache.unreadable else _COUNT_DUE
            return int(connection.execute(query, {"now": stamp(by), "most": most}).scalar_one())

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
        """Take what is due at `now`: its runs are written and its next fire times advanced in one transaction.

        Fire times that do not run are recorded with their outcome. `waiting` says whether waiting runs are looked for.
        `skip_open` leaves out timers with open runs, for a daemon that holds results which are not recorded yet: some
        of those runs have ended. `without` leaves out the timers of one environment.
        """
        self._passing_over.clear()
        with self._store.writing() as connection:
            self._lease.check(connection)
            tasks = self._committed_claims(connection, now)
            tasks += self._begin_waiting(connection, RETRIES, now) if waiting else []
            tasks += self._begin_waiting(connection, QUEUED, now) if waiting else []
            due = {"now": stamp(now), "limit": limit, "without": without or ""}
            tasks += self._claim_due(connection, now, _TAKE_WITHOUT_OPEN if skip_open else _TAKE_DUE, due)
            tasks += self._begin_waiting(connection, BACKFILLED, now) if waiting else []
            upcoming = self._upcoming(connection)
            # Until the commit is answered, it is not known whether these are ours.
            self._unknown.claimed = tasks
        self._unknown.claimed = []
        self.passed_over.update(self._passing_over)
        return Claimed(tasks, upcoming)

    def claim_ahead(
        self, now: datetime, *, until: datetime, without: Environment | None = None, limit: int = AHEAD_LIMIT
    ) -> Claimed:
        """Take timers that are due by `until`, a later instant, and that can simply run when their time comes.

        That is: no run of the timer is open, its breaker is closed and has counted no failure, and one fire time is
        due. The tasks are handed out at their fire times, or given back by `release`.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            tasks = self._committed_claims(connection, now)
            due = {"now": stamp(until), "limit": limit, "without": without or ""}
            rows, cached = self._due(connection, _TAKE_PLAIN, due)
            # After the rows were locked, as in _claim_due.
            with_open = timers_with_open_runs(connection, [row[0] for row in rows])
            batch = Batch(now, until=until, owner=self._lease.id, grace=self._grace)
            for timer_id, _, since, _ in rows:
                if timer_id not in with_open:
                    batch.begin(cached[timer_id], since)
            tasks += batch.write(connection)
            upcoming = self._upcoming(connection)
            self._unknown.claimed = tasks
        self._unknown.claimed = []
        return Claimed(tasks, upcoming)

    def requested_cancellations(self) -> list[int]:
        """The runs of this daemon that are to be cancelled."""
        with self._store.reading() as connection:
            return requested_cancellations(connection, self._lease.id)

    def release(self, tasks: Sequence[Task], now: datetime) -> None:
        """Undo the claim of tasks that were not handed out: their timers fire at those times after all.

        Where that would fire later ones twice (releases.py), the claim stays, and the next claim returns the task.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            stay = undo_claims(connection, self._lease.id, tasks, now, self._cache)
        self.recheck(stay)

    def give_back(self, tasks: Sequence[Task], now: datetime) -> None:
        """Give back tasks that have not begun, because this daemon stops; others are told, and may begin them at once.

        After an error, pass the same again: what was given back is not touched again.
        """
        with self._store.writing_and_notifying() as connection:
            self._lease.check(connection)
            give_back(connection, self._lease.id, [*tasks, *self._unknown.claimed], now, self._cache)
        self._unknown.claimed = []

    def recheck(self, tasks: Sequence[Task]) -> None:
        """Let the next claim look up whether tasks that were not handed out are still this daemon's."""
        self._unknown.claimed = [*self._unknown.claimed, *tasks]

    @property
    def has_unknown_claims(self) -> bool:
        """Whether there are tasks whose claim may or may not have been committed."""
        return bool(self._unknown.claimed)

    def _committed_claims(self, connection: Connection, now: datetime) -> list[Task]:
        """The tasks of claims whose commit was not answered, and that are in the store; none of them has begun."""
        tasks: list[Task] = []
        committed = self._unknown.committed_claims(connection, self._lease.id)
        to_cancel = requested_cancellations(connection, self._lease.id) if committed else ()
        for task in committed:
            if task.run_id in to_cancel:
                end_cancelled(connection, task.run_id, now)
                continue
            timer = self._cache.get(task.timer_id)
            is_late = now - task.fire_time > self._grace
            if is_late and timer is not None and not runs_late(timer.rule.misfire):
                end_run(connection, task.run_id, Outcome.MISFIRED, now, MESSAGES[Outcome.MISFIRED])
                its_timer = select(timers).where(timers.c.id == task.timer_id).with_for_update(key_share=True)
                lose_probes(connection, connection.execute(its_timer), now)
            else:
                tasks.append(task._replace(past_due=is_late))
        return tasks

    def _begin_waiting(self, connection: Connection, which: Select[Any], now: datetime) -> list[Task]:
        return begin_waiting(connection, which, self._lease.id, now, self._grace, passed_over=self._passing_over)

    def _claim_due(
        self, connection: Connection, now: datetime, query: Select[Any], parameters: Mapping[str, Any]
    ) -> list[Task]:
        rows, cached = self._due(connection, query, parameters)
        if not rows:
            return []
        # A race: open runs are counted after the rows were locked, not before. In between, another daemon may have
        # claimed a timer of these and entered a run.
        open_runs = count_overlaps(connection, [row[0] for row in rows])
        batch = Batch(now, owner=self._lease.id, grace=self._grace)
        # Nearly every timer simply runs. The others are read once more, with the columns to judge them by.
        to_judge = [
            timer_id
            for timer_id, _, since, is_plain in rows
            if not (is_plain and timer_id not in open_runs and batch.begin(cached[timer_id], since))
        ]
        for row in _JUDGED.rows(connection, to_judge):
            batch.add(row, cached[row.id], breaker_of(row), open_runs[row.id])
        tasks = batch.write(connection)
        self._report_breakers(batch.changes)
        self._passing_over.update(batch.passed_over)
        return tasks

    def _due(
        self, connection: Connection, query: Select[Any], parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[int, CachedTimer]]:
        """The rows of a query for due timers, and the timers by id; without those that cannot be read here."""
        rows: Sequence[Any] = connection.execute(self._readable(query), parameters).all()
        cached = self._cache.read(connection, rows)
        if self._cache.unreadable:
            rows = [row for row in rows if cached[row[0]].rule.fault is None]
        return rows, cached

    def _readable(self, query: Select[Any]) -> Select[Any]:
        """A query for timers without those whose triggers cannot be read here: they stay due, for other daemons."""
        if not self._cache.unreadable:
            return query
        unreadable = self._store.list_parameter(sorted(self._cache.unreadable))
        return query.where(~self._store.is_among(_REVISION, "unreadable")).params(unreadable=unreadable)

    def _upcoming(self, connection: Connection) -> Upcoming:
        next_fire_at, has_waiting, retry_at = connection.execute(self._readable(_UPCOMING)).one()
        next_due_at = min((at for at in (next_fire_at, retry_at) if at is not None), default=None)
        return Upcoming(instant_or_none(next_due_at), bool(has_waiting), instant_or_none(retry_at))

    # Recording

    def record(self, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line] = ()) -> None:
        """Write how runs ended and what they printed, and move their breakers, in one transaction.

        After a StoreUnavailableError, pass the same again, followed by what has come in since: nothing is written
        twice, even where the transaction was committed but not answered.
        """
        changes: list[StateChange] = []
        with self._store.writing() as connection:
            self._lease.check(connection)
            ended, printed = self._unknown.unrecorded(connection, self._lease.id, ended, printed)
            if ended:
                write_results(connection, self._lease.id, ended)
                changes = enter_retries_and_move_breakers(connection, ended)
            if printed:
                connection.execute(insert(lines), [line_columns(line) for line in printed])
        self._unknown.record_committed()
        self._report_breakers(changes)

    def forget_unknown_commits(self) -> None:
        """After the lease was lost: another daemon has taken over the committed runs."""
        self._unknown = UnknownCommits()

    def _report_breakers(self, changes: Iterable[StateChange]) -> None:
        for name, before, after in changes:
            if before.state is not after.state:
                self._on_breaker(name, before, after)


#: Whether nothing but its fire times decides what a claim does to a timer that has no open run.
_IS_PLAIN = (
    (timers.c.breaker_state == breaker.BreakerState.CLOSED)
    & (timers.c.consecutive_failures == 0)
    & timers.c.counter_run_id.is_(None)
)
# The rows of a claim: timer id, revision, next_fire_at, is plain.
_DUE = (
    select(timers.c.id, timers.c.revision, timers.c.next_fire_at, _IS_PLAIN)
    .where(timers.c.next_fire_at <= bindparam("now"), timers.c.environment != bindparam("without"))
    .order_by(timers.c.next_fire_at)
    .limit(bindparam("limit"))
)
# Not in the order of ids, so it must not wait for a lock (leases.py, 5): SKIP LOCKED leaves a timer that another daemon
# is claiming to that daemon.
_TAKE_DUE = _DUE.with_for_update(skip_locked=True, key_share=True)
_TAKE_WITHOUT_OPEN = _TAKE_DUE.where(~exists().where(runs.c.timer_id == timers.c.id, COUNTS_AS_OVERLAP))
_TAKE_PLAIN = _TAKE_DUE.where(_IS_PLAIN)
_DUE_IDS = select(timers.c.id).where(timers.c.next_fire_at <= bindparam("now")).limit(bindparam("most"))


def _count(query: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(query.subquery())


_COUNT_DUE = _count(_DUE_IDS)
#: A timer as it is now, as the cache has it: id:revision.
_REVISION = cast(timers.c.id, Text) + ":" + cast(timers.c.revision, Text)
#: The columns needed to judge a timer that cannot simply run, in order of next_fire_at.
_JUDGED = Among(
    select(
        *(timers.c[name] for name in ("id", "next_fire_at", "counter_run_id", "counter_outcome")),
        *(timers.c[name] for name in BREAKER),
    ).order_by(timers.c.next_fire_at),
    timers.c.id,
)
# The last condition is implied, but without it SQLite would read every timer instead of the index of the due ones.
_UPCOMING = select(
    func.min(timers.c.next_fire_at),
    exists().where(WAITS_FOR_TURN),
    select(func.min(runs.c.due_at)).where(WAITS_FOR_RETRY).scalar_subquery(),
).where(timers.c.next_fire_at.is_not(None))
