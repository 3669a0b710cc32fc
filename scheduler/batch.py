"""The writes of one claim: gathered timer by timer, sent as a few statements.

Timers that have the same trigger and are due at the same time get the same fire times, so those are computed once.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from .breaker import CLOSED, Breaker
from .bulk import Bulk
from .misfire import Due, due
from .plan import Entry, plan
from .rows import BREAKER, NEW_RUN, breaker_columns, new_run, new_run_ids
from .run import Kind, Outcome, Task
from .schema import runs, timers
from .stamps import instant, stamp, stamp_or_none
from .timer import Timer, params_text

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
        self._found: dict[Hashable, tuple[Due, int | None]] = {}
        self._new_runs: list[list[Any]] = []
        self._to_run: list[tuple[list[Any], Timer, datetime]] = []
        self._advanced: list[tuple[int | None, int]] = []
        self._changed: list[_Change] = []
        self._counted: list[tuple[int, int, int]] = []
        self.changes: list[StateChange] = []

    def add(self, row: Row[Any], timer: Timer, breaker: Breaker, open_runs: int) -> None:
        """Judge what is due of one timer; `row` has its id, next_fire_at and tail."""
        found, next_fire_at = self._due(timer, row.next_fire_at)
        if breaker is CLOSED and not open_runs and row.tail_run_id is None and _is_simple(found):
            (fire_time,) = found.fire_times
            self._begin(row.id, timer, Entry(fire_time, fire_time))
            self._advanced.append((next_fire_at, row.id))
            return
        planned = plan(timer, breaker, found, open_runs=open_runs)
        change = _Change(row.id, next_fire_at, row.tail_run_id, row.tail_outcome, planned.breaker)
        for entry in planned.entries:
            self._enter(change, timer, entry)
        self._changed.append(change)
        self.changes.append((timer.name, breaker, planned.breaker))

    def write(self, connection: Connection) -> list[Task]:
        """Send it all; returns the tasks to run."""
        for run, run_id in zip(self._new_runs, new_run_ids(connection, len(self._new_runs)), strict=True):
            run[0] = run_id
        _NEW_RUNS.execute(connection, [tuple(run) for run in self._new_runs])
        _COUNT_IN_TAIL.execute(connection, self._counted)
        _ADVANCE.execute(connection, self._advanced)
        _CHANGE.execute(connection, [change.row() for change in self._changed])
        return [self._task(*to_run) for to_run in self._to_run]

    def _due(self, timer: Timer, since: int) -> tuple[Due, int | None]:
        key = timer.trigger, since, timer.misfire
        known = self._found.get(key)
        if known is None:
            found = due(timer.trigger, instant(since), self._now, timer.misfire, grace=self._grace)
            known = self._found[key] = found, stamp_or_none(found.next_fire)
        return known

    def _begin(self, timer_id: int, timer: Timer, entry: Entry) -> None:
        run = new_run(timer_id, timer, entry, self._claimed_at, self._owner)
        self._new_runs.append(run)
        self._to_run.append((run, timer, entry.fire_time))

    def _enter(self, change: _Change, timer: Timer, entry: Entry) -> None:
        if entry.outcome in _COALESCED and entry.outcome == change.tail_outcome:
            # The row to count in may be one of this very claim: then it has no id yet.
            if change.tail is not None:
                change.tail[_LAST_FIRE_AT], change.tail[_COUNT] = (
                    stamp(entry.last_fire_time),
                    change.tail[_COUNT] + entry.count,
                )
            elif change.tail_run_id is not None:
                self._counted.append((stamp(entry.last_fire_time), entry.count, change.tail_run_id))
            return
        if entry.outcome is None and not entry.waits:
            change.end_tail()
            self._begin(change.timer_id, timer, entry)
            return
        run = new_run(change.timer_id, timer, entry, self._claimed_at, None)
        self._new_runs.append(run)
        change.end_tail()
        if entry.outcome in _COALESCED:
            change.tail, change.tail_outcome = run, entry.outcome

    def _task(self, run: list[Any], timer: Timer, fire_time: datetime) -> Task:
        return Task(
            run_id=run[0],
            timer_id=run[1],
            timer=timer.name,
            function=timer.function,
            environment=timer.environment.value,
            params=params_text(timer.params) if timer.params else "{}",
            limit_s=timer.limit_s,
            kind=Kind.SCHEDULED,
            fire_time=fire_time,
            attempt=1,
            request_id=run[_REQUEST_ID],
            past_due=fire_time < self._late_before,
        )


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


def _is_simple(found: Due) -> bool:
    """One fire time, on time or made up for, and nothing else: what nearly every claim of every timer is."""
    return found.misfired is None and len(found.fire_times) == 1


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
