"""EditedTimer, AddedTimer, RemovedTimer: the plan for one timer, and the statements that write many.

TimerPlan plans them (timer_plan.py). The functions here run in its transaction, on rows that it has locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, update

from ..core.timer import Timer
from .change_recording import ChangeRow, NewChange
from .schema import pauses, runs, timers
from .statements import Among, Bulk
from .stored_timer import StoredTimer
from .timer_edits import PlannedEdit

#: The edits of one transaction are written in at most so many statements.
_MOST_STATEMENTS = 16
#: The columns that a new timer leaves at their defaults.
_SET_LATER = {
    "held",
    "begun_runs",
    "id",
    "counter_run_id",
    "counter_outcome",
    "declared_in",
    "declaration",
    "suspended",
}
#: The columns of a new timer, in the order of the table.
NEW_COLUMNS = tuple(column.name for column in timers.c if column.name not in _SET_LATER)
_ADD = Bulk(insert(timers), NEW_COLUMNS)
_LET_GO = Among(update(runs).where(runs.c.outcome.is_(None)).values(timer_id=None), runs.c.timer_id)
_DELETE = Among(delete(timers), timers.c.id)
_END_PAUSES = Among(delete(pauses), pauses.c.timer_id)


@dataclass(frozen=True, slots=True)
class EditedTimer:
    """An edit that is planned: the timer before and after it, and what is written."""

    stored: StoredTimer
    after: StoredTimer
    columns: Mapping[str, Any]
    edit: PlannedEdit
    changes: Sequence[NewChange]
    rows: Sequence[ChangeRow]
    #: The latest claimed fire time on which its next fire time depends.
    claimed: datetime | None


class AddedTimer(NamedTuple):
    """A new timer that is planned."""

    timer: Timer
    columns: Mapping[str, Any]
    change: NewChange
    rows: Sequence[ChangeRow]
    claimed: datetime | None


class RemovedTimer(NamedTuple):
    """A timer that is planned to be removed."""

    stored: StoredTimer
    change: NewChange
    rows: Sequence[ChangeRow]


def add_timers(connection: Connection, additions: Sequence[AddedTimer]) -> None:
    """Insert the rows of new timers."""
    _ADD.execute(connection, [tuple([new.columns[name] for name in NEW_COLUMNS]) for new in additions])


def end_pauses(connection: Connection, timer_ids: Sequence[int]) -> None:
    """End the pauses of these single timers."""
    if timer_ids:
        _END_PAUSES.execute(connection, timer_ids)


def remove_timers(connection: Connection, timer_ids: Sequence[int]) -> None:
    """Delete the rows of timers that are locked."""
    if timer_ids:
        # SQLite may give their ids to later timers, which must not get their runs.
        _LET_GO.execute(connection, timer_ids)
        _DELETE.execute(connection, timer_ids)
        _END_PAUSES.execute(connection, timer_ids)


def write_edits(
    connection: Connection, stored: Mapping[int, tuple[Row[Any], StoredTimer]], edits: Sequence[EditedTimer]
) -> None:
    """Write the differing columns, in one statement for the timers in which the same ones differ."""
    by_names: dict[tuple[str, ...], list[EditedTimer]] = defaultdict(list)
    for each in edits:
        by_names[tuple(each.columns)].append(each)
    if len(by_names) > _MOST_STATEMENTS:
        every = tuple(sorted({name for names in by_names for name in names}))
        before = {each.stored.id: stored[each.stored.id][0]._mapping for each in edits}
        rows = [(*({**before[each.stored.id], **each.columns}[name] for name in every), *_end(each)) for each in edits]
        _update(every).execute(connection, rows)
        return
    for names, theirs in by_names.items():
        _update(names).execute(connection, [(*each.columns.values(), *_end(each)) for each in theirs])


def _end(edit: EditedTimer) -> tuple[int, int]:
    """The new revision and the id of an edited timer, the last parameters of `_update`."""
    return edit.stored.revision + 1, edit.stored.id


@lru_cache(maxsize=64)
def _update(names: tuple[str, ...]) -> Bulk:
    written = (*names, "revision")
    values = {name: bindparam(f"new_{name}", type_=timers.c[name].type) for name in written}
    statement = update(timers).where(timers.c.id == bindparam("timer")).values(values)
    return Bulk(statement, (*(f"new_{name}" for name in written), "timer"))
