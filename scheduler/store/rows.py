"""Converts values to rows of the store, and rows to values."""

from __future__ import annotations

from os import urandom
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row

from ..core import breaker
from ..core.breaker import Breaker, BreakerState
from ..core.overlap import NewRun
from ..core.run import MESSAGES, Kind, Line, Outcome, Run, Task
from ..core.timer import Timer
from ..core.timer_values import timer_from
from ..core.timestamps import instant, instant_or_none, stamp, stamp_or_none
from .calendar_content import content_of


def storable(text: str) -> str:
    """A text that every database can store: without NUL, which PostgreSQL refuses, and without lone surrogates.

    >>> storable("fine"), storable("a" + chr(0) + "b" + chr(0xD800))
    ('fine', 'a�b?')
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


#: The columns of a breaker's state.
BREAKER = ("breaker_state", "consecutive_failures", "openings", "opened_at", "next_probe_at", "last_error")


def breaker_columns(state: Breaker) -> dict[str, Any]:
    """A breaker's state, by column."""
    return {
        "breaker_state": state.state.value,
        "consecutive_failures": state.consecutive_failures,
        "openings": state.openings,
        "opened_at": stamp_or_none(state.opened_at),
        "next_probe_at": stamp_or_none(state.next_probe_at),
        "last_error": state.last_error and storable(state.last_error),
    }


def timer_of(row: Row[Any] | SimpleNamespace, connection: Connection) -> Timer:
    """A timer, from a row that has its columns."""
    if row.calendar is None:
        return timer_from(row)
    return timer_from(row, content_of(connection, row.calendar, row.calendar_digest))


def breaker_of(row: Row[Any] | SimpleNamespace) -> Breaker:
    if row.breaker_state == "closed" and not row.consecutive_failures:
        return breaker.CLOSED
    return Breaker(
        state=BreakerState(row.breaker_state),
        consecutive_failures=row.consecutive_failures,
        openings=row.openings,
        opened_at=instant_or_none(row.opened_at),
        next_probe_at=instant_or_none(row.next_probe_at),
        last_error=row.last_error,
    )


#: The columns of a run that describe its timer: timer_id, timer, function, environment.
RunColumns = tuple[int, str, str, str]

#: The columns of a new run, in this order.
NEW_RUN = (
    "id",
    "timer_id",
    "timer",
    "function",
    "environment",
    "kind",
    "fire_at",
    "last_fire_at",
    "count",
    "attempt",
    "request_id",
    "owner",
    "claimed_at",
    "ended_at",
    "outcome",
    "message",
    "lines_dropped",
)


def new_run(timer: RunColumns, run: NewRun, claimed_at: int, *, owner: int | None = None) -> list[Any]:
    """The row of a run to enter, in the order of NEW_RUN, with 0 for its id; a run with an outcome has ended."""
    fire_at, last_fire_at = stamp(run.fire_time), stamp(run.last_fire_time)
    row = [0, *timer, SCHEDULED, fire_at, last_fire_at, run.count, 1, new_request_ids(1)[0], owner, claimed_at]
    if run.outcome is None:
        return [*row, None, None, "", 0]
    return [*row, claimed_at, run.outcome.value, MESSAGES[run.outcome], 0]


def new_request_ids(count: int) -> list[str]:
    """Random request ids of sixteen hexadecimal digits."""
    digits = urandom(8 * count).hex()
    return [digits[start : start + 16] for start in range(0, 16 * count, 16)]


SCHEDULED = Kind.SCHEDULED.value


def run_of(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        timer_id=row.timer_id,
        timer=row.timer,
        function=row.function,
        environment=row.environment,
        kind=Kind(row.kind),
        fire_time=instant(row.fire_at),
        last_fire_time=instant(row.last_fire_at),
        count=row._mapping["count"],  # row.count is a method of tuples
        attempt=row.attempt,
        request_id=row.request_id,
        claimed_at=instant(row.claimed_at),
        started_at=instant_or_none(row.started_at),
        ended_at=instant_or_none(row.ended_at),
        outcome=None if row.outcome is None else Outcome(row.outcome),
        message=row.message,
        error=row.error,
        result=row.result,
        lines_dropped=row.lines_dropped,
        due_at=instant_or_none(row.due_at),
        retry_at=instant_or_none(row.retry_at),
        is_claimed=row.owner is not None,
        cancel_requested_at=instant_or_none(row.cancel_requested_at),
        own_params=row.own_params,
        cause_id=row.cause_id,
    )


def task_of(row: Row[Any], *, past_due: bool) -> Task:
    """A task, from the row of a run joined with `params` and `limit_s` of its timer; parameters of the run go first."""
    return Task(
        run_id=row.id,
        timer_id=row.timer_id,
        timer=row.timer,
        function=row.function,
        environment=row.environment,
        params=row.params if row.own_params is None else row.own_params,
        limit_s=row.limit_s,
        kind=Kind(row.kind),
        fire_time=instant(row.fire_at),
        attempt=row.attempt,
        request_id=row.request_id,
        past_due=past_due,
    )


def line_columns(line: Line) -> dict[str, Any]:
    return {"run_id": line.run_id, "at": stamp(line.at), "level": line.level, "text": storable(line.text)}


def line_of(row: Row[Any]) -> Line:
    return Line(row.run_id, instant(row.at), row.level, row.text)
