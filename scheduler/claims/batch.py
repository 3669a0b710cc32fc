"""The writes of one claim: gathered timer by timer, sent as a few statements.

Timers that have the same trigger and are due at the same time get the same fire times, so those are computed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from ..core.admission import NewRun, plan_claim
from ..core.breaker import Breaker
from ..core.misfire import Due, due
from ..core.run import Kind, Outcome, Task
from ..core.timestamps import instant, stamp, stamp_or_none
from ..store.database import store_of
from ..store.rows import BREAKER, NEW_RUN, SCHEDULED, breaker_columns, new_request_ids, new_run
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk
from .timer_cache import CachedTimer, Rule

#: The name of a timer, and its breaker before and after.
StateChange = tuple[str, Breaker, Breaker]

#: Consecutive fire times of these outcomes are counted in one row: a one-second timer would write 86,400 rows a day.
_COALESCED = frozenset({Outcome.SHORT_CIRCUITED.value, Outcome.SKIPPED_OVERLAP.value})


class Batch:
    """What a claim at `now` does to the timers that are due by then, or by `until` where it claims ahead."""

    def __init__(self, now: datetime, *, owner: int, grace: timedelta, until: datetime | None = None) -> None:
        self._until = until or now
        self._claimed_at = stamp(now)
        self._late_before = now - grace
        self._grace = grace
        self._owner = owner
        self._found: dict[tuple[int, Rule], _Found] = {}
        self._new_runs: list[list[Any]] = []
        self._to_run: list[tuple[list[Any], CachedTimer, datetime]] = []
        self._changed: list[_TimerUpdate] = []
        self._counted: list[tuple[int, int, int]] = []
        self.changes: list[StateChange] = []
        #: Fire times that do not run, by environment and outcome.
        self.passed_over: Counter[tuple[str, str]] = Counter()

    def begin(self, known: CachedTimer, since: int) -> bool:
        """Let a timer run that nothing keeps from it, where one fire time is due; False where there is more to judge.

        `since` is its next_fire_at. Nothing keeps it where no run of it is open, its breaker is closed and has counted
        no failure, and no fires of it are being counted in one row: nearly every claim of every timer.
        """
        key = since, known.rule
        found = self._found.get(key) or self._find(key)
        if found.single is None:
            return False
        found.begun.append(known)
        return True

    def add(self, row: Row[Any], known: CachedTimer, breaker: Breaker, open_runs: int) -> None:
        """Judge what is due of one timer; `row` has its id, next_fire_at and tail."""
        key = row.next_fire_at, known.rule
        found = self._found.get(key) or self._find(key)
        planned = plan_claim(known.rule.overlap, breaker, found.due, open_runs=open_runs)
        change = _TimerUpdate(row.id, found.next_fire_at, row.counter_run_id, row.counter_outcome, planned.breaker)
        for entry in planned.runs:
            self._enter(change, known, entry)
        self._changed.append(change)
        self.changes.append((known.names[1], breaker, planned.breaker))

    def write(self, connection: Connection) -> list[Task]:
        """Send it all; returns the tasks to run."""
        begun = sum(len(found.begun) for found in self._found.values())
        run_ids = iter(store_of(connection).new_run_ids(connection, begun + len(self._new_runs)))
        rows, tasks = self._begun_rows_and_tasks(run_ids, new_request_ids(begun))
        for run, run_id in zip(self._new_runs, run_ids, strict=True):
            run[0] = run_id
        _BEGUN_RUNS.execute(connection, rows)
        _NEW_RUNS.execute(connection, [tuple(run) for run in self._new_runs])
        _COUNT_IN_TAIL.execute(connection, self._counted)
        self._advance(connection)
        _CHANGE.execute(connection, [change.row() for change in self._changed])
        return tasks + [self._task(*to_run) for to_run in self._to_run]

    def _begun_rows_and_tasks(
        self, run_ids: Iterator[int], request_ids: list[str]
    ) -> tuple[list[tuple[Any, ...]], list[Task]]:
        """The rows, and the tasks, of the timers that nothing kept from running."""
        owner, claimed_at, kind = self._owner, self._claimed_at, Kind.SCHEDULED
        rows: list[tuple[Any, ...]] = []
        tasks: list[Task] = []
        request_id = iter(request_ids)
        for found in self._found.values():
            if found.single is None:
                continue
            fire_at, fire_time = found.single, found.due.fire_times[0]
            past_due = fire_time < self._late_before
            # The timers first: where they end, nothing has been drawn from the others in vain.
            for known, run_id, request in zip(found.begun, run_ids, request_id, strict=False):
                _, names, params, limit_s, _ = known
                rows.append((run_id, *names, fire_at, fire_at, request, owner, claimed_at))
                tasks.append(Task(run_id, *names, params, limit_s, kind, fire_time, 1, request, past_due))
        return rows, tasks

    def _advance(self, connection: Connection) -> None:
        one_by_one: list[tuple[int | None, int]] = []
        for found in self._found.values():
            timer_ids = [known.names[0] for known in found.begun]
            if len(timer_ids) > _TOGETHER:
                _ADVANCE_ALL.execute(connection, timer_ids, next_fire=found.next_fire_at)
            else:
                one_by_one += [(found.next_fire_at, timer_id) for timer_id in timer_ids]
        _ADVANCE.execute(connection, one_by_one)

    def _find(self, key: tuple[int, Rule]) -> _Found:
        since, rule = key
        what = due(rule.trigger, instant(since), self._until, rule.misfire, grace=self._grace)
        found = self._found[key] = _Found(what)
        return found

    def _begin(self, run: list[Any], known: CachedTimer, fire_time: datetime) -> None:
        self._new_runs.append(run)
        self._to_run.append((run, known, fire_time))

    def _enter(self, change: _TimerUpdate, known: CachedTimer, entry: NewRun) -> None:
        if entry.outcome is not None:
            self.passed_over[known.names[3], entry.outcome] += entry.count
        if entry.outcome in _COALESCED and entry.outcome == change.counter_outcome:
            self._count_in_tail(change, entry)
            return
        change.end_tail()
        if entry.outcome is None and not entry.waits:
            run = new_run(known.names, entry, self._claimed_at, owner=self._owner)
            self._begin(run, known, entry.fire_time)
            return
        run = new_run(known.names, entry, self._claimed_at)
        self._new_runs.append(run)
        if entry.outcome in _COALESCED:
            change.tail, change.counter_outcome = run, entry.outcome

    def _count_in_tail(self, change: _TimerUpdate, entry: NewRun) -> None:
        last_fire_at = stamp(entry.last_fire_time)
        # The row to count in may be one of this very claim, and then it is not in the store yet.
        if change.tail is not None:
            change.tail[_LAST_FIRE_AT] = last_fire_at
            change.tail[_COUNT] += entry.count
        elif change.counter_run_id is not None:
            self._counted.append((last_fire_at, entry.count, change.counter_run_id))

    def _task(self, run: list[Any], known: CachedTimer, fire_time: datetime) -> Task:
        past_due = fire_time < self._late_before
        return Task(
            run[0],
            *known.names,
            params=known.params,
            limit_s=known.limit_s,
            kind=Kind.SCHEDULED,
            fire_time=fire_time,
            attempt=1,
            request_id=run[_REQUEST_ID],
            past_due=past_due,
        )


class _Found:
    """What is due by one rule from one instant on, and the timers that run for it, nothing keeping them."""

    __slots__ = ("begun", "due", "next_fire_at", "single")

    def __init__(self, what: Due) -> None:
        self.due = what
        #: The one fire time, in microseconds, where it is one and nothing else.
        self.single = _single(what)
        self.next_fire_at = stamp_or_none(what.next_fire)
        self.begun: list[CachedTimer] = []


class _TimerUpdate:
    """The new state of a timer of which more than its next fire time changes."""

    __slots__ = ("breaker", "counter_outcome", "counter_run_id", "next_fire_at", "tail", "timer_id")

    def __init__(
        self,
        timer_id: int,
        next_fire_at: int | None,
        counter_run_id: int | None,
        counter_outcome: str | None,
        breaker: Breaker,
    ) -> None:
        self.timer_id, self.next_fire_at, self.breaker = timer_id, next_fire_at, breaker
        self.counter_run_id, self.counter_outcome = counter_run_id, counter_outcome
        #: The row that further fires are counted in, where it is a new one.
        self.tail: list[Any] | None = None

    def end_tail(self) -> None:
        self.tail, self.counter_run_id, self.counter_outcome = None, None, None

    def row(self) -> tuple[Any, ...]:
        counter_run_id = self.counter_run_id if self.tail is None else self.tail[0]
        state = breaker_columns(self.breaker)
        return (
            self.next_fire_at,
            counter_run_id,
            self.counter_outcome,
            *(state[name] for name in BREAKER),
            self.timer_id,
        )


def _single(found: Due) -> int | None:
    """One fire time, on time or made up for, and nothing else: what nearly every claim of every timer is."""
    return stamp(found.fire_times[0]) if found.misfired is None and len(found.fire_times) == 1 else None


_LAST_FIRE_AT, _COUNT, _REQUEST_ID = (NEW_RUN.index(name) for name in ("last_fire_at", "count", "request_id"))
_NEW_RUNS = Bulk(insert(runs), NEW_RUN)
_ALWAYS = {"kind": f"'{SCHEDULED}'", "count": "1", "attempt": "1", "message": "''", "lines_dropped": "0"}
_BEGUN_RUNS = Bulk(
    insert(runs),
    [name for name in NEW_RUN if name not in {"ended_at", "outcome", *_ALWAYS}],
    _ALWAYS,
)
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
_ADVANCE_ALL = Among(update(timers).values(next_fire_at=bindparam("next_fire")), timers.c.id)
#: More timers than this with the same next fire time are advanced by one statement.
_TOGETHER = 8
_CHANGED = ("next_fire_at", "counter_run_id", "counter_outcome", *BREAKER)
_CHANGE = Bulk(
    update(timers).where(timers.c.id == bindparam("timer")).values({name: bindparam(name) for name in _CHANGED}),
    (*_CHANGED, "timer"),
)
