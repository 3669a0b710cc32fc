"""DueTimers: finds the timers that are due, and when the next ones are. Reads only; claims.py writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Text, bindparam, cast, exists, func, select, text

from ..core.breaker import BreakerState
from ..core.timestamps import instant_or_none, stamp
from ..store.database import Store
from ..store.rows import BREAKER
from ..store.schema import NOT_HELD, runs, timers
from ..store.statements import Among, Query
from .open_runs import COUNTS_AS_OVERLAP, IS_HELD, WAITS_FOR_RETRY, WAITS_FOR_TURN
from .timer_cache import CachedTimer, TimerCache


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The earliest instants at which a timer fires and a run is tried again, and whether other runs wait."""

    next_due: datetime | None
    has_waiting: bool
    #: When the first further attempt of a failed run is due.
    next_retry: datetime | None = None

    def has_waiting_at(self, now: datetime) -> bool:
        """Whether there are waiting runs to begin."""
        return self.has_waiting or (self.next_retry is not None and self.next_retry <= now)

    def is_due(self, now: datetime) -> bool:
        """Whether there may be anything to claim."""
        return self.has_waiting_at(now) or (self.next_due is not None and self.next_due <= now)


class DueTimers:
    """The due timers of one store, without those that cannot be read here: they stay due, for other daemons."""

    def __init__(self, store: Store, cache: TimerCache) -> None:
        self._store = store
        self._cache = cache

    def read(
        self, connection: Connection, query: Query, parameters: Mapping[str, Any]
    ) -> tuple[Sequence[Any], Mapping[int, CachedTimer]]:
        """The rows of a query for due timers, and the timers by id; without timers that cannot be read here."""
        rows = self._rows(connection, query, parameters)
        cached = self._cache.read(connection, rows)
        if self._cache.unreadable:
            rows = [row for row in rows if cached[row[0]].rule.fault is None]
        return rows, cached

    def count(self, connection: Connection, by: datetime, most: int) -> int:
        """The number of timers that are due by an instant, counted up to `most`."""
        parameters = {"now": stamp(by), "most": most}
        if self._cache.unreadable:
            return int(connection.execute(_count(self._readable(_DUE_IDS)), parameters).scalar_one())
        return int(_COUNT_DUE.tuples(connection, **parameters)[0][0])

    def upcoming(self, connection: Connection) -> Upcoming:
        """When the next timer, further attempt and waiting run can be claimed."""
        ((next_fire_at, has_waiting, retry_at),) = self._rows(connection, _UPCOMING, {})
        next_due_at = min((at for at in (next_fire_at, retry_at) if at is not None), default=None)
        return Upcoming(instant_or_none(next_due_at), bool(has_waiting), instant_or_none(retry_at))

    def _rows(self, connection: Connection, query: Query, parameters: Mapping[str, Any]) -> Sequence[Any]:
        if self._cache.unreadable:
            return connection.execute(self._readable(query.statement), parameters).all()
        return query.tuples(connection, **parameters)

    def _readable(self, query: Select[Any]) -> Select[Any]:
        """A query without the timers whose triggers cannot be read here: they stay due, for other daemons."""
        unreadable = self._store.list_parameter(sorted(self._cache.unreadable))
        return query.where(~self._store.is_among(_REVISION, "unreadable")).params(unreadable=unreadable)


#: Whether a timer without an open run simply runs: its breaker is closed, and no run counts its fire times.
_IS_PLAIN = (
    (timers.c.breaker_state == BreakerState.CLOSED)
    & (timers.c.consecutive_failures == 0)
    & timers.c.counter_run_id.is_(None)
    & (timers.c.max_runs == 0)
)
_DUE = (
    select(timers.c.id, timers.c.revision, timers.c.next_fire_at)
    .where(timers.c.next_fire_at <= bindparam("now"), timers.c.environment != bindparam("without"), text(NOT_HELD))
    .order_by(timers.c.next_fire_at)
    .limit(bindparam("limit"))
)
# Not in the order of ids, so it must not wait for a lock (leases.py, 5): SKIP LOCKED skips a timer that another daemon
# is claiming.
_TAKE = _DUE.with_for_update(skip_locked=True, key_share=True)
_TAKE_DUE = _TAKE.add_columns(_IS_PLAIN)
# The rows of a claim: timer id, revision, next_fire_at; and, of those that take any due timer, is plain.
DUE, TAKE_PLAIN, TAKE_DUE = Query(_DUE), Query(_TAKE.where(_IS_PLAIN)), Query(_TAKE_DUE)
TAKE_WITHOUT_OPEN = Query(_TAKE_DUE.where(~exists().where(runs.c.timer_id == timers.c.id, COUNTS_AS_OVERLAP)))
_DUE_IDS = select(timers.c.id).where(timers.c.next_fire_at <= bindparam("now"), text(NOT_HELD)).limit(bindparam("most"))


def _count(query: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(query.subquery())


_COUNT_DUE = Query(_count(_DUE_IDS))
#: The current revision of a timer in the format of the cache: id:revision.
_REVISION = cast(timers.c.id, Text) + ":" + cast(timers.c.revision, Text)
#: The columns needed to judge a timer that cannot simply run, in order of next_fire_at.
JUDGED = Among(
    select(
        *(timers.c[name] for name in ("id", "next_fire_at", "counter_run_id", "counter_outcome")),
        *(timers.c[name] for name in ("max_runs", "begun_runs")),
        *(timers.c[name] for name in BREAKER),
    ).order_by(timers.c.next_fire_at),
    timers.c.id,
)
# The last condition is implied, but without it SQLite would read every timer instead of the index of the due ones.
_UPCOMING = Query(
    select(
        func.min(timers.c.next_fire_at),
        exists().where(WAITS_FOR_TURN),
        select(func.min(runs.c.due_at)).where(WAITS_FOR_RETRY, ~IS_HELD).scalar_subquery(),
    ).where(timers.c.next_fire_at.is_not(None), text(NOT_HELD))
)
