"""Log lines of a store as one sequence: what runs of timers print, and what functions print that clients call.

Here: writing the lines of calls over HTTP, reading both kinds, deleting old lines of calls. Not here: a run's lines are
written with its result, and deleted with the run (retention.py). A call has no row in the history, only lines, so that
a busy service writes nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, delete, insert, select

from ..core.timestamps import instant, stamp
from .database import Store
from .rows import storable
from .schema import call_lines, lines, runs

#: The most rows that one prune deletes, so that its transaction is short.
PRUNE_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a function printed; `timer` is None for a call over HTTP.

    `request_id` is that of the fire time, which all attempts share, or of the client's request.
    """

    at: datetime
    level: str
    text: str
    function: str
    environment: str
    request_id: str
    timer: str | None = None
    run_id: int | None = None

    @property
    def source(self) -> str:
        """The name of the timer, or of the function that was called."""
        return self.timer if self.timer is not None else self.function


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines to read; an attribute that is None excludes no line."""

    timer: str | None = None
    function: str | None = None
    environment: str | None = None
    request_id: str | None = None


class LinePosition(NamedTuple):
    """How far a reader has come: the id of the last line that it read, among those of runs and among those of calls."""

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

    def prune(self, *, before: datetime) -> int:
        """Delete lines of calls that are older than an instant, at most PRUNE_LIMIT; returns how many."""
        oldest = select(call_lines.c.id).order_by(call_lines.c.id).limit(PRUNE_LIMIT)
        old = select(call_lines.c.id).where(call_lines.c.id.in_(oldest), call_lines.c.at < stamp(before))
        with self._store.writing() as connection:
            return connection.execute(delete(call_lines).where(call_lines.c.id.in_(old))).rowcount

    def _read(
        self, wanted: LineFilter, limit: int, position: LinePosition | None
    ) -> tuple[list[LogLine], LinePosition]:
        of_runs = _limited(_RUN_LINES, lines.c.id, _run_conditions(wanted), limit, position and position.run_line)
        of_calls = _limited(
            _CALL_LINES, call_lines.c.id, _call_conditions(wanted), limit, position and position.call_line
        )
        with self._store.reading() as connection:
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


def _run_conditions(wanted: LineFilter) -> list[ColumnElement[bool]]:
    columns = {
        runs.c.timer: wanted.timer,
        runs.c.function: wanted.function,
        runs.c.environment: wanted.environment,
        runs.c.request_id: wanted.request_id,
    }
    return [column == value for column, value in columns.items() if value is not None]


def _call_conditions(wanted: LineFilter) -> list[ColumnElement[bool]]:
    columns = {
        call_lines.c.function: wanted.function,
        call_lines.c.environment: wanted.environment,
        call_lines.c.request_id: wanted.request_id,
    }
    return [column == value for column, value in columns.items() if value is not None]


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
