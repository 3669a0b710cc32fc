"""The writes of one claim: gathered timer by timer, sent as a few statements.

Timers that have the same trigger and are due at the same time get the same fire times, so those are computed once.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, update

from .breaker import CLOSED, Breaker
from .bulk import Bulk
from .misfire import Due, due
from .plan import Entry, plan
from .rows import BREAKER, NEW_RUN, Known, breaker_columns, new_begun_run, new_run, new_run_ids
from .run import Kind, Outcome, Task
from .schema import runs, timers
from .stamps import instant, stamp, stamp_or_none

#: The name of a timer, and its breaker before and after.
StateChange = tuple[str, Breaker, Breaker]

#: Consecutive fire times of these outcomes are counted in one row: a one-second timer would write 86,400 rows a day.
_COALESCED = frozenset({Outcome.SHORT_CIRCUITED.value, Outcome.SKIPPED_OVERLAP.value})


class Batch:
    """What a claim at `now` does to the timers that are due."""

    def __init__(self, now: datetime, *, owner: int, grace: timedelta) -> None:
        self._now = now
        self._claimed_at = stamp(now)
        self._late_before = now - grace
        self._grace = grace
        self._owner = owner
        self._found: dict[Hashable, _Found] = {}
        self._new_runs: list[list[Any]] = []
        self._to_run: list[tuple[list[Any], Known, datetime]] = []
        self._advanced: list[tuple[int | None, int]] = []
        self._changed: list[_Change] = []
        self._counted: list[tuple[int, int, int]] = []
        self.changes: list[StateChange] = []

    def add(self, row: Row[Any], known: Known, breaker: Breaker, open_runs: int) -> None:
        """Judge what is due of one timer; `row` has its id, next_fire_at and tail."""
        found = self._due(known, row.next_fire_at)
        if breaker is CLOSED and not open_runs and found.single is not None and row.tail_run_id is None:
            run = new_begun_run(known, found.single, self._claimed_at, self._owner)
            self._begin(run, known, found.due.fire_times[0])
            self._advanced.append((found.next_fire_at, row.id))
            return
        planned = plan(known.timer, breaker, found.due, open_runs=open_runs)
        change = _Change(row.id, found.next_fire_at, row.tail_run_id, row.tail_outcome, planned.breaker)
        for entry in planned.entries:
            self._enter(change, known, entry)
        self._changed.append(change)
        self.changes.append((known.timer.name, breaker, planned.breaker))

    def write(self, connection: Connection) -> list[Task]:
        """Send it all; returns the tasks to run."""
        for run, run_id in zip(self._new_runs, new_run_ids(connection, len(self._new_runs)), strict=True):
            run[0] = run_id
        _NEW_RUNS.execute(connection, [tuple(run) for run in self._new_runs])
        _COUNT_IN_TAIL.execute(connection, self._counted)
        _ADVANCE.execute(connection, self._advanced)
        _CHANGE.execute(connection, [change.row() for change in self._changed])
        return [self._task(*to_run) for to_run in self._to_run]

    def _due(self, known: Known, since: int) -> _Found:
        key = since, known.rule
        found = self._found.get(key)
        if found is None:
            timer = known.timer
            what = due(timer.trigger, instant(since), self._now, timer.misfire, grace=self._grace)
            found = self._found[key] = _Found(what, _single(what), stamp_or_none(what.next_fire))
        return found

    def _begin(self, run: list[Any], known: Known, fire_time: datetime) -> None:
        self._new_runs.append(run)
        self._to_run.append((run, known, fire_time))

    def _enter(self, change: _Change, known: Known, entry: Entry) -> None:
        if entry.outcome in _COALESCED and entry.outcome == change.tail_outcome:
            self._count_in_tail(change, entry)
            return
        change.end_tail()
        if entry.outcome is None and not entry.waits:
            run = new_run(known, entry, self._claimed_at, owner=self._owner)
            self._begin(run, known, entry.fire_time)
            return
        run = new_run(known, entry, self._claimed_at)
        self._new_runs.append(run)
        if entry.outcome in _COALESCED:
            change.tail, change.tail_outcome = run, entry.outcome

    def _count_in_tail(self, change: _Change, entry: Entry) -> None:
        last_fire_at = stamp(entry.last_fire_time)
        # The row to count in may be one of this very claim, and then it is not in the store yet.
        if change.tail is not None:
            change.tail[_LAST_FIRE_AT] = last_fire_at
            change.tail[_COUNT] += entry.count
        elif change.tail_run_id is not None:
            self._counted.append((last_fire_at, entry.count, change.tail_run_id))

    def _task(self, run: list[Any], known: Known, fire_time: datetime) -> Task:
        timer_id, name, function, environment = known.names
        return Task(
            run_id=run[0],
            timer_id=timer_id,
            timer=name,
            function=function,
            environment=environment,
            params=known.params,
            limit_s=known.timer.limit_s,
            kind=Kind.SCHEDULED,
            fire_time=fire_time,
            attempt=1,
            request_id=run[_REQUEST_ID],
            past_due=fire_time < self._late_before,
        )


class _Found(NamedTuple):
    """What is due by one rule; `single` is its fire time, in microseconds, where that is one and nothing else."""

    due: Due
    single: int | None
    next_fire_at: int | None


class _Change:
    """The new state of a timer of which more than its next fire time changes."""

    __slots__ = ("breaker", "next_fire_at", "tail", "tail_outcome", "tail_run_id", "timer_id")

    def __init__(
        self,
        timer_id: int,
        next_fire_at: int | None,
        tail_run_id: int | None,
        tail_outcome: str | None,
        breaker: Breaker,
    ) -> None:
        self.timer_id, self.next_fire_at, self.breaker = timer_id, next_fire_at, breaker
        self.tail_run_id, self.tail_outcome = tail_run_id, tail_outcome
        #: The row that further fires are counted in, where it is a new one.
        self.tail: list[Any] | None = None

    def end_tail(self) -> None:
        self.tail, self.tail_run_id, self.tail_outcome = None, None, None

    def row(self) -> tuple[Any, ...]:
        tail_run_id = self.tail_run_id if self.tail is None else self.tail[0]
        state = breaker_columns(self.breaker)
        return self.next_fire_at, tail_run_id, self.tail_outcome, *(state[name] for name in BREAKER), self.timer_id


def _single(found: Due) -> int | None:
    """One fire time, on time or made up for, and nothing else: what nearly every claim of every timer is."""
    return stamp(found.fire_times[0]) if found.misfired is None and len(found.fire_times) == 1 else None


_LAST_FIRE_AT, _COUNT, _REQUEST_ID = (NEW_RUN.index(name) for name in ("last_fire_at", "count", "request_id"))
_NEW_RUNS = Bulk(insert(runs), NEW_RUN)
_COUNT_IN_TAIL = Bulk(
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(last_fire_at=bindparam("last"), count=runs.c.count + bindparam("more")),
    ("last", "more", "run"),
)
_ADVANCE = Bulk(
    update(timers).where(timers.c.id == bindparam("timer")).values(next_fire_at=bindparam("next_fire")),
    ("next_fire", "timer"),
)
_CHANGED = ("next_fire_at", "tail_run_id", "tail_outcome", *BREAKER)
_CHANGE = Bulk(
    update(timers).where(timers.c.id == bindparam("timer")).values({name: bindparam(name) for name in _CHANGED}),
    (*_CHANGED, "timer"),
)
