"""PauseTable: begins and ends pauses; see pauses.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, null, select, update

from ..core.overlap import NewRun
from ..core.run import Outcome
from ..core.timer import Environment
from ..core.timer_checks import check_tag
from ..core.timestamps import instant, stamp, stamp_or_none
from ..core.trigger_kinds import UnreadableTrigger
from ..errors import TimerError
from .change_recording import Action, Author, NewChange, Subject, Way, record_changes
from .database import Store, store_of
from .pauses import Pause, check_end, hold, insert_pause, pause_of, read_pauses, scope_text
from .rows import NEW_RUN, new_run, timer_of
from .schema import pauses, runs, timers
from .statements import Among, Bulk
from .timer_edits import enable_again

SKIPPED = "skipped: the timer was paused"


class PauseTable:
    """The pauses of one store; each change wakes the daemons."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[Pause]:
        """All pauses, the oldest first, including those of single timers."""
        with self._store.reading() as connection:
            return read_pauses(connection)

    def pause(
        self,
        environment: Environment | None = None,
        tag: str | None = None,
        *,
        now: datetime,
        until: datetime | None = None,
        by: Author | None = None,
    ) -> Pause:
        """Pause the timers of an environment, with a tag, or all; replaces another pause of the same scope.

        When this returns, no daemon claims any of them. `by` is the author, with the reason.
        """
        check_end(until, now)
        if tag is not None:
            tag = check_tag(tag)
        by = by or Author.of_process()
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            connection.execute(delete(pauses).where(_of(environment, tag)))
            insert_pause(connection, environment, tag, now=now, until=until, by=by)
            hold(connection)
            pause = pause_of(connection.execute(select(pauses).where(_of(environment, tag))).one())
            record_changes(connection, [_begun(pause)], by, now=now)
        return pause

    def resume(
        self,
        environment: Environment | None = None,
        tag: str | None = None,
        *,
        now: datetime,
        skip: bool = False,
        by: Author | None = None,
    ) -> Sequence[Pause]:
        """End the pause of an environment, of a tag, or of both; with neither, all pauses. Returns those that ended.

        With `skip`, missed fire times are recorded as misfired, whatever the misfire policy. TimerError if nothing is
        paused.
        """
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            of_many = [pause for pause in read_pauses(connection) if pause.timer_id is None]
            ended = [pause for pause in of_many if (pause.environment, pause.tag) == (environment, tag)]
            if environment is None and tag is None:
                ended = of_many
            if not ended:
                raise TimerError(_nothing_to_end(of_many, environment, tag))
            _end(connection, ended, now, by, skips=skip)
        return ended

    def end_due(self, now: datetime) -> Sequence[Pause]:
        """End the pauses whose time is over; returns them. For daemons."""
        with self._store.writing_and_notifying() as connection:
            self._store.acquire_mutex(connection)
            over = [pause for pause in read_pauses(connection) if pause.until is not None and pause.until <= now]
            _end(connection, over, now, Author.of_process(Way.DAEMON, "its time is over"), skips=False)
        return over


def _end(connection: Connection, ended: Sequence[Pause], now: datetime, by: Author | None, *, skips: bool) -> None:
    """Delete pauses, and free or enable the timers that no other pause holds."""
    connection.execute(delete(pauses).where(pauses.c.id.in_([pause.id for pause in ended])))
    freed = hold(connection) if any(pause.timer_id is None for pause in ended) else []
    if skips:
        _skip(connection, freed, now)
    for pause in ended:
        if pause.timer_id is not None and pause.until is not None:
            enable_again(connection, pause.timer_id, pause.until, by)
    of_many = [pause for pause in ended if pause.timer_id is None]
    record_changes(connection, [_over(pause) for pause in of_many], by, now=now)


def _skip(connection: Connection, timer_ids: Sequence[int], now: datetime) -> None:
    """Record the missed fire times of these timers as misfired, and compute the next ones."""
    new_rows: list[list[Any]] = []
    planned: list[tuple[int | None, int]] = []
    for row in _TIMERS.rows(connection, timer_ids):
        timer = timer_of(row, connection)
        if row.next_fire_at is None or row.next_fire_at > stamp(now) or isinstance(timer.trigger, UnreadableTrigger):
            continue
        first, end = instant(row.next_fire_at), now + timedelta(microseconds=1)
        last, count = timer.schedule.prev_fire(end) or first, max(1, timer.schedule.count(first, end))
        missed = NewRun(first, last, count, Outcome.MISFIRED)
        new = new_run((row.id, row.name, row.function, row.environment), missed, stamp(now))
        new[_MESSAGE] = SKIPPED
        new_rows.append(new)
        planned.append((stamp_or_none(timer.schedule.next_fire(now)), row.id))
    run_ids = store_of(connection).new_run_ids(connection, len(new_rows))
    _NEW_RUNS.execute(connection, [(run_id, *new[1:]) for run_id, new in zip(run_ids, new_rows, strict=True)])
    _PLAN.execute(connection, planned)


def _begun(pause: Pause) -> NewChange:
    return NewChange(Action.ADDED, pause.scope, pause.environment, after=_object(pause), subject=Subject.PAUSE)


def _over(pause: Pause) -> NewChange:
    return NewChange(Action.REMOVED, pause.scope, pause.environment, before=_object(pause), subject=Subject.PAUSE)


def _object(pause: Pause) -> dict[str, Any]:
    return {"tag": pause.tag, "until": pause.until and pause.until.isoformat()}


def _of(environment: Environment | None, tag: str | None) -> Any:
    return (
        pauses.c.environment.is_not_distinct_from(environment)
        & pauses.c.tag.is_not_distinct_from(tag)
        & pauses.c.timer_id.is_(None)
    )


def _nothing_to_end(in_force: Sequence[Pause], environment: Environment | None, tag: str | None) -> str:
    if not in_force:
        return "nothing is paused"
    others = "; ".join(pause.scope for pause in in_force)
    return f"there is no pause of {scope_text(environment, tag)}; paused: {others}"


_TIMERS = Among(select(timers).order_by(timers.c.id), timers.c.id)
_MESSAGE = NEW_RUN.index("message")
_NEW_RUNS = Bulk(insert(runs), NEW_RUN)
_PLAN = Bulk(
    update(timers)
    .where(timers.c.id == bindparam("timer"))
    .values(next_fire_at=bindparam("next_fire"), counter_run_id=null(), counter_outcome=null()),
    ("next_fire", "timer"),
)
