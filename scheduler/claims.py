"""Claiming what is due, and recording how it ended: each in one transaction for everything that is at hand.

Every transaction begins by looking for the daemon's lease, and every run that it ends names the daemon as its owner. So
nothing that a daemon without a lease still does can touch what others took over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, or_, select, update

from . import breaker
from .breaker import Admission, Breaker, BreakerPolicy, Verdict
from .leases import Lease, end_run
from .misfire import GRACE
from .plan import Entry as PlanEntry
from .plan import Plan, plan
from .rows import breaker_columns, breaker_of, line_columns, new_run_ids, run_columns, timer_of
from .run import MESSAGES, Ending, Kind, Line, Outcome, Task
from .schema import lines, runs, timers
from .stamps import instant, instant_or_none, stamp, stamp_or_none
from .store import Store
from .timer import Environment, Timer, params_text
from .timetable import Timetable
from .wake import wake_daemons

#: The most timers that one claim takes, so that a tick of a huge store stays short.
CLAIM_LIMIT = 5_000

StateChange = tuple[str, Breaker, Breaker]


@dataclass(frozen=True, slots=True)
class Agenda:
    """The earliest fire time that an enabled timer waits for, and whether runs wait for their turn."""

    next_due: datetime | None
    waits: bool


class Claims:
    """What the daemon that holds `lease` takes from a store, and brings back.

    `on_breaker(timer name, before, after)` is told of every breaker that changes its state.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        *,
        grace: timedelta = GRACE,
        on_breaker: Callable[[str, Breaker, Breaker], None] | None = None,
    ) -> None:
        self._store = store
        self._lease = lease
        self._grace = grace
        self._on_breaker = on_breaker or (lambda *_: None)
        self._remembered: dict[int, tuple[int, Timer]] = {}

    def agenda(self) -> Agenda:
        """What there is to claim, and when."""
        waiting = exists().where(runs.c.outcome.is_(None), runs.c.owner.is_(None))
        with self._store.reading() as connection:
            earliest, waits = connection.execute(select(func.min(timers.c.next_fire_at), waiting)).one()
        return Agenda(instant_or_none(earliest), bool(waits))

    def claim(self, now: datetime, *, limit: int = CLAIM_LIMIT) -> list[Task]:
        """Take what is due at `now`: its runs are written and its next fire times advanced in one transaction.

        Returns the tasks to run, oldest first. Fire times that do not run are recorded with their outcome.
        """
        with self._store.writing() as connection:
            self._lease.check(connection)
            return self._claim_waiting(connection, now) + self._claim_due(connection, now, limit)

    def record(self, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line] = ()) -> None:
        """Write how runs ended and what they printed, and what their breakers make of it, in one transaction."""
        changes: list[StateChange] = []
        with self._store.writing() as connection:
            self._lease.check(connection)
            if ended:
                _write_endings(connection, self._lease.id, ended)
                changes = _move_breakers(connection, ended)
            if printed:
                connection.execute(insert(lines), [line_columns(line) for line in printed])
        self._tell(changes)

    def _tell(self, changes: Iterable[StateChange]) -> None:
        for name, before, after in changes:
            if before.state is not after.state:
                self._on_breaker(name, before, after)

    def _claim_due(self, connection: Connection, now: datetime, limit: int) -> list[Task]:
        due_rows = connection.execute(
            select(timers)
            .where(timers.c.next_fire_at <= stamp(now))
            .order_by(timers.c.next_fire_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()
        if not due_rows:
            return []
        open_runs = _open_runs(connection)
        batch = _Batch(connection, self._lease.id, now, late_before=now - self._grace)
        for row in due_rows:
            timer, before = self._timer_of(row), breaker_of(row)
            planned = plan(
                timer, before, instant(row.next_fire_at), now, open_runs=open_runs[row.id], grace=self._grace
            )
            batch.add(row, timer, before, planned)
        tasks = batch.write()
        self._tell(batch.changes)
        return tasks

    def _claim_waiting(self, connection: Connection, now: datetime) -> list[Task]:
        """Begin the runs whose turn has come; one that is short-circuited instead gives its turn to the next."""
        tasks: list[Task] = []
        while waiting := self._next_in_turn(connection):
            tasks += [task for row in waiting if (task := self._begin(connection, row, now)) is not None]
        return tasks

    def _next_in_turn(self, connection: Connection) -> Sequence[Row[Any]]:
        """Runs without an owner whose turn has come: manual ones at once, others when their timer's last run ended."""
        running = select(runs.c.timer_id).where(
            runs.c.outcome.is_(None), runs.c.owner.is_not(None), runs.c.timer_id.is_not(None)
        )
        turn = (
            select(func.min(runs.c.id))
            .where(runs.c.outcome.is_(None), runs.c.owner.is_(None))
            .group_by(runs.c.timer_id)
        )
        return connection.execute(
            select(runs)
            .where(runs.c.outcome.is_(None), runs.c.owner.is_(None))
            .where(or_(runs.c.kind == Kind.MANUAL, runs.c.id.in_(turn) & runs.c.timer_id.not_in(running)))
            .order_by(runs.c.id)
            .with_for_update(skip_locked=True)
        ).all()

    def _begin(self, connection: Connection, run: Row[Any], now: datetime) -> Task | None:
        """Let a waiting run begin, unless its timer is gone or its breaker is open."""
        row = connection.execute(select(timers).where(timers.c.id == run.timer_id)).one_or_none()
        if row is None:
            end_run(connection, run.id, Outcome.ABANDONED, now, "abandoned: the timer was removed")
            return None
        timer = self._timer_of(row)
        if run.kind != Kind.MANUAL:
            admitted, admission = breaker.admit(breaker_of(row), instant(run.fire_at))
            if admission is Admission.SHORT_CIRCUIT:
                end_run(connection, run.id, Outcome.SHORT_CIRCUITED, now, MESSAGES[Outcome.SHORT_CIRCUITED])
                return None
            connection.execute(update(timers).where(timers.c.id == row.id).values(breaker_columns(admitted)))
        connection.execute(update(runs).where(runs.c.id == run.id).values(owner=self._lease.id, claimed_at=stamp(now)))
        return _task(dict(run._mapping), timer, past_due=now - instant(run.fire_at) > self._grace)

    def _timer_of(self, row: Row[Any]) -> Timer:
        """The timer of a row; parsed once for each revision."""
        revision, timer = self._remembered.get(row.id, (None, None))
        if timer is None or revision != row.revision:
            timer = timer_of(row)
            self._remembered[row.id] = (row.revision, timer)
        return timer


class _Batch:
    """The writes of one claim, gathered and sent as a few statements."""

    def __init__(self, connection: Connection, daemon_id: int, now: datetime, *, late_before: datetime) -> None:
        self._late_before = stamp(late_before)
        self._connection = connection
        self._daemon_id = daemon_id
        self._now = now
        self._new_runs: list[dict[str, Any]] = []
        self._new_tails: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._counted: list[dict[str, Any]] = []
        self._advanced: list[dict[str, Any]] = []
        self._to_run: list[tuple[dict[str, Any], Timer]] = []
        self.changes: list[StateChange] = []

    def add(self, row: Row[Any], timer: Timer, before: Breaker, planned: Plan) -> None:
        advanced = {
            "timer": row.id,
            "next_fire_at": stamp_or_none(planned.next_fire),
            "tail_run_id": row.tail_run_id,
            "tail_outcome": row.tail_outcome,
            **breaker_columns(planned.breaker),
        }
        for entry in planned.entries:
            self._add_entry(row, timer, entry, advanced)
        self._advanced.append(advanced)
        self.changes.append((timer.name, before, planned.breaker))

    def _add_entry(self, row: Row[Any], timer: Timer, entry: PlanEntry, advanced: dict[str, Any]) -> None:
        if entry.outcome is not None and entry.outcome == advanced["tail_outcome"] and entry.outcome in _COALESCED:
            self._counted.append(
                {"run": advanced["tail_run_id"], "last": stamp(entry.last_fire_time), "more": entry.count}
            )
            return
        run = run_columns(row.id, timer, entry, self._now)
        self._new_runs.append(run)
        advanced["tail_run_id"], advanced["tail_outcome"] = None, None
        if entry.outcome is not None:
            if entry.outcome in _COALESCED:
                advanced["tail_outcome"] = entry.outcome
                self._new_tails.append((advanced, run))
        elif not entry.waits:
            run["owner"] = self._daemon_id
            self._to_run.append((run, timer))

    def write(self) -> list[Task]:
        for run, run_id in zip(self._new_runs, new_run_ids(self._connection, len(self._new_runs)), strict=True):
            run["id"] = run_id
        for advanced, run in self._new_tails:
            if advanced["tail_outcome"] == run["outcome"]:
                advanced["tail_run_id"] = run["id"]
        if self._new_runs:
            self._connection.execute(insert(runs), self._new_runs)
        if self._counted:
            self._connection.execute(_COUNT_IN_TAIL, self._counted)
        self._connection.execute(_ADVANCE, self._advanced)
        return [_task(run, timer, past_due=run["fire_at"] < self._late_before) for run, timer in self._to_run]


#: Consecutive fire times of these outcomes are counted in one row: a one-second timer would write 86,400 rows a day.
_COALESCED = frozenset({Outcome.SHORT_CIRCUITED, Outcome.SKIPPED_OVERLAP})

_COUNT_IN_TAIL = (
    update(runs)
    .where(runs.c.id == bindparam("run"))
    .values(last_fire_at=bindparam("last"), count=runs.c.count + bindparam("more"))
)
_ADVANCE = (
    update(timers)
    .where(timers.c.id == bindparam("timer"))
    .values(
        {
            name: bindparam(name)
            for name in ("next_fire_at", "tail_run_id", "tail_outcome", *breaker_columns(breaker.CLOSED))
        }
    )
)
_ENDING = ("started_at", "ended_at", "outcome", "message", "error", "result", "lines_dropped")
_WRITE_ENDING = (
    update(runs)
    .where(runs.c.id == bindparam("run"), runs.c.owner == bindparam("daemon"), runs.c.outcome.is_(None))
    .values(
        {name: bindparam(name) for name in _ENDING},
    )
)


def request_run(store: Store, name: str, environment: Environment, *, now: datetime) -> int:
    """Enter a run of a timer at once, off schedule; a daemon begins it. Returns the id of the run."""
    kept = Timetable(store).get(name, environment)
    columns = run_columns(kept.id, kept.timer, PlanEntry(now, now, waits=True), now) | {"kind": Kind.MANUAL}
    with store.writing() as connection:
        (run_id,) = new_run_ids(connection, 1)
        connection.execute(insert(runs).values(columns | {"id": run_id}))
    wake_daemons(store)
    return run_id


def _task(run: Mapping[str, Any], timer: Timer, *, past_due: bool) -> Task:
    return Task(
        run_id=run["id"],
        timer_id=run["timer_id"],
        timer=timer.name,
        function=timer.function,
        environment=timer.environment,
        params=params_text(timer.params),
        limit_s=timer.limit_s,
        kind=Kind(run["kind"]),
        fire_time=instant(run["fire_at"]),
        attempt=run["attempt"],
        request_id=run["request_id"],
        past_due=past_due,
    )


def _open_runs(connection: Connection) -> Counter[int]:
    """How many runs of each timer go on or wait."""
    rows = connection.execute(
        select(runs.c.timer_id, func.count()).where(runs.c.outcome.is_(None)).group_by(runs.c.timer_id)
    )
    return Counter({timer_id: count for timer_id, count in rows if timer_id is not None})


def _write_endings(connection: Connection, daemon_id: int, ended: Sequence[tuple[Task, Ending]]) -> None:
    connection.execute(
        _WRITE_ENDING,
        [
            {
                "run": task.run_id,
                "daemon": daemon_id,
                "started_at": stamp_or_none(ending.started_at),
                "ended_at": stamp(ending.ended_at),
                "outcome": ending.outcome,
                "message": ending.text,
                "error": ending.error,
                "result": ending.result,
                "lines_dropped": ending.lines_dropped,
            }
            for task, ending in ended
        ],
    )


def _move_breakers(connection: Connection, ended: Sequence[tuple[Task, Ending]]) -> list[StateChange]:
    """Tell each timer's breaker how its runs ended, in the order of their fire times."""
    failing = {task.timer_id for task, ending in ended if ending.verdict is Verdict.FAILURE}
    troubled = or_(timers.c.consecutive_failures > 0, timers.c.breaker_state != breaker.State.CLOSED)
    rows = connection.execute(select(timers).where(or_(troubled, timers.c.id.in_(failing))).with_for_update()).all()
    moved = {row.id: (row, breaker_of(row)) for row in rows}
    for task, ending in sorted(ended, key=lambda pair: pair[0].fire_time):
        if task.timer_id in moved:
            row, state = moved[task.timer_id]
            policy = BreakerPolicy(threshold=row.breaker_threshold)
            state = breaker.after(
                state, ending.verdict, task.fire_time, error=ending.error or ending.text, policy=policy
            )
            moved[task.timer_id] = row, state
    changes = [(row.name, breaker_of(row), state) for row, state in moved.values()]
    for row, state in moved.values():
        if state != breaker_of(row):
            connection.execute(update(timers).where(timers.c.id == row.id).values(breaker_columns(state)))
    return changes
