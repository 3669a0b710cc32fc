"""LogLines: the lines of runs and of calls over HTTP, read as one sequence.

Lives here: writing the lines of calls over HTTP, reading both kinds, deleting old lines of calls. Never here: the lines
of a run, which are written with its result and deleted with the run (retention.py). A call has no row in the history,
only lines, so that a busy service writes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, select

from ..core.log_line import LogLine
from ..core.timestamps import instant, stamp
from .database import Store
from .pages import Page, first_id_since, looked_at
from .rows import storable
from .runs import of_timer
from .schema import call_lines, lines, runs

#: The most rows that one prune deletes, so that its transaction is short.
PRUNE_LIMIT = 2_000
#: The levels of lines, the lowest one first.
LEVELS = ("debug", "info", "warning", "error", "critical")
#: A line is older than those with lower ids by at most this: it is stored when its run ends, or before.
_RECORDED_LATE = timedelta(days=1, hours=1)


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines to read; an attribute that is None excludes no line.

    `level` is the lowest one, `text` a part of the text, ignoring case; lines are in [`since`, `until`).
    """

    timer: str | None = None
    function: str | None = None
    environment: str | None = None
    request_id: str | None = None
    level: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class LinePosition(NamedTuple):
    """The position of a reader: the ids of the last line of a run, and of the last line of a call, that it read."""

    run_line: int = 0
    call_line: int = 0


class LogLines:
    """The log lines of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, printed: Sequence[LogLine]) -> None:
        """Write lines of calls."""
        if printed:
            with self._store.writing() as connection:
                connection.execute(insert(call_lines), [_columns(line) for line in printed])

    def latest(self, wanted: LineFilter, limit: int) -> tuple[list[LogLine], LinePosition]:
        """The last `limit` lines, oldest first, and the position to read on from."""
        return self._read(wanted, limit, None)

    def after(
        self, position: LinePosition, wanted: LineFilter, limit: int = 1_000
    ) -> tuple[list[LogLine], LinePosition]:
        """At most `limit` lines of each kind after a position, oldest first, and the position to read on from."""
        return self._read(wanted, limit, position)

    def page(
        self, wanted: LineFilter | None = None, *, before: LinePosition | None = None, limit: int = 50
    ) -> Page[LogLine, LinePosition]:
        """The latest lines, newest first, or those before a position, the `next` of a page."""
        wanted = wanted or LineFilter()
        with self._store.reading() as connection:
            read = partial(_latest_below, connection, wanted=wanted, most=limit + 1)
            of_runs = read(_RUN_LINES, lines.c, _run_conditions(connection, wanted), below=before and before.run_line)
            of_calls = (
                _NONE
                if wanted.timer is not None
                else read(_CALL_LINES, call_lines.c, _call_conditions(wanted), below=before and before.call_line)
            )
        return _merged(of_runs, of_calls, limit)

    def prune(self, *, before: datetime) -> int:
        """Delete lines of calls that are older than an instant, at most PRUNE_LIMIT; returns how many."""
        oldest = select(call_lines.c.id).order_by(call_lines.c.id).limit(PRUNE_LIMIT)
        old = select(call_lines.c.id).where(call_lines.c.id.in_(oldest), call_lines.c.at < stamp(before))
        with self._store.writing() as connection:
            return connection.execute(delete(call_lines).where(call_lines.c.id.in_(old))).rowcount

    def _read(
        self, wanted: LineFilter, limit: int, position: LinePosition | None
    ) -> tuple[list[LogLine], LinePosition]:
        of_calls = _limited(
            _CALL_LINES, call_lines.c.id, _call_conditions(wanted), limit, position and position.call_line
        )
        with self._store.reading() as connection:
            conditions = _run_conditions(connection, wanted)
            of_runs = _limited(_RUN_LINES, lines.c.id, conditions, limit, position and position.run_line)
            run_rows = connection.execute(of_runs).all()
            call_rows = [] if wanted.timer is not None else connection.execute(of_calls).all()
        reached = LinePosition(
            max((row.id for row in run_rows), default=position.run_line if position else 0),
            max((row.id for row in call_rows), default=position.call_line if position else 0),
        )
        rows = sorted([*run_rows, *call_rows], key=lambda row: (row.at, row.id))
        return [_line(row) for row in (rows if position else rows[-limit:])], reached


_RUN_LINES = select(
    lines.c.id, lines.c.at, lines.c.level, lines.c.text, lines.c.run_id,
    runs.c.timer, runs.c.function, runs.c.environment, runs.c.request_id,
).join(runs, runs.c.id == lines.c.run_id)  # fmt: skip
_CALL_LINES = select(call_lines)


def _limited(
    query: Select[Any], number: ColumnElement[int], conditions: list[ColumnElement[bool]], limit: int, after: int | None
) -> Select[Any]:
    """The last rows of a query, newest first; or, with `after`, the first ones with a higher id, oldest first."""
    query = query.where(*conditions).limit(limit)
    return query.order_by(number.desc()) if after is None else query.where(number > after).order_by(number)


def _run_conditions(connection: Connection, wanted: LineFilter) -> list[ColumnElement[bool]]:
    columns = {
        runs.c.function: wanted.function,
        runs.c.environment: wanted.environment,
        runs.c.request_id: wanted.request_id,
    }
    conditions = [column == value for column, value in columns.items() if value is not None]
    if wanted.timer is not None:
        conditions.append(of_timer(connection, wanted.timer, wanted.environment))
    return conditions + _of_text(wanted, lines.c)


def _call_conditions(wanted: LineFilter) -> list[ColumnElement[bool]]:
    columns = {
        call_lines.c.function: wanted.function,
        call_lines.c.environment: wanted.environment,
        call_lines.c.request_id: wanted.request_id,
    }
    return [column == value for column, value in columns.items() if value is not None] + _of_text(wanted, call_lines.c)


def _of_text(wanted: LineFilter, columns: Any) -> list[ColumnElement[bool]]:
    """The conditions on level, text and time, which both kinds of lines have."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.level is not None:
        conditions.append(columns.level.in_(LEVELS[LEVELS.index(wanted.level) :]))
    if wanted.text is not None:
        conditions.append(columns.text.icontains(wanted.text, autoescape=True))
    if wanted.since is not None:
        conditions.append(columns.at >= stamp(wanted.since))
    if wanted.until is not None:
        conditions.append(columns.at < stamp(wanted.until))
    return conditions


# Pages of both kinds


class _Part(NamedTuple):
    """Rows of one kind, newest first; below `below` there are more if it is not 0, and rows older than `ends_at`."""

    rows: Sequence[Row[Any]]
    below: int
    ends_at: int | None


_NONE = _Part((), 0, None)


def _latest_below(
    connection: Connection,
    query: Select[Any],
    columns: Any,
    conditions: list[ColumnElement[bool]],
    *,
    wanted: LineFilter,
    below: int | None,
    most: int,
) -> _Part:
    """The latest rows of one kind, and how far the search went."""
    first = (
        0
        if wanted.since is None
        else first_id_since(connection, columns.id, columns.at, wanted.since, out_of_order=_RECORDED_LATE)
    )
    portion = looked_at(connection, columns.id, below, first, has_conditions=bool(conditions))
    found = query.where(portion.condition(columns.id), *conditions).order_by(columns.id.desc()).limit(most)
    rows = connection.execute(found).all()
    if len(rows) == most or portion.ends_at is None:
        return _Part(rows, 0, None)
    ends_at = connection.execute(select(columns.at).where(columns.id == portion.ends_at)).scalar_one()
    return _Part(rows, portion.ends_at, ends_at)


def _merged(of_runs: _Part, of_calls: _Part, limit: int) -> Page[LogLine, LinePosition]:
    """The latest rows of both kinds: each kind in its own order, so that the next page goes on where this one ends.

    If one kind was not searched to the end, older rows of the other one are left to a later page.
    """
    taken: list[Row[Any]] = []
    counts = {"run": 0, "call": 0}
    parts = {"run": of_runs, "call": of_calls}
    ends = {kind: part.ends_at for kind, part in parts.items() if part.ends_at is not None}
    shorter = max(ends, key=lambda kind: ends[kind]) if ends else None
    while len(taken) < limit:
        heads = {kind: part.rows[counts[kind]] for kind, part in parts.items() if counts[kind] < len(part.rows)}
        if shorter is not None:
            heads = {kind: row for kind, row in heads.items() if kind == shorter or row.at >= ends[shorter]}
        if not heads:
            break
        kind = max(heads, key=lambda kind: heads[kind].at)
        counts[kind] += 1
        taken.append(heads[kind])
    is_full = len(taken) == limit
    position = LinePosition(*(_next_below(parts[kind], counts[kind]) for kind in ("run", "call")))
    looked_back_to = None if is_full or shorter is None else instant(ends[shorter])
    return Page([_line(row) for row in taken], position if any(position) else None, looked_back_to)


def _next_below(part: _Part, taken: int) -> int:
    """The id below which the next page reads, 0 if there is nothing left."""
    if taken == len(part.rows):
        return part.below
    return int(part.rows[taken].id) + 1


def _columns(line: LogLine) -> dict[str, Any]:
    return {
        "at": stamp(line.at),
        "level": line.level,
        "text": storable(line.text),
        "function": line.function,
        "environment": line.environment,
        "request_id": line.request_id,
    }


def _line(row: Row[Any]) -> LogLine:
    of_run = hasattr(row, "run_id")
    return LogLine(
        instant(row.at),
        row.level,
        row.text,
        row.function,
        row.environment,
        row.request_id,
        timer=row.timer if of_run else None,
        run_id=row.run_id if of_run else None,
    )
