"""Batch: collects the writes of one claim timer by timer, and sends them as a few statements.

Thousands of timers may be due at the same instant, so a claim does as little as possible for each:

1. `begin` takes a timer for which one fire time is due and nothing else matters. It only appends the timer to the
   `_SharedDue` of its rule and its next_fire_at; the fire times are computed once for all timers that share both.
2. `add` judges any other timer by itself: misfire policy, breaker, overlap policy.
3. `write` draws the ids of all new runs at once, and sends the rows of step 1, those of step 2, the fire times that are
   counted in a run of an earlier claim, and the next fire times of the timers, each as one statement for many rows.

A new run is a list in the order of NEW_RUN until it is written, because its id, its last fire time and its count may
still change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, update

from ..core.alerts import AlertEvent, AlertRules
from ..core.breaker import Breaker
from ..core.misfire import Due, due
from ..core.overlap import NewRun, plan_claim
from ..core.run import Kind, Outcome, Task
from ..core.timestamps import instant, stamp, stamp_or_none
from ..store.database import store_of
from ..store.rows import BREAKER, NEW_RUN, SCHEDULED, breaker_columns, new_request_ids, new_run
from ..store.schema import runs, timers
from ..store.statements import Among, Bulk
from .alert_causes import events_of_passed_over, finished
from .cancellations import cancel_others
from .timer_cache import CachedTimer, Rule

#: The name of a timer, and its breaker before and after.
StateChange = tuple[str, Breaker, Breaker]

#: Consecutive fire times of these outcomes are counted in one row: a one-second timer would write 86,400 rows a day.
_COALESCED = frozenset({Outcome.SHORT_CIRCUITED.value, Outcome.SKIPPED_OVERLAP.value})


class Batch:
    """The writes of a claim at `now` to the timers that are due by then, or by `until` if it claims ahead."""

    def __init__(
        self,
        now: datetime,
        *,
        owner: int,
        grace: timedelta,
        until: datetime | None = None,
        alerts: AlertRules | None = None,
    ) -> None:
        self._now = now
        self._until = until or now
        #: None if there is no rule of alerts.
        self._alerts = alerts if alerts is not None and alerts.rules else None
        self._events: list[AlertEvent] = []
        self._claimed_at = stamp(now)
        self._late_before = now - grace
        self._grace = grace
        self._owner = owner
        self._shared: dict[tuple[int, Rule], _SharedDue] = {}
        self._new_runs: list[list[Any]] = []
        self._to_run: list[tuple[list[Any], CachedTimer, datetime]] = []
        self._updates: list[_TimerUpdate] = []
        self._counted: list[tuple[int, int, int]] = []
        self.changes: list[StateChange] = []
        #: Whether a timer has no further fire time.
        self.finishes = False
        #: The timers whose other runs are to be cancelled.
        self.cancelling: list[int] = []
        #: The number of fire times that do not run, by environment and outcome.
        self.passed_over: Counter[tuple[str, str]] = Counter()

    def begin(self, timer: CachedTimer, since: int) -> bool:
        """Run a timer that has exactly one due fire time; False if it has more, and `add` has to judge it.

        `since` is its next_fire_at. The timer has no open run, its breaker is closed and has counted no failure, and no
        run counts its fire times: nearly every claim of every timer.
        """
        key = since, timer.rule
        shared = self._shared.get(key) or self._share(key)
        if shared.single is None:
            return False
        shared.begun.append(timer)
        return True

    def add(self, row: Row[Any], timer: CachedTimer, breaker: Breaker, open_runs: int) -> None:
        """Judge the due fire times of one timer; `row` is one of due_timers.JUDGED."""
        key = row.next_fire_at, timer.rule
        shared = self._shared.get(key) or self._share(key)
        left = max(0, row.max_runs - row.begun_runs) if row.max_runs else None
        plan = plan_claim(
            timer.rule.overlap,
            breaker,
            shared.due,
            open_runs=open_runs,
            max_concurrent=timer.rule.max_concurrent,
            runs_left=left,
        )
        next_fire_at = stamp_or_none(plan.next_fire)
        self.finishes |= next_fire_at is None
        update = _TimerUpdate(row.id, next_fire_at, row.counter_run_id, row.counter_outcome, plan.breaker)
        update.timer, update.entered = timer, bool(plan.runs)
        update.begun_runs = row.begun_runs + (plan.entered if row.max_runs else 0)
        for run in plan.runs:
            self._enter(update, timer, run)
        self._updates.append(update)
        self.changes.append((timer.run_columns[1], breaker, plan.breaker))

    def write(self, connection: Connection) -> list[Task]:
        """Send everything; returns the tasks to run."""
        # Before the new runs are there.
        self.passed_over.update(cancel_others(connection, self.cancelling, self._claimed_at))
        begun = sum(len(shared.begun) for shared in self._shared.values())
        run_ids = iter(store_of(connection).new_run_ids(connection, begun + len(self._new_runs)))
        rows, tasks = self._begun_rows_and_tasks(run_ids, new_request_ids(begun))
        for run, run_id in zip(self._new_runs, run_ids, strict=True):
            run[0] = run_id
        _BEGUN_RUNS.execute(connection, rows)
        _NEW_RUNS.execute(connection, [tuple(run) for run in self._new_runs])
        _COUNT.execute(connection, self._counted)
        self._advance(connection)
        _UPDATE.execute(connection, [update.row() for update in self._updates])
        return tasks + [self._task(*to_run) for to_run in self._to_run]

    def events(self) -> list[AlertEvent]:
        """The events of alerts, to be written last in the transaction."""
        if (rules := self._alerts) is None:
            return []
        ends = [timer for shared in self._shared.values() if shared.next_fire_at is None for timer in shared.begun]
        ends += [update.timer for update in self._updates if update.next_fire_at is None and update.entered]
        names = [(timer.run_columns[1], timer.run_columns[3]) for timer in ends]
        return [*self._events, *finished(rules, names, self._now)]

    def _begun_rows_and_tasks(
        self, run_ids: Iterator[int], request_ids: list[str]
    ) -> tuple[list[tuple[Any, ...]], list[Task]]:
        """The rows and the tasks of the timers that `begin` took."""
        owner, claimed_at, kind = self._owner, self._claimed_at, Kind.SCHEDULED
        rows: list[tuple[Any, ...]] = []
        tasks: list[Task] = []
        request_id = iter(request_ids)
        for shared in self._shared.values():
            if shared.single is None:
                continue
            fire_at, fire_time = shared.single, shared.due.fire_times[0]
            past_due = fire_time < self._late_before
            # zip reads the timers first, so it does not consume an id and lose it.
            for timer, run_id, request in zip(shared.begun, run_ids, request_id, strict=False):
                _, run_columns, params, limit_s, _ = timer
                rows.append((run_id, *run_columns, fire_at, fire_at, request, owner, claimed_at))
                tasks.append(Task(run_id, *run_columns, params, limit_s, kind, fire_time, 1, request, past_due))
        return rows, tasks

    def _advance(self, connection: Connection) -> None:
        one_by_one: list[tuple[int | None, int]] = []
        for shared in self._shared.values():
            timer_ids = [timer.run_columns[0] for timer in shared.begun]
            if len(timer_ids) > _TOGETHER:
                # Straight to the driver; it has no rows.
                _ADVANCE_ALL.tuples(connection, timer_ids, next_fire=shared.next_fire_at)
            else:
                one_by_one += [(shared.next_fire_at, timer_id) for timer_id in timer_ids]
        _ADVANCE.execute(connection, one_by_one)

    def _share(self, key: tuple[int, Rule]) -> _SharedDue:
        since, rule = key
        grace = self._grace if rule.grace is None else rule.grace
        what = due(rule.schedule, instant(since), self._until, rule.misfire, grace=grace, catch_up=rule.catch_up)
        shared = self._shared[key] = _SharedDue(what)
        self.finishes |= shared.next_fire_at is None
        return shared

    def _enter(self, update: _TimerUpdate, timer: CachedTimer, run: NewRun) -> None:
        """Enter a run of a timer, or count it in the previous run if both have the same outcome."""
        if run.outcome is not None:
            self.passed_over[timer.run_columns[3], run.outcome] += run.count
            if self._alerts is not None:
                named = timer.run_columns[1], timer.run_columns[3]
                self._events += events_of_passed_over(
                    self._alerts, run.outcome, named, run.fire_time, self._now, run.count
                )
        if run.outcome in _COALESCED and run.outcome == update.counter_outcome:
            self._count(update, run)
            return
        update.end_counter()
        if run.cancels:
            self.cancelling.append(update.timer_id)
        is_begun = run.outcome is None and not run.waits
        row = new_run(timer.run_columns, run, self._claimed_at, owner=self._owner if is_begun else None)
        self._new_runs.append(row)
        if is_begun:
            self._to_run.append((row, timer, run.fire_time))
        elif run.outcome in _COALESCED:
            update.counter, update.counter_outcome = row, run.outcome

    def _count(self, update: _TimerUpdate, run: NewRun) -> None:
        last_fire_at = stamp(run.last_fire_time)
        # A counter that this claim itself has entered is not in the store yet.
        if update.counter is not None:
            update.counter[_LAST_FIRE_AT] = last_fire_at
            update.counter[_COUNT_AT] += run.count
        elif update.counter_run_id is not None:
            self._counted.append((last_fire_at, run.count, update.counter_run_id))

    def _task(self, run: list[Any], timer: CachedTimer, fire_time: datetime) -> Task:
        past_due = fire_time < self._late_before
        return Task(
            run[0],
            *timer.run_columns,
            params=timer.params,
            limit_s=timer.limit_s,
            kind=Kind.SCHEDULED,
            fire_time=fire_time,
            attempt=1,
            request_id=run[_REQUEST_ID],
            past_due=past_due,
        )


class _SharedDue:
    """The due fire times of all timers with one rule and one next_fire_at, and the timers that `begin` took."""

    __slots__ = ("begun", "due", "next_fire_at", "single")

    def __init__(self, due: Due) -> None:
        self.due = due
        #: The fire time in microseconds if exactly one runs and none is misfired, else None.
        self.single = stamp(due.fire_times[0]) if due.misfired is None and len(due.fire_times) == 1 else None
        self.next_fire_at = stamp_or_none(due.next_fire)
        self.begun: list[CachedTimer] = []


class _TimerUpdate:
    """The new state of a timer that `add` judged."""

    __slots__ = (
        *("begun_runs", "breaker", "counter", "counter_outcome", "counter_run_id", "entered", "next_fire_at"),
        *("timer", "timer_id"),
    )
    timer: CachedTimer
    #: Whether the claim enters or counts a run.
    entered: bool

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
        #: The run in which further fire times are counted, if this claim enters it.
        self.counter: list[Any] | None = None
        self.begun_runs = 0

    def end_counter(self) -> None:
        """Count no further fire times in the previous run, because another one follows it."""
        self.counter, self.counter_run_id, self.counter_outcome = None, None, None

    def row(self) -> tuple[Any, ...]:
        """The parameters of _UPDATE."""
        counter_run_id = self.counter_run_id if self.counter is None else self.counter[0]
        state = breaker_columns(self.breaker)
        return (
            self.next_fire_at,
            counter_run_id,
            self.counter_outcome,
            self.begun_runs,
            *(state[name] for name in BREAKER),
            self.timer_id,
        )


_LAST_FIRE_AT, _COUNT_AT, _REQUEST_ID = (NEW_RUN.index(name) for name in ("last_fire_at", "count", "request_id"))
_NEW_RUNS = Bulk(insert(runs), NEW_RUN)
_ALWAYS = {"kind": f"'{SCHEDULED}'", "count": "1", "attempt": "1", "message": "''", "lines_dropped": "0"}
_BEGUN_RUNS = Bulk(
    insert(runs),
    [name for name in NEW_RUN if name not in {"ended_at", "outcome", *_ALWAYS}],
    _ALWAYS,
)
_COUNT = Bulk(
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
#: One statement advances more timers than this that have the same next fire time.
_TOGETHER = 8
_UPDATED = ("next_fire_at", "counter_run_id", "counter_outcome", "begun_runs", *BREAKER)
_UPDATE = Bulk(
    update(timers).where(timers.c.id == bindparam("timer")).values({name: bindparam(name) for name in _UPDATED}),
    (*_UPDATED, "timer"),
)
