"""Pages: bounded parts of a table, newest first, each with the position of the next. No page counts or skips rows.

A page reads at most MAX_LOOKED_AT rows, even if few of them match: it says how far it has read, and where the next one
begins. Ids increase with time, so an instant is found among them without an index on the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from ..core.timestamps import instant, stamp

#: The most rows that one page reads.
MAX_LOOKED_AT = 50_000
#: How far rows may be out of order of their times, because clocks differ or were set.
OUT_OF_ORDER = timedelta(hours=1)

_NEWEST = 2**63 - 1

Entry = TypeVar("Entry")
Cursor = TypeVar("Cursor")


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry, Cursor]):
    """Entries in order. `next` is the position of the next page, None at the end.

    `looked_back_to` is the instant up to which the page has read, if it is neither full nor the last.
    """

    items: Sequence[Entry]
    next: Cursor | None = None
    looked_back_to: datetime | None = None


class Portion(NamedTuple):
    """The ids that a page reads: from `first` on and below `before`; `ends_at` is the last one if more follow."""

    first: int
    before: int
    ends_at: int | None

    def condition(self, ids: ColumnElement[int]) -> ColumnElement[bool]:
        """The condition that a row is in this portion."""
        return and_(ids >= self.first, ids < self.before)


def looked_at(
    connection: Connection, ids: ColumnElement[int], before: int | None, first: int = 0, *, has_conditions: bool
) -> Portion:
    """The portion of a table that a page reads; all rows below `before` if each of them matches."""
    before = _NEWEST if before is None else before
    if not has_conditions:
        return Portion(first, before, None)
    latest = select(ids.label("id")).where(ids >= first, ids < before).order_by(ids.desc()).limit(MAX_LOOKED_AT)
    numbers = latest.subquery()
    query = select(func.min(numbers.c.id), func.count(numbers.c.id))
    lowest, count = connection.execute(query).one()
    return Portion(lowest, before, lowest) if count == MAX_LOOKED_AT else Portion(first, before, None)


def end_of_page(
    connection: Connection,
    rows: Sequence[Row[Any]],
    limit: int,
    portion: Portion,
    ids: ColumnElement[int],
    times: ColumnElement[int],
    entry_of: Callable[[Row[Any]], Entry],
) -> Page[Entry, int]:
    """The page of the rows of a portion, which were read with one more than `limit`."""
    items = [entry_of(row) for row in rows[:limit]]
    if len(rows) > limit:
        return Page(items, rows[limit - 1].id)
    if portion.ends_at is None:
        return Page(items)
    at = connection.execute(select(times).where(ids == portion.ends_at)).scalar_one()
    return Page(items, portion.ends_at, instant(at))


def first_id_since(
    connection: Connection,
    ids: ColumnElement[int],
    times: ColumnElement[int],
    since: datetime,
    *,
    out_of_order: timedelta = OUT_OF_ORDER,
) -> int:
    """An id below which every row is older than an instant, by bisection: about twenty look-ups in a million rows."""
    wanted = stamp(since - out_of_order)
    low, high = 0, (connection.execute(select(func.max(ids))).scalar() or 0) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(select(ids, times).where(ids >= middle).order_by(ids).limit(1)).first()
        if row is None or row[1] >= wanted:
            high = middle
        else:
            low = row[0] + 1
    return low
