"""Log lines of a store as one sequence: what runs of timers print, and what functions print that clients call.

Lives here: keeping the lines of calls over HTTP, reading both kinds, forgetting calls' lines when they are old. Never
here: a run's lines, which come and go with the run. A call has no row, only lines: a busy service writes nothing else.
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

#: The most rows that one prune takes, so that it holds up nobody.
PRUNE_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line, with the id that leads from the fire, or from a client's request, to it; `timer` is None for a call."""

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
        """Whose line it is: the timer's, or the function's that was called."""
        return self.timer if self.timer is not None else self.function


@dataclass(frozen=True, slots=True)
class Choice:
    """Which lines to read; None chooses all."""

    timer: str | None = None
    function: str | None = None
    environment: str | None = None
    request_id: str | None = None


class Mark(NamedTuple):
    """How far a reader has come, in the lines of runs and in those of calls."""

    run_line: int = 0
    call_line: int = 0


class LogLines:
    """The log lines of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, said: Sequence[LogLine]) -> None:
        """Keep lines of calls."""
        if said:
            with self._store.writing() as connection:
                connection.execute(insert(call_lines), [_columns(line) for line in said])

    def last(self, choice: Choice, limit: int) -> tuple[list[LogLine], Mark]:
        """The last lines, oldest first, and where to read on."""
        return self._read(choice, limit, None)

    def after(self, mark: Mark, choice: Choice, limit: int = 1_000) -> tuple[list[LogLine], Mark]:
        """At most `limit` lines of each kind that came after a mark, oldest first, and where to read on."""
        return self._read(choice, limit, mark)

    def prune(self, *, before: datetime) -> int:
        """Forget calls' lines that are older than an instant, some at a time; returns how many."""
        oldest = select(call_lines.c.id).order_by(call_lines.c.id).limit(PRUNE_LIMIT)
        old = select(call_lines.c.id).where(call_lines.c.id.in_(oldest), call_lines.c.at < stamp(before))
        with self._store.writing() as connection:
            return connection.execute(delete(call_lines).where(call_lines.c.id.in_(old))).rowcount

    def _read(self, choice: Choice, limit: int, mark: Mark | None) -> tuple[list[LogLine], Mark]:
        of_runs = _chosen(_RUN_LINES, lines.c.id, _run_conditions(choice), limit, mark and mark.run_line)
        of_calls = _chosen(_CALL_LINES, call_lines.c.id, _call_conditions(choice), limit, mark and mark.call_line)
        with self._store.reading() as connection:
            run_rows = connection.execute(of_runs).all()
            call_rows = [] if choice.timer is not None else connection.execute(of_calls).all()
        reached = Mark(
            max((row.id for row in run_rows), default=mark.run_line if mark else 0),
            max((row.id for row in call_rows), default=mark.call_line if mark else 0),
        )
        found = sorted([*run_rows, *call_rows], key=lambda row: (row.at, row.id))
        return [_line(row) for row in (found if mark else found[-limit:])], reached


_RUN_LINES = select(
    lines.c.id, lines.c.at, lines.c.level, lines.c.text, lines.c.run_id,
    runs.c.timer, runs.c.function, runs.c.environment, runs.c.request_id,
).join(runs, runs.c.id == lines.c.run_id)  # fmt: skip
_CALL_LINES = select(call_lines)


def _chosen(
    query: Select[Any], number: ColumnElement[int], conditions: list[ColumnElement[bool]], limit: int, after: int | None
) -> Select[Any]:
    query = query.where(*conditions).limit(limit)
    return query.order_by(number.desc()) if after is None else query.where(number > after).order_by(number)


def _run_conditions(choice: Choice) -> list[ColumnElement[bool]]:
    wanted = {
        runs.c.timer: choice.timer,
        runs.c.function: choice.function,
        runs.c.environment: choice.environment,
        runs.c.request_id: choice.request_id,
    }
    return [column == value for column, value in wanted.items() if value is not None]


def _call_conditions(choice: Choice) -> list[ColumnElement[bool]]:
    wanted = {
        call_lines.c.function: choice.function,
        call_lines.c.environment: choice.environment,
        call_lines.c.request_id: choice.request_id,
    }
    return [column == value for column, value in wanted.items() if value is not None]


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
