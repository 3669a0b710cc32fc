"""change_timers: one action on several timers in one transaction: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, select

from ..core import breaker
from ..core.run import Kind
from ..errors import TimerError, UnknownTimerError
from .change_recording import Action, Author, NewChange
from .database import Store
from .entered_runs import enter_runs_of
from .rows import breaker_columns
from .schema import timers
from .stored_timer import StoredTimer
from .timer_edits import PlannedEdit
from .timer_pages import TimerKey
from .timer_plan import FEW, TimerPlan, carry_out

#: The most timers that are changed at once.
MAX_TIMERS = 10_000


class BulkAction(StrEnum):
    """What is done with each timer."""

    ENABLE = "enable"
    DISABLE = "disable"
    RESET = "reset"
    REMOVE = "remove"
    RUN = "run"


def check_number(timers: int) -> None:
    """Refuse more timers than may be changed in one transaction, during which no daemon can claim."""
    if timers > MAX_TIMERS:
        raise TimerError(f"at most {MAX_TIMERS:,} timers are changed at once, got {timers:,}", field="timers")


def change_timers(
    store: Store, keys: Iterable[TimerKey], action: BulkAction, *, now: datetime, by: Author, dry_run: bool = False
) -> Sequence[StoredTimer]:
    """Do the same with each of these timers, in one transaction; returns them as they were.

    With `dry_run` nothing is changed. Raises UnknownTimerError for a timer that does not exist, and TimerError where
    one refuses, as one that would never fire again refuses to be enabled; nothing is changed then.
    """
    wanted = dict.fromkeys(keys)
    check_number(len(wanted))
    plan = TimerPlan(now, by)

    def compute(connection: Connection) -> Sequence[StoredTimer]:
        rows = _found(connection, plan, wanted)
        for row in rows:
            _plan(plan, row, action)
        return [plan.stored(row) for row in rows]

    def finish(connection: Connection, found: Sequence[StoredTimer]) -> None:
        if action is BulkAction.RUN:
            plan.record(enter_runs(connection, found, now=now))

    return carry_out(store, plan, compute, plans_first=len(wanted) > FEW, dry_run=dry_run, finish=finish)


def enter_runs(
    connection: Connection, found: Sequence[StoredTimer], *, now: datetime, own_params: str | None = None
) -> list[NewChange]:
    """Enter a run of each timer, which waits for a daemon; returns the changes to record, which have the runs' ids."""
    of = [(stored.id, stored.timer) for stored in found]
    run_ids = enter_runs_of(connection, of, Kind.MANUAL, now, own_params)
    return [
        NewChange(Action.REQUESTED, timer.name, timer.environment, after={"run": run_id})
        for run_id, (_, timer) in zip(run_ids, of, strict=True)
    ]


def _found(connection: Connection, plan: TimerPlan, wanted: Mapping[TimerKey, None]) -> list[Row[tuple[object, ...]]]:
    """The rows of these timers, in the order of their ids."""
    rows = [row for row in plan.named(key.name for key in wanted) if (row.environment, row.name) in wanted]
    if len(rows) < len(wanted):
        first = min(wanted.keys() - {TimerKey(row.environment, row.name) for row in rows})
        known = connection.execute(select(timers.c.name).where(timers.c.environment == first.environment)).scalars()
        raise UnknownTimerError(first.name, first.environment, known)
    return rows


def _plan(plan: TimerPlan, row: Row[tuple[object, ...]], action: BulkAction) -> None:
    if action is BulkAction.REMOVE:
        plan.remove(row)
    elif action is not BulkAction.RUN:
        plan.edit(row, lambda stored: _edit(plan, stored, action), frees=action is not BulkAction.RESET)


def _edit(plan: TimerPlan, stored: StoredTimer, action: BulkAction) -> PlannedEdit:
    if action is BulkAction.DISABLE:
        return PlannedEdit(stored.timer, {"enabled": False, "next_fire_at": None})
    if action is BulkAction.RESET or stored.timer.enabled:
        return PlannedEdit(stored.timer, breaker_columns(breaker.CLOSED))
    try:
        return plan.change(stored, {"enabled": True})
    except TimerError as error:
        raise TimerError(f"{stored.timer.name!r} in {stored.timer.environment}: {error}", field=error.field) from error
