"""The timers of a store: adding, reading, enabling, disabling, editing, removing. Each change wakes the daemons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import randbits
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from ..clock import MAX_LEAD_S
from ..core import breaker
from ..core.breaker import Breaker
from ..core.run import Kind
from ..core.timer import DEFAULT_QUOTA, Environment, Timer, check_new
from ..core.timestamps import instant, instant_or_none, stamp, stamp_or_none
from ..core.trigger_kinds import UnreadableTrigger
from ..errors import DuplicateTimerError, TimerError, TimerQuotaError, UnknownTimerError
from .database import Store
from .rows import breaker_columns, breaker_of, timer_columns, timer_of
from .schema import runs, timers
from .statements import Among, Bulk


@dataclass(frozen=True, slots=True)
class StoredTimer:
    """A timer as the store has it: its id, its state, and when it fires next (None while disabled)."""

    id: int
    timer: Timer
    breaker: Breaker
    next_fire: datetime | None
    created_at: datetime
    #: The environment whose functions declare it, and whether they did so until now only; see declarations.py.
    declared_in: str | None = None
    has_vanished: bool = False


class TimerTable:
    """The timers of one store.

    >>> from datetime import UTC, datetime
    >>> from scheduler.timer import Cron
    >>> timetable = TimerTable(Store("sqlite://"))
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> _ = timetable.add([Timer(name="report", function="send_report", trigger=Cron("0 0 8 ? * MON"))], now=now)
    >>> timetable.get("report").next_fire is None       # timers are created disabled
    True
    >>> timetable.enable("report", now=now).next_fire.isoformat()
    '2026-01-05T00:00:00+00:00'
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, new: Iterable[Timer], *, now: datetime, quota: int = DEFAULT_QUOTA) -> list[StoredTimer]:
        """Keep new timers, all or none.

        Raises DuplicateTimerError for a name that its environment has already, and TimerQuotaError where an
        environment would hold more than `quota` timers (0 = no limit).
        """
        wanted = list(new)
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            _check_names(connection, wanted)
            check_quota(connection, wanted, quota)
            claimed = claimed_by_name(connection, now)
            rows = [new_columns(timer, now, claimed) for timer in wanted]
            _ADD.execute(connection, [tuple(row[name] for name in _NEW) for row in rows])
            ids = _ids(connection, wanted)
        return [
            StoredTimer(
                id=ids[timer.environment, timer.name],
                timer=timer.anchored(now),
                breaker=breaker.CLOSED,
                next_fire=instant_or_none(row["next_fire_at"]),
                created_at=instant(row["created_at"]),
            )
            for timer, row in zip(wanted, rows, strict=True)
        ]

    def list(self, environment: Environment | None = None) -> list[StoredTimer]:
        """Every timer, or those of one environment, by environment and name."""
        query = select(timers).order_by(timers.c.environment, timers.c.name)
        if environment is not None:
            query = query.where(timers.c.environment == environment)
        with self._store.reading() as connection:
            return [stored_timer(row) for row in connection.execute(query)]

    def get(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """One timer; UnknownTimerError when there is none of that name."""
        with self._store.reading() as connection:
            return _get(connection, name, environment)

    def enable(self, name: str, environment: Environment = Environment.PRODUCTION, *, now: datetime) -> StoredTimer:
        """Set a timer going from `now` on, its breaker closed; one that is going already only has its breaker reset."""

        def enabled(connection: Connection, kept: StoredTimer) -> dict[str, Any]:
            if kept.timer.enabled:
                return breaker_columns(breaker.CLOSED)
            return edited_columns(connection, kept, {"enabled": True}, now)

        return self._change(name, environment, enabled)

    def disable(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """Stop a timer from firing; a run that goes on is not touched, nor one that is about to begin.

        Daemons claim a fire at most a quarter of a second before its time; what is changed later is too late for it.
        """
        return self._change(name, environment, lambda *_: {"enabled": False, "next_fire_at": None})

    def edit(self, name: str, environment: Environment, changes: Mapping[str, Any], *, now: datetime) -> StoredTimer:
        """Change attributes of a timer by name; the breaker is reset.

        Where it fires at other times than before, that is from `now` on; else what is due stays due.

        Raises TimerError for an attribute that cannot be changed so.
        """

        return self._change(name, environment, lambda connection, kept: edited_columns(connection, kept, changes, now))

    def reset(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """Close a timer's breaker."""
        return self._change(name, environment, lambda *_: breaker_columns(breaker.CLOSED))

    def plan_afresh(self, *, now: datetime) -> int:
        """Compute the next fire time of every enabled timer anew from `now`; returns how many there are.

        For a clock that was set back too far to be waited for: intervals begin at `now`, expressions go by it. What
        another daemon has planned afresh already, and may have claimed from, stays.
        """
        with self._store.writing() as connection:
            enabled = connection.execute(select(timers).where(timers.c.enabled.is_(True))).all()
            for row in enabled:
                if _is_planned(stored_timer(row), now):
                    continue
                timer = timer_of(row).anchored(now)
                next_fire_at = stamp_or_none(timer.schedule.next_fire(now))
                new = {"next_fire_at": next_fire_at, "revision": timers.c.revision + 1}
                values = {**timer_columns(timer), **_NO_TAIL, **new}
                connection.execute(update(timers).where(timers.c.id == row.id).values(values))
        return len(enabled)

    def remove(self, name: str, environment: Environment = Environment.PRODUCTION) -> None:
        """Forget a timer; what it ran stays in the history."""
        with self._store.writing_and_notifying() as connection:
            kept = _get(connection, name, environment, is_locked=True)
            # Its id may be given again, to a timer that must not be taken for it.
            still_open = (runs.c.timer_id == kept.id) & runs.c.outcome.is_(None)
            connection.execute(update(runs).where(still_open).values(timer_id=None))
            connection.execute(delete(timers).where(timers.c.id == kept.id))

    def _change(
        self,
        name: str,
        environment: Environment,
        change: Callable[[Connection, StoredTimer], Mapping[str, Any]],
    ) -> StoredTimer:
        """Write the columns that `change` makes of a timer, whose row is locked."""
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            kept = _get(connection, name, environment, is_locked=True)
            values: dict[str, Any] = {**change(connection, kept)}
            values["revision"] = timers.c.revision + 1
            try:
                connection.execute(update(timers).where(timers.c.id == kept.id).values(values))
            except IntegrityError:
                raise DuplicateTimerError(values["name"], values["environment"]) from None
            row = connection.execute(select(timers).where(timers.c.id == kept.id)).one()
        return stored_timer(row)


#: Fires are counted on in the same row only while they follow one another: not across a time without a timer.
_NO_TAIL = {"counter_run_id": None, "counter_outcome": None}


def new_columns(timer: Timer, now: datetime, claimed: Mapping[tuple[str, str], datetime]) -> dict[str, Any]:
    """The row of a new timer; it does not fire again what is `claimed` of one of its name that was removed."""
    check_new(timer)
    anchored = timer.anchored(now)
    first_fire = _first_fire(anchored, max(now, claimed.get((timer.environment, timer.name), now)))
    return {
        **timer_columns(anchored),
        **breaker_columns(breaker.CLOSED),
        "next_fire_at": stamp(first_fire) if timer.enabled else None,
        # SQLite gives the id of a removed timer again: a daemon that remembers that one must not take this one for it.
        "revision": randbits(30),
        "created_at": stamp(now),
    }


def claimed_by_name(connection: Connection, now: datetime) -> dict[tuple[str, str], datetime]:
    """By environment and name, the latest fire times after `now` that were claimed, of timers that were removed too."""
    found = connection.execute(_CLAIMED_BY_NAME, _since(now))
    return {(environment, name): instant(at) for environment, name, at in found}


def _claimed_until(connection: Connection, kept: StoredTimer, now: datetime) -> datetime:
    """The latest fire time of a timer that was claimed, its row being locked; `now` where there is none after it.

    Its run may have ended by now: that of the caller was another, before it got hold of the row. Of a timer that is
    going, the row says it, whatever the clocks of those were who claimed; of another one, only the history does.
    """
    if kept.next_fire is not None:
        claimed = kept.timer.schedule.prev_fire(kept.next_fire)
        return now if claimed is None or claimed > now + _MAX_LEAD else max(now, claimed)
    whose = {"timer": kept.id, "name": kept.timer.name, "environment": kept.timer.environment.value}
    at = connection.execute(_CLAIMED, {**_since(now), **whose}).scalar()
    return now if at is None else instant(at)


def _since(now: datetime) -> dict[str, int]:
    return {"now": stamp(now), "since": stamp(now - _CLAIMED_WITHIN), "until": stamp(now + _MAX_LEAD)}


#: What is later than an instant was claimed no longer before that, the clocks of some hosts being wrong as well.
_CLAIMED_WITHIN = timedelta(seconds=10)
#: What is later than that was claimed by a clock that was wrong and has been set back since.
_MAX_LEAD = timedelta(seconds=MAX_LEAD_S)
_LAST_BEFORE = (
    select(runs.c.id)
    # By the clock of a daemon: runs that were asked for are entered by the clock of whoever asks.
    .where(
        or_(runs.c.claimed_at < bindparam("since"), runs.c.claimed_at > bindparam("until")),
        runs.c.kind == Kind.SCHEDULED,
    )
    .order_by(runs.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_IS_AHEAD = (
    (runs.c.last_fire_at > bindparam("now"))
    & (runs.c.last_fire_at <= bindparam("until"))
    & (runs.c.kind == Kind.SCHEDULED)
    & runs.c.due_at.is_(None)
)
_IS_RECENT = runs.c.id > func.coalesce(_LAST_BEFORE, 0)
#: Fires may have been counted until now in a row that is old.
_TAIL = select(timers.c.counter_run_id).where(timers.c.id == bindparam("timer")).scalar_subquery()
#: Of a timer, under whatever name, and of one of its name that was removed.
_ITS = or_(
    runs.c.timer_id == bindparam("timer"),
    (runs.c.timer == bindparam("name")) & (runs.c.environment == bindparam("environment")),
)
_CLAIMED = select(func.max(runs.c.last_fire_at)).where(_IS_AHEAD, or_(_IS_RECENT & _ITS, runs.c.id == _TAIL))
_CLAIMED_BY_NAME = (
    select(runs.c.environment, runs.c.timer, func.max(runs.c.last_fire_at))
    .where(_IS_AHEAD, _IS_RECENT)
    .group_by(runs.c.environment, runs.c.timer)
)


def _is_planned(kept: StoredTimer, now: datetime) -> bool:
    """Whether a timer goes by a clock that reads `now`: the fire before its next one is ahead by a lead at most."""
    if kept.next_fire is None:
        return False
    schedule = kept.timer.schedule
    before = schedule.prev_fire(kept.next_fire) or schedule.anchor
    return before is None or before <= now + _MOST_AHEAD


#: Claims ahead, and clocks that differ a little.
_MOST_AHEAD = timedelta(seconds=1)


def edited_columns(
    connection: Connection, kept: StoredTimer, changes: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """The columns that change with attributes of a timer; its breaker is closed.

    Where it fires at the same times as before, what is due stays due; else the next fire follows from now on, and what
    daemons have claimed already, which may be ahead, does not fire again.
    """
    try:
        timer = replace(kept.timer, **changes)
    except TypeError as error:
        raise TimerError(str(error)) from error
    if changes.keys() & {"name", "function"}:
        check_new(timer)
    if timer.trigger != kept.timer.trigger or (timer.enabled and not kept.timer.enabled):
        timer = timer.anchored(now)
    if kept.next_fire is not None and timer.enabled and timer.schedule == kept.timer.schedule:
        first_fire = kept.next_fire
    else:
        first_fire = _first_fire(timer, _claimed_until(connection, kept, now))
    return {
        **timer_columns(timer),
        **breaker_columns(breaker.CLOSED),
        "next_fire_at": stamp(first_fire) if timer.enabled else None,
        **_NO_TAIL,
    }


_LATER = {"id", "counter_run_id", "counter_outcome", "declared_in", "declaration", "suspended"}
#: What a new timer is given, in the order of its columns.
_NEW = tuple(column.name for column in timers.c if column.name not in _LATER)
_ADD = Bulk(insert(timers), _NEW)
_OF_NAMES = Among(select(timers.c.environment, timers.c.name, timers.c.id), timers.c.name)


def _check_names(connection: Connection, wanted: Sequence[Timer]) -> None:
    seen = set(_ids(connection, wanted))
    for timer in wanted:
        if (timer.environment, timer.name) in seen:
            raise DuplicateTimerError(timer.name, timer.environment)
        seen.add((timer.environment, timer.name))


def _ids(connection: Connection, wanted: Sequence[Timer]) -> dict[tuple[str, str], int]:
    """The ids of the timers that have the name of one of these, by environment and name."""
    rows = _OF_NAMES.rows(connection, [timer.name for timer in wanted])
    return {(environment, name): timer_id for environment, name, timer_id in rows}


def _first_fire(timer: Timer, now: datetime) -> datetime:
    first_fire = timer.schedule.next_fire(now)
    if isinstance(timer.trigger, UnreadableTrigger):
        raise TimerError(timer.trigger.reason, field="trigger")
    if first_fire is None:
        raise TimerError(f"{timer.trigger} never fires after {now.isoformat(timespec='seconds')}", field="expression")
    return first_fire


def check_quota(connection: Connection, wanted: Sequence[Timer], quota: int) -> None:
    """TimerQuotaError where an environment would hold more than `quota` timers; 0 = no limit."""
    if not quota:
        return
    for environment in sorted({timer.environment for timer in wanted}):
        new = sum(timer.environment == environment for timer in wanted)
        query = select(func.count()).select_from(timers).where(timers.c.environment == environment)
        if connection.execute(query).scalar_one() + new > quota:
            raise TimerQuotaError(environment, quota)


def _get(connection: Connection, name: str, environment: Environment, *, is_locked: bool = False) -> StoredTimer:
    query = select(timers).where(timers.c.environment == environment, timers.c.name == name)
    found = connection.execute(query.with_for_update(key_share=True) if is_locked else query).one_or_none()
    if found is None:
        known = connection.execute(select(timers.c.name).where(timers.c.environment == environment)).scalars()
        raise UnknownTimerError(name, environment, known)
    return stored_timer(found)


def stored_timer(row: Row[Any]) -> StoredTimer:
    """A row of the timers table as values."""
    return StoredTimer(
        id=row.id,
        timer=timer_of(row),
        breaker=breaker_of(row),
        next_fire=instant_or_none(row.next_fire_at),
        created_at=instant(row.created_at),
        declared_in=row.declared_in,
        has_vanished=row.suspended is not None,
    )
