"""change_timers: one action on several timers in one transaction: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, update

from ..core import breaker
from ..core.overlap import NewRun
from ..core.run import Kind
from ..core.timestamps import stamp
from ..errors import TimerError, UnknownTimerError
from .change_recording import Action, Author, NewChange, record_changes
from .database import Store
from .pauses import delete_pause_of, hold_changed
from .rows import NEW_RUN, breaker_columns, new_run
from .schema import runs, timers
from .statements import Among
from .stored_timer import StoredTimer, stored_timer_of
from .timer_changes import edited, removed
from .timer_edits import delete_timer, edited_columns
from .timer_pages import TimerKey

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
    with store.trial() if dry_run else store.writing_and_notifying() as connection:
        store.acquire_mutex(connection)
        found = _locked(connection, wanted)
        recorded = [change for stored in found for change in _change(connection, stored, action, now)]
        if action is BulkAction.RUN:
            recorded += enter_runs(store, connection, found, now=now)
        hold_changed(connection)
        record_changes(connection, recorded, by, now=now)
    return found


def enter_runs(
    store: Store, connection: Connection, found: Sequence[StoredTimer], *, now: datetime, own_params: str | None = None
) -> list[NewChange]:
    """Enter a run of each timer, which waits for a daemon; returns the changes to record, which have the runs' ids."""
    run_ids = store.new_run_ids(connection, len(found))
    rows, requested = [], []
    for run_id, stored in zip(run_ids, found, strict=True):
        timer = stored.timer
        names = (stored.id, timer.name, timer.function, timer.environment.value)
        row = dict(zip(NEW_RUN, new_run(names, NewRun(now, now, waits=True), stamp(now)), strict=True))
        rows.append(row | {"id": run_id, "kind": Kind.MANUAL, "own_params": own_params})
        requested.append(NewChange(Action.REQUESTED, timer.name, timer.environment, after={"run": run_id}))
    if rows:
        connection.execute(insert(runs), rows)
    return requested


def _locked(connection: Connection, wanted: Mapping[TimerKey, None]) -> list[StoredTimer]:
    """Lock these timers, in the order of their ids."""
    rows = _OF_NAMES.rows(connection, sorted({key.name for key in wanted}))
    found = [stored_timer_of(row, connection) for row in rows if TimerKey(row.environment, row.name) in wanted]
    missing = wanted.keys() - {TimerKey(entry.timer.environment.value, entry.timer.name) for entry in found}
    if missing:
        first = min(missing)
        known = connection.execute(select(timers.c.name).where(timers.c.environment == first.environment)).scalars()
        raise UnknownTimerError(first.name, first.environment, known)
    return found


def _change(connection: Connection, stored: StoredTimer, action: BulkAction, now: datetime) -> list[NewChange]:
    if action is BulkAction.RUN:
        return []
    if action is BulkAction.REMOVE:
        delete_timer(connection, stored.id)
        return [removed(stored.timer)]
    try:
        values = _columns(connection, stored, action, now)
    except TimerError as error:
        raise TimerError(f"{stored.timer.name!r} in {stored.timer.environment}: {error}", field=error.field) from error
    values = {**values, "revision": timers.c.revision + 1}
    connection.execute(update(timers).where(timers.c.id == stored.id).values(values))
    if action is not BulkAction.RESET:
        delete_pause_of(connection, stored.id)
    row = connection.execute(select(timers).where(timers.c.id == stored.id)).one()
    return edited(stored, stored_timer_of(row, connection))


def _columns(connection: Connection, stored: StoredTimer, action: BulkAction, now: datetime) -> Mapping[str, Any]:
    if action is BulkAction.DISABLE:
        return {"enabled": False, "next_fire_at": None}
    if action is BulkAction.RESET or stored.timer.enabled:
        return breaker_columns(breaker.CLOSED)
    return edited_columns(connection, stored, {"enabled": True}, now)


_OF_NAMES = Among(select(timers).order_by(timers.c.id).with_for_update(key_share=True), timers.c.name)
