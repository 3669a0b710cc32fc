"""TimerPlan: changes to many timers, computed before the store is locked, and written in a few statements.

While a transaction writes to a SQLite file, no daemon can claim; so it may not compute thousands of changes.
`carry_out` calls the same code twice: first it reads without a lock and computes everything. Then, in the transaction
that writes, a timer that is still as it was read costs a comparison, and only the others are computed again. So nothing
that was edited meanwhile is lost, and all is changed or nothing. A dry run ends after the first time.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, select

from ..core import breaker
from ..core.timer import Timer
from ..core.timestamps import instant, instant_or_none, stamp_or_none
from ..errors import RepeatedTimerError, UnknownCalendarError
from .calendar_content import content_of
from .change_recording import Author, ChangeRow, NewChange, change_rows, write_changes
from .claimed_fires import ClaimedFires
from .database import Store
from .entered_runs import enter_on_enable_of_many
from .pauses import hold_changed
from .planned_timers import AddedTimer, EditedTimer, RemovedTimer, add_timers, end_pauses, remove_timers, write_edits
from .schema import calendars, timers
from .statements import Among
from .stored_timer import StoredTimer, stored_timer_of
from .timer_changes import added, edited, removed
from .timer_edits import NO_COUNTER, PlannedEdit, new_columns, planned_edit

_Result = TypeVar("_Result")
#: A change of so few timers is computed in its transaction.
FEW = 16
#: A transaction that computes asks the server something this often, so that the server does not end it as idle.
_COMPUTED_AT_ONCE = 1_000
_FIRE_AT = [column.name for column in timers.c].index("next_fire_at")
_ALL = select(timers).order_by(timers.c.id)
_OF_NAMES = Among(_ALL, timers.c.name)
_OF_NAMES_LOCKED = Among(_ALL.with_for_update(key_share=True), timers.c.name)
_IDS = Among(select(timers.c.environment, timers.c.name, timers.c.id), timers.c.name)


#: Plans the edit of a timer; None leaves it as it is.
HowToEdit = Callable[[StoredTimer], PlannedEdit | None]


def carry_out(
    store: Store,
    plan: TimerPlan,
    compute: Callable[[Connection], _Result],
    *,
    plans_first: bool,
    dry_run: bool = False,
    finish: Callable[[Connection, _Result], None] | None = None,
) -> _Result:
    """Plan a change, and write it unless it is a dry run; returns the result of `compute`.

    `compute` fills the plan. With `plans_first`, for more than FEW timers, it is called twice. When it raises, nothing
    is written. `finish` writes what belongs to the same transaction and needs the result.
    """
    if dry_run or plans_first:
        with store.reading() as connection:
            plan.begin(connection, locks=False)
            computed = compute(connection)
        if dry_run:
            return computed
    # A full collection of garbage among so many objects would take as long as everything else together.
    with _no_collection() if plans_first else nullcontext(), store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        plan.begin(connection, locks=True)
        computed = compute(connection)
        if finish is not None:
            finish(connection, computed)
        plan.write(connection)
    return computed


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let Python's garbage collector wait until the block has ended."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class TimerPlan:
    """The changes of one transaction at `now` by an author, in the order in which they are planned."""

    def __init__(self, now: datetime, by: Author | None) -> None:
        self.now = now
        self._by = by or Author.of_process()
        # What was computed from a row, by timer; for a new timer by its environment and name.
        self._stored: dict[int, tuple[Row[Any], StoredTimer]] = {}
        self._kept: dict[Any, Any] = {}
        self._calendars: dict[str, str] | None = None

    def begin(self, connection: Connection, *, locks: bool) -> None:
        """Plan from the present state of the store; `locks` locks the rows that are read."""
        self._connection = connection
        self._locks = locks
        self._computed = 0
        self.edits: list[EditedTimer] = []
        self.additions: list[AddedTimer] = []
        self.removals: list[RemovedTimer] = []
        self._frees: list[int] = []
        self._rows: list[ChangeRow] = []
        found = dict(map(tuple, connection.execute(select(calendars.c.name, calendars.c.digest))))
        if found != self._calendars:
            self._calendars = found
            self._stored.clear()
            self._kept.clear()
        # Read after the rows of the timers are locked, because a claim may have been in progress.
        self._claimed: ClaimedFires | None = None

    # Reading

    def named(self, names: Iterable[str]) -> Sequence[Row[Any]]:
        """The timers of any environment with these names, in the order of their ids."""
        query = _OF_NAMES_LOCKED if self._locks else _OF_NAMES
        return query.rows(self._connection, sorted({*names}))

    def of_environments(self, environments: Iterable[str]) -> Sequence[Row[Any]]:
        """The timers of these environments, in the order of their ids."""
        return self._rows_of(_ALL.where(timers.c.environment.in_([*environments])))

    def using(self, calendar: str) -> Sequence[Row[Any]]:
        """The timers with a calendar, in the order of their ids."""
        return self._rows_of(_ALL.where(timers.c.calendar == calendar))

    def _rows_of(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return self._connection.execute(query.with_for_update(key_share=True) if self._locks else query).all()

    def stored(self, row: Row[Any]) -> StoredTimer:
        """The timer of a row that was just read."""
        kept = self._stored.get(row.id)
        if kept is not None and kept[0] is row:
            return kept[1]
        # As tuples, which compare five times as fast as rows.
        if kept is not None and tuple(kept[0]) == tuple(row):
            stored = kept[1]
        elif kept is not None and _differs_by_fire(kept[0], row):
            # Claimed since: what was computed stays, unless it depends on the next fire time.
            stored = replace(kept[1], next_fire=instant_or_none(row.next_fire_at))
        else:
            self._kept.pop(row.id, None)
            self._count()
            stored = stored_timer_of(row, self._connection)
        self._stored[row.id] = row, stored
        return stored

    @property
    def claimed(self) -> ClaimedFires:
        """The fire times that are claimed already."""
        if self._claimed is None:
            self._claimed = ClaimedFires(self._connection, self.now)
        return self._claimed

    def with_calendar(self, timer: Timer) -> Timer:
        """The timer with the calendar that it names; UnknownCalendarError if the store has none."""
        assert self._calendars is not None
        if timer.calendar is None:
            return timer if timer.working_days is None else replace(timer, working_days=None)
        if timer.calendar not in self._calendars:
            raise UnknownCalendarError(timer.calendar, self._calendars)
        found = content_of(self._connection, timer.calendar, self._calendars[timer.calendar])
        return timer if found is timer.working_days else replace(timer, working_days=found)

    def _claimed_until(self, timer_id: int, timer: Timer, next_fire: datetime | None) -> datetime:
        return self.claimed.until(timer_id, timer, next_fire)

    # Planning

    def change(self, stored: StoredTimer, changes: Mapping[str, Any]) -> PlannedEdit:
        """The edit that changes attributes of a timer."""
        return planned_edit(stored, changes, self.now, self.with_calendar, self._claimed_until)

    def edit(self, row: Row[Any], how: HowToEdit, *, frees: bool = False) -> EditedTimer | None:
        """Edit a timer; with `frees`, the pause of this one timer ends. `how` must give the same for the same timer."""
        stored = self.stored(row)
        known = row.id in self._kept
        planned: EditedTimer | None = self._kept.get(row.id)
        if not known:
            planned = self._kept[row.id] = self._edited(row, stored, how)
        elif planned is not None and planned.edit.next_fire is not None:
            planned = self._kept[row.id] = self._at_its_time(planned, stored)
        if planned is not None:
            self.edits.append(planned)
            self._rows += planned.rows
            if frees:
                self._frees.append(row.id)
        return planned

    def add(self, timer: Timer) -> AddedTimer:
        """Add a timer, which has the name of no other."""
        key = timer.environment.value, timer.name
        claimed = self.claimed.by_name.get(key)
        planned: AddedTimer | None = self._kept.get(key)
        if planned is None or planned.claimed != claimed:
            self._count()
            timer = self.with_calendar(timer)
            columns = new_columns(timer, self.now, self.claimed.by_name)
            timer = timer.anchored(self.now)
            change = added(timer)
            planned = AddedTimer(timer, columns, change, self._change_rows([change]), claimed)
            self._kept[key] = planned
        self.additions.append(planned)
        self._rows += planned.rows
        return planned

    def remove(self, row: Row[Any]) -> RemovedTimer:
        """Remove a timer."""
        stored = self.stored(row)
        planned: RemovedTimer | None = self._kept.get(row.id)
        if planned is None:
            change = removed(stored.timer)
            planned = self._kept[row.id] = RemovedTimer(stored, change, self._change_rows([change]))
        self.removals.append(planned)
        self._rows += planned.rows
        return planned

    def record(self, changes: Iterable[NewChange]) -> None:
        """Record further changes, after those of the timers."""
        self._rows += self._change_rows(changes)

    def after(self) -> dict[tuple[str, str], Timer | None]:
        """The timers that are about to be written, by environment and name; None for those to be removed."""
        found: dict[tuple[str, str], Timer | None] = {_key(gone.stored.timer): None for gone in self.removals}
        found |= {_key(new.timer): new.timer for new in self.additions}
        return found | {_key(one.after.timer): one.after.timer for one in self.edits}

    def _edited(self, row: Row[Any], stored: StoredTimer, how: HowToEdit) -> EditedTimer | None:
        self._count()
        edit = how(stored)
        if edit is None:
            return None
        before = row._mapping
        # Only what differs is written: each column that an index contains costs more than all others.
        columns = {name: value for name, value in edit.columns.items() if before[name] != value}
        after = stored_timer_of(SimpleNamespace(**{**before, **columns}), self._connection)
        changes = edited(stored, after)
        claimed = self.claimed.of(stored.id, stored.timer) if edit.next_fire is not None else None
        return EditedTimer(stored, after, columns, edit, changes, self._change_rows(changes), claimed)

    def _at_its_time(self, planned: EditedTimer, stored: StoredTimer) -> EditedTimer:
        """An edit with its next fire time after those that were claimed since it was planned."""
        claimed = self.claimed.of(stored.id, stored.timer)
        if (stored.next_fire, claimed) == (planned.stored.next_fire, planned.claimed):
            return planned
        assert planned.edit.next_fire is not None
        next_fire = planned.edit.next_fire(stored)
        columns = {**planned.columns, "next_fire_at": stamp_or_none(next_fire)}
        if next_fire != stored.next_fire:
            columns |= NO_COUNTER
        after = replace(planned.after, next_fire=next_fire)
        return replace(planned, stored=stored, after=after, columns=columns, claimed=claimed)

    def _change_rows(self, changes: Iterable[NewChange]) -> list[ChangeRow]:
        return change_rows(changes, self._by, now=self.now)

    def _count(self) -> None:
        self._computed += 1
        if self._computed % _COMPUTED_AT_ONCE == 0:
            self._connection.execute(select(1))

    # Writing

    def write(self, connection: Connection) -> None:
        """Write what is planned, in its transaction."""
        remove_timers(connection, [gone.stored.id for gone in self.removals])
        add_timers(connection, self.additions)
        write_edits(connection, self._stored, self.edits)
        end_pauses(connection, self._frees)
        self._ids = ids_of_names(connection, [new.timer for new in self.additions])
        firing = [(self._ids[_key(new.timer)], new.timer) for new in self.additions if new.timer.enabled]
        firing += [(one.stored.id, one.edit.timer) for one in self.edits if one.edit.is_enabled_now]
        enter_on_enable_of_many(connection, firing, self.now)
        hold_changed(connection)
        write_changes(connection, self._rows)

    def added(self) -> list[StoredTimer]:
        """The timers that were added, once they are written."""
        return [
            StoredTimer(
                id=self._ids[_key(new.timer)],
                timer=new.timer,
                breaker=breaker.CLOSED,
                next_fire=instant_or_none(new.columns["next_fire_at"]),
                created_at=instant(new.columns["created_at"]),
                revision=new.columns["revision"],
            )
            for new in self.additions
        ]


def ids_of_names(connection: Connection, wanted: Iterable[Timer]) -> dict[tuple[str, str], int]:
    """The ids of existing timers with the names of these, by environment and name."""
    rows = _IDS.rows(connection, [timer.name for timer in wanted])
    return {(environment, name): timer_id for environment, name, timer_id in rows}


def check_not_repeated(wanted: Iterable[Timer]) -> None:
    """RepeatedTimerError for a list that has a name twice in an environment."""
    first: dict[tuple[str, str], int] = {}
    for number, timer in enumerate(wanted, start=1):
        if (before := first.setdefault(_key(timer), number)) != number:
            raise RepeatedTimerError(timer.name, timer.environment, (before, number))


def _key(timer: Timer) -> tuple[str, str]:
    return timer.environment.value, timer.name


def _differs_by_fire(one: Row[Any], other: Row[Any]) -> bool:
    """Whether two rows differ in a next fire time that both have, and in nothing else."""
    return (
        one[:_FIRE_AT] == other[:_FIRE_AT]
        and one[_FIRE_AT + 1 :] == other[_FIRE_AT + 1 :]
        and (one[_FIRE_AT] is None) is (other[_FIRE_AT] is None)
    )
