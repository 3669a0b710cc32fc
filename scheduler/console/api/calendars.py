"""The handlers of calendars of working days: list, read, make, change and remove them."""

from __future__ import annotations

from typing import Any

from flask import Response

from quartzcron import CronError
from quartzcron.calendars import WorkingDays

from ...errors import UnknownCalendarError
from ...formats.json import calendar_json
from ...store.calendars import CalendarTable, StoredCalendar
from ..current import console
from .context import answer, author, default_zone, listed
from .problems import ProblemError
from .requests import CalendarBody, NamePath, WhyQuery


def index() -> Response:
    """All calendars."""
    return listed([_object(calendar) for calendar in _table().list()], None)


def show(path: NamePath) -> Response:
    """One calendar, with its days."""
    stored = _stored(path)
    return answer(_object(stored) | {"content": stored.working_days.to_json()})


def put(path: NamePath, body: CalendarBody) -> Response:
    """Make a calendar, or change it: the next fire times of its timers move; due ones stay due."""
    try:
        days = WorkingDays.from_json(body.content)
    except CronError as error:
        raise ProblemError("invalid", str(error), field="content") from None
    given: dict[str, Any] = {"now": console().now(), "source": body.source, "by": author(body.why)}
    try:
        _table().change(path.name, days, **given)
        status = 200
    except UnknownCalendarError:
        _table().add(path.name, days, **given)
        status = 201
    stored = _table().get(path.name)
    return answer(_object(stored) | {"content": stored.working_days.to_json()}, status)


def delete(path: NamePath, query: WhyQuery) -> Response:
    """Remove a calendar that no timer uses."""
    if _stored(path).timers:
        raise ProblemError("conflict", f"calendar {path.name!r} is used by timers; give them another one first")
    _table().remove(path.name, now=console().now(), by=author(query.why))
    return Response(status=204)


def _table() -> CalendarTable:
    return CalendarTable(console().store)


def _stored(path: NamePath) -> StoredCalendar:
    try:
        return _table().get(path.name)
    except UnknownCalendarError as error:
        raise ProblemError("unknown", str(error), field="name") from None


def _object(calendar: StoredCalendar) -> dict[str, Any]:
    return calendar_json(calendar, console().now().date(), default_zone())
