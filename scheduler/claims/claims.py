"""Claiming what is due, and recording how it ended: each in one transaction for everything that is at hand.

Every transaction begins by looking for the daemon's lease, and every run that it ends names the daemon as its owner. So
nothing that a daemon without a lease still does can touch what others took over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    insert,
    select,
)

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
from .batch import Batch, StateChange
from .leases import Lease, end_run, lose_probes
from .queued_runs import BACKFILLED, IN_TURN, IS_OPEN, RETRIED, WAITS_FOR_RETRY, WAITS_FOR_TURN, begun_in_turn
from .releases import undo
from .results import settle, write_endings
from .timer_cache import CachedTimer, TimerCache
from .unknown_commits import UnknownCommits

#: The most timers that one claim takes: while they run, the next ones are claimed.
CLAIM_LIMIT = 500
#: The most timers that are claimed ahead in one transaction: meanwhile nobody else can write into a SQLite file.
AHEAD_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The earliest instant at which a timer fires or is tried again, and whether runs wait for their turn."""

    next_due: datetime | None
    waits: bool
    #: When the first further attempt of a failed run is due.
    next_retry: datetime | None = None

    def waits_at(self, now: datetime) -> bool:
        """Whether there are runs to begin that wait."""
        return self.waits or (self.next_retry is not None and self.next_retry <= now)

    def is_due(self, now: datetime) -> bool:
        """Whether there may be anything to claim."""
        return self.waits_at(now) or (self.next_due is not None and self.next_due <= now)


class Claimed(NamedTuple):
    """The tasks to run, oldest first, and what there is to claim after them."""

    tasks: list[Task]
    agenda: Upcoming


class Claims:
    """What the daemon that holds `lease` takes from a store, and brings back.

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
        self._doubts = UnknownCommits()
        #: Fire times that did not run, by environment and outcome, since this daemon began.
        self.passed_over: Counter[tuple[str, str]] = Counter()
        #: Those of the claim that is being made.
        self._passing: Counter[tuple[str, str]] = Counter()

    def agenda(self) -> Upcoming:
        """What there is to claim, and when."""
        with self._store.reading() as connection:
            agenda = self._agenda(connection)
        return replace(agenda, waits=agenda.waits or bool(self._doubts.claimed))

    def latest(self) -> datetime | None:
        """When a daemon last claimed anything from this store; runs that are asked for go by the askers' clocks."""
        latest = select(runs.c.claimed_at).where(runs.c.kind == Kind.SCHEDULED).order_by(runs.c.id.desc()).limit(1)
        with self._store.reading() as connection:
            claimed_at = connection.execute(latest).scalar()
        return instant_or_none(claimed_at)

    def learn(self, due: datetime, *, most: int) -> None:
        """Read the timers that are due by then, so that their first claim need not."""
        with self._store.reading() as connection:
            self._due(connection, _DUE, {"now": stamp(due), "limit": most, "without": ""})

    def count_due(self, by: datetime, *, most: int) -> int:
        """How many timers are due by then, counted up to `most`."""
        with self._store.reading() as connection:
            query = _count(self._readable(_DUE_IDS)) if self._cache.unreadable else _COUNT_DUE
            return int(connection.execute(query, {"now": stamp(by), "most": most}).scalar_one())

    def claim(
        self,
        now: datetime,
        *,
        waits: bool = True,
        free: bool = False,
        without: Environment | None = None,
        limit: int = CLAIM_LIMIT,
    ) -> Claimed:
        """Take what is due at `now`: its runs are written and its next fire times advanced in one transaction.

        Fire times that do not run are recorded with their outcome. `waits` says whether runs may be waiting for their
        turn; where none is, nobody looks for them. `free` leaves timers alone that have open runs: some of those may
        have ended, which the store is yet to hear of. `without` leaves those of one environment alone.
        """
        self._passing.clear()
        with self._store.writing() as connection:
            self._lease.check(connection)
            tasks = self._claimed_before(connection, now)
            tasks += self._begun(connection, RETRIED, now) if waits else []
            tasks += self._begun(connection, IN_TURN, now) if waits else []
            due = {"now": stamp(now), "limit": limit, "without": without or ""}
            tasks += self._claim_due(connection, now, _TAKE_FREE if free else _TAKE_DUE, due)
            tasks += self._begun(connection, BACKFILLED, now) if waits else []
            agenda = self._agenda(connection)
            self._doubts.claimed = tasks
        self._doubts.claimed = []
        self.passed_over.update(self._passing)
        return Claimed(tasks, agenda)

    def claim_ahead(
        self, now: datetime, *, until: datetime, without: Environment | None = None, limit: int = AHEAD_LIMIT
    ) -> Claimed:
        """Take what is due by `until`, which is ahead, as far as nothing keeps it from running when its time comes.

        That is: no run of the timer is open or waits, its breaker is closed and has counted no failure, and one fire
        time is due. The tasks are to be handed out at their fire times, or brought back by `release`.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            tasks = self._claimed_before(connection, now)
            due = {"now": stamp(until), "limit": limit, "without": without or ""}
            due_rows, known = self._due(connection, _TAKE_PLAIN, due)
            busy = {row[0] for row in _BUSY.rows(connection, [row[0] for row in due_rows])}
            batch = Batch(now, until=until, owner=self._lease.id, grace=self._grace)
            for timer_id, _, since, _ in due_rows:
                if timer_id not in busy:
                    batch.begin(known[timer_id], since)
            tasks += batch.write(connection)
            agenda = self._agenda(connection)
            self._doubts.claimed = tasks
        self._doubts.claimed = []
        return Claimed(tasks, agenda)

    def release(self, tasks: Sequence[Task]) -> None:
        """Undo the claim of tasks that were not handed out: their timers fire at those times after all.

        Those are left in doubt from which another daemon has gone on meanwhile.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            stay = undo(connection, self._lease.id, tasks)
        self.doubt(stay)

    def doubt(self, tasks: Sequence[Task]) -> None:
        """Have tasks that were not handed out looked at again by the next claim."""
        self._doubts.claimed = [*self._doubts.claimed, *tasks]

    @property
    def is_in_doubt(self) -> bool:
        """Whether there are tasks of ours of which the store has to say what has become of them."""
        return bool(self._doubts.claimed)

    def record(self, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line] = ()) -> None:
        """Write how runs ended and what they printed, and what their breakers make of it, in one transaction.

        After a StoreUnavailableError, bring the same again, and what has come to it since behind it: nothing is written
        twice, even if the store had taken it in without our hearing of it.
        """
        changes: list[StateChange] = []
        with self._store.writing() as connection:
            self._lease.check(connection)
            ended, printed = self._doubts.unrecorded(connection, self._lease.id, ended, printed)
            if ended:
                write_endings(connection, self._lease.id, ended)
                changes = settle(connection, ended)
            if printed:
                connection.execute(insert(lines), [line_columns(line) for line in printed])
        self._doubts.recorded()
        self._tell(changes)

    def forget(self) -> None:
        """Without a lease, what the last transactions came to is no business of ours."""
        self._doubts = UnknownCommits()

    def _begun(self, connection: Connection, in_turn: Select[Any], now: datetime) -> list[Task]:
        return begun_in_turn(connection, in_turn, self._lease.id, now, self._grace, passed_over=self._passing)

    def _tell(self, changes: Iterable[StateChange]) -> None:
        for name, before, after in changes:
            if before.state is not after.state:
                self._on_breaker(name, before, after)

    def _claimed_before(self, connection: Connection, now: datetime) -> list[Task]:
        """The tasks of a claim that the store took in without our hearing of it: none of them has begun yet."""
        tasks: list[Task] = []
        for task in self._doubts.claimed_after_all(connection, self._lease.id):
            known = self._cache.get(task.timer_id)
            is_late = now - task.fire_time > self._grace
            if is_late and known is not None and not runs_late(known.rule.misfire):
                end_run(connection, task.run_id, Outcome.MISFIRED, now, MESSAGES[Outcome.MISFIRED])
                its_timer = select(timers).where(timers.c.id == task.timer_id).with_for_update(key_share=True)
                lose_probes(connection, connection.execute(its_timer), now)
            else:
                tasks.append(task._replace(past_due=is_late))
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

    def _agenda(self, connection: Connection) -> Upcoming:
        next_fire_at, waits, retry_at = connection.execute(self._readable(_AGENDA)).one()
        next_due_at = min((at for at in (next_fire_at, retry_at) if at is not None), default=None)
        return Upcoming(instant_or_none(next_due_at), bool(waits), instant_or_none(retry_at))

    def _claim_due(
        self, connection: Connection, now: datetime, query: Select[Any], parameters: Mapping[str, Any]
    ) -> list[Task]:
        due_rows, known = self._due(connection, query, parameters)
        if not due_rows:
            return []
        # After the rows were locked, whatever was said before: another daemon may have claimed them in between.
        open_runs = _open_runs(connection, [row[0] for row in due_rows])
        batch = Batch(now, owner=self._lease.id, grace=self._grace)
        others = [
            timer_id
            for timer_id, _, since, is_plain in due_rows
            if not (is_plain and timer_id not in open_runs and batch.begin(known[timer_id], since))
        ]
        for row in _STATES.rows(connection, others):
            batch.add(row, known[row.id], breaker_of(row), open_runs[row.id])
        tasks = batch.write(connection)
        self._tell(batch.changes)
        self._passing.update(batch.passed_over)
        return tasks


#: Whether nothing but its fire times decides what a claim does to a timer that has no open run.
_IS_PLAIN = (
    (timers.c.breaker_state == breaker.BreakerState.CLOSED)
    & (timers.c.consecutive_failures == 0)
    & timers.c.counter_run_id.is_(None)
)
_DUE = (
    select(timers.c.id, timers.c.revision, timers.c.next_fire_at, _IS_PLAIN)
    .where(timers.c.next_fire_at <= bindparam("now"), timers.c.environment != bindparam("without"))
    .order_by(timers.c.next_fire_at)
    .limit(bindparam("limit"))
)
_TAKE_DUE = _DUE.with_for_update(skip_locked=True, key_share=True)
_TAKE_FREE = _TAKE_DUE.where(~exists().where(runs.c.timer_id == timers.c.id, IS_OPEN))
_TAKE_PLAIN = _TAKE_DUE.where(_IS_PLAIN)
_DUE_IDS = select(timers.c.id).where(timers.c.next_fire_at <= bindparam("now")).limit(bindparam("most"))


def _count(query: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(query.subquery())


_COUNT_DUE = _count(_DUE_IDS)
#: A timer as it is now, as the cache has it: id:revision.
_REVISION = cast(timers.c.id, Text) + ":" + cast(timers.c.revision, Text)
#: What a claim must know of a timer where more is to be judged than its fire time, in the order of the due.
_STATES = Among(
    select(
        *(timers.c[name] for name in ("id", "next_fire_at", "counter_run_id", "counter_outcome")),
        *(timers.c[name] for name in BREAKER),
    ).order_by(timers.c.next_fire_at),
    timers.c.id,
)


# The condition says nothing new, but without it SQLite would read every timer instead of the index of the due.
_AGENDA = select(
    func.min(timers.c.next_fire_at),
    exists().where(WAITS_FOR_TURN),
    select(func.min(runs.c.due_at)).where(WAITS_FOR_RETRY).scalar_subquery(),
).where(timers.c.next_fire_at.is_not(None))


def _open_runs(connection: Connection, timer_ids: Sequence[int]) -> Counter[int]:
    """How many runs of each of these timers go on or wait, as far as its overlap policy goes by them."""
    return Counter({row[0]: row[1] for row in _OPEN_RUNS.rows(connection, timer_ids)})


#: Timers of which a run goes on or waits, for its turn or to be tried again.
_BUSY = Among(select(runs.c.timer_id).where(runs.c.outcome.is_(None)), runs.c.timer_id)
_OPEN_RUNS = Among(select(runs.c.timer_id, func.count()).where(IS_OPEN).group_by(runs.c.timer_id), runs.c.timer_id)
