"""TimerTable: adds, reads, enables, disables, edits and removes timers. Each change wakes the daemons.

Each change is recorded with its author (change_recording.py): `by`, or the user of this program if None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update
from sqlalchemy.exc import IntegrityError

from ..core import breaker
from ..core.timer import Environment, Timer
from ..core.timer_checks import check_choice
from ..core.timer_values import timer_columns
from ..core.timestamps import stamp_or_none
from ..errors import DuplicateTimerError, UnknownTimerError, error_of
from .chains import check_chains, lock_with_leaders, rename_in_leaders
from .change_recording import Author, record_changes
from .database import Store
from .pauses import check_end, delete_pause_of, hold_changed, insert_pause
from .quota import check_quota
from .rows import BREAKER, breaker_columns, timer_of
from .schema import timers
from .stored_timer import StoredTimer, stored_timer_of
from .timer_changes import Edit, edited, removed
from .timer_edits import NO_COUNTER, delete_timer, edited_columns
from .timer_plan import FEW, TimerPlan, carry_out, check_not_repeated, ids_of_names

__all__ = ["StoredTimer", "TimerTable"]


class TimerTable:
    """The timers of one store.

    >>> from datetime import UTC, datetime
    >>> from scheduler.timer import Cron
    >>> store = Store("sqlite://")
    >>> timetable = TimerTable(store)
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> _ = timetable.add([Timer(name="report", function="send_report", trigger=Cron("0 0 8 ? * MON"))], now=now)
    >>> timetable.get("report").next_fire is None       # timers are created disabled
    True
    >>> timetable.enable("report", now=now).next_fire.isoformat()
    '2026-01-05T00:00:00+00:00'
    >>> store.close()
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self, new: Iterable[Timer], *, now: datetime, quota: int | None = None, by: Author | None = None
    ) -> list[StoredTimer]:
        """Add timers: all or none.

        Raises DuplicateTimerError for a name that exists in its environment, RepeatedTimerError for one that is twice
        among the new ones, and TimerQuotaError if an environment
        would hold more than `quota` timers (0 = no limit, None = the limit of default_rules.py).
        """
        wanted = list(new)
        check_not_repeated(wanted)
        plan = TimerPlan(now, by)

        def compute(connection: Connection) -> None:
            _check_names(connection, wanted)
            check_quota(connection, wanted, quota)
            for timer in wanted:
                with error_of(timer.name, timer.environment, among=len(wanted)):
                    plan.add(timer)
            check_chains(connection, wanted, plan.after(), among=len(wanted))

        carry_out(self._store, plan, compute, plans_first=len(wanted) > FEW)
        return plan.added()

    def list(self, environment: Environment | None = None, *, tag: str | None = None) -> list[StoredTimer]:
        """All timers, or those of one environment or with a tag, sorted by environment and name."""
        query = select(timers).order_by(timers.c.environment, timers.c.name)
        if environment is not None:
            query = query.where(timers.c.environment == environment)
        with self._store.reading() as connection:
            stored = [stored_timer_of(row, connection) for row in connection.execute(query)]
        return stored if tag is None else [entry for entry in stored if tag in entry.timer.tags]

    def get(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """One timer; UnknownTimerError if the environment has none of that name."""
        with self._store.reading() as connection:
            return _get(connection, name, environment)

    def enable(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        now: datetime,
        by: Author | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Enable a timer from `now` on, and close its breaker; for an enabled one, only close the breaker."""

        def enabled(connection: Connection, stored: StoredTimer) -> dict[str, Any]:
            if stored.timer.enabled:
                return breaker_columns(breaker.CLOSED)
            return edited_columns(connection, stored, {"enabled": True}, now)

        return self._change(name, environment, enabled, Edit(now, by, expected))

    def disable(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        now: datetime | None = None,
        by: Author | None = None,
        expected: int | None = None,
        until: datetime | None = None,
    ) -> StoredTimer:
        """Disable a timer; runs in progress and runs that a daemon has claimed continue.

        Daemons claim a fire time at most a quarter of a second ahead. With `until`, a daemon enables it again at that
        time, unless a user does so before; author and reason are kept until then.
        """
        edit = Edit(now, by, expected)
        check_end(until, edit.at)

        def disabled(connection: Connection, stored: StoredTimer) -> dict[str, Any]:
            delete_pause_of(connection, stored.id)
            if until is not None:
                who = by or Author.of_process()
                insert_pause(
                    connection, stored.timer.environment, None, timer_id=stored.id, now=edit.at, until=until, by=who
                )
            return {"enabled": False, "next_fire_at": None}

        return self._change(name, environment, disabled, edit)

    def edit(
        self,
        name: str,
        environment: Environment,
        changes: Mapping[str, Any],
        *,
        now: datetime,
        by: Author | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Change attributes of a timer, by name of the attribute, and close its breaker.

        A new schedule applies from `now` on; if the schedule is unchanged, pending fire times stay due.

        Raises TimerError for an unknown attribute and an invalid value, and TimerChangedError for a timer whose
        revision is not the `expected` one.
        """

        return self._change(
            name,
            environment,
            lambda connection, stored: edited_columns(connection, stored, changes, now),
            Edit(now, by, expected),
            new_name=changes.get("name"),
        )

    def rename(
        self,
        name: str,
        new_name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        now: datetime,
        by: Author | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Give a timer another name; keeps its history, breaker and due fire times. Its jitter may change."""

        def renamed(connection: Connection, stored: StoredTimer) -> dict[str, Any]:
            columns = edited_columns(connection, stored, {"name": new_name}, now)
            return {column: value for column, value in columns.items() if column not in BREAKER}

        return self._change(name, environment, renamed, Edit(now, by, expected), new_name=new_name)

    def reset(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        now: datetime | None = None,
        by: Author | None = None,
        expected: int | None = None,
    ) -> StoredTimer:
        """Close a timer's breaker."""
        return self._change(name, environment, lambda *_: breaker_columns(breaker.CLOSED), Edit(now, by, expected))

    def recompute_next_fires(self, *, now: datetime) -> int:
        """Compute the next fire time of every enabled timer again from `now`; returns the number of enabled timers.

        Called when the clock was set back too far to wait for it: triggers with an anchor count from `now` on. A timer
        that another daemon has already rescheduled, and may have claimed since, is skipped. This is computed before the
        store is locked, and again for timers that were changed meanwhile. Does not check the daemon's lease (invariant
        3 in claims/leases.py).
        """
        with self._store.reading() as connection:
            planned = {
                row.id: (tuple(row), _from_clock(row, connection, now)) for row in connection.execute(_ENABLED).all()
            }
        with self._store.writing() as connection:
            enabled = connection.execute(_ENABLED.with_for_update(key_share=True)).all()
            new = []
            for row in enabled:
                before, values = planned.get(row.id, (None, None))
                new.append(values if before == tuple(row) else _from_clock(row, connection, now))
            if written := [values for values in new if values is not None]:
                columns: dict[str, Any] = {name: bindparam(name) for name in written[0] if name != "timer_id"}
                revised = {**columns, "revision": timers.c.revision + 1}
                of_timer = timers.c.id == bindparam("timer_id")
                connection.execute(update(timers).where(of_timer).values(revised), written)
        return len(enabled)

    def remove(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        now: datetime | None = None,
        by: Author | None = None,
        expected: int | None = None,
    ) -> None:
        """Remove a timer; its runs stay in the history."""
        edit = Edit(now, by, expected)
        with self._store.writing_and_notifying() as connection:
            stored = _get(connection, name, environment, is_locked=True)
            edit.check(connection, stored)
            delete_timer(connection, stored.id)
            record_changes(connection, [removed(stored.timer)], by, now=edit.at)

    def _change(
        self,
        name: str,
        environment: Environment,
        change: Callable[[Connection, StoredTimer], Mapping[str, Any]],
        edit: Edit,
        *,
        new_name: str | None = None,
    ) -> StoredTimer:
        """Lock the row of a timer, and write the columns that `change` computes from it; those it follows go along."""
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            leaders = lock_with_leaders(connection, name, environment) if new_name not in (None, name) else ()
            stored = _get(connection, name, environment, is_locked=True)
            edit.check(connection, stored)
            values: dict[str, Any] = {**change(connection, stored)}
            values["revision"] = timers.c.revision + 1
            try:
                connection.execute(update(timers).where(timers.c.id == stored.id).values(values))
            except IntegrityError:
                raise DuplicateTimerError(values["name"], values["environment"]) from None
            if values.get("enabled"):
                delete_pause_of(connection, stored.id)
            hold_changed(connection)
            row = connection.execute(select(timers).where(timers.c.id == stored.id)).one()
            changed = stored_timer_of(row, connection)
            changes = edited(stored, changed)
            if leaders:
                changes += rename_in_leaders(connection, leaders, name, changed.timer.name)
            if changed.timer.then != stored.timer.then or changed.timer.name != name:
                check_chains(connection, [changed.timer])
            record_changes(connection, changes, edit.by, now=edit.at)
        return changed


def _from_clock(row: Row[Any], connection: Connection, now: datetime) -> dict[str, Any] | None:
    """What is written to a timer, with its id, so that it counts from `now`; None if it follows the clock already."""
    if _follows_clock(stored_timer_of(row, connection), now):
        return None
    timer = timer_of(row, connection).anchored(now)
    next_fire_at = stamp_or_none(timer.schedule.next_fire(now))
    return {**timer_columns(timer), **NO_COUNTER, "next_fire_at": next_fire_at, "timer_id": row.id}


def _follows_clock(stored: StoredTimer, now: datetime) -> bool:
    """Whether a next fire time fits a clock at `now`: the fire time before it is at most _MOST_AHEAD after `now`."""
    if stored.next_fire is None:
        return False
    schedule = stored.timer.schedule
    before = schedule.prev_fire(stored.next_fire) or schedule.anchor
    return before is None or before <= now + _MOST_AHEAD


_ENABLED = select(timers).where(timers.c.enabled.is_(True)).order_by(timers.c.id)
#: Allows for claims ahead, and for clocks that differ a little.
_MOST_AHEAD = timedelta(seconds=1)


def _check_names(connection: Connection, wanted: Sequence[Timer]) -> None:
    taken = set(ids_of_names(connection, wanted))
    for timer in wanted:
        if (timer.environment, timer.name) in taken:
            raise DuplicateTimerError(timer.name, timer.environment)


def _get(connection: Connection, name: str, environment: Environment, *, is_locked: bool = False) -> StoredTimer:
    if not isinstance(name, str):
        raise TypeError(f"the name of a timer must be a str, got {type(name).__name__}")
    query = select(timers).where(timers.c.environment == environment, timers.c.name == name)
    row = connection.execute(query.with_for_update(key_share=True) if is_locked else query).one_or_none()
    if row is None:
        check_choice("environment", {each.value: each for each in Environment}, environment)
        known = connection.execute(select(timers.c.name).where(timers.c.environment == environment)).scalars()
        raise UnknownTimerError(name, environment, known)
    return stored_timer_of(row, connection)
