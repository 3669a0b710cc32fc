"""Calendars of working days: a list, and the days off and worked days of a year of one."""

from __future__ import annotations

from datetime import date

from flask import request

from ...store.calendars import CalendarTable
from ..current import console
from ..reader import reader
from ..rendering import render

_FIRST_YEAR, _LAST_YEAR = 1970, 2099


def show_list() -> str:
    """The calendars, until when each is known, and how many timers use it."""
    return render("calendars.html", calendars=CalendarTable(console().store).list(), today=_today())


def show(name: str) -> str:
    """A year of a calendar."""
    stored = CalendarTable(console().store).get(name)
    year = min(max(request.args.get("year", _today().year, type=int), _FIRST_YEAR), _LAST_YEAR)
    days = stored.working_days
    return render(
        "calendar.html",
        calendar=stored,
        today=_today(),
        year=year,
        first_year=_FIRST_YEAR,
        last_year=_LAST_YEAR,
        working=days.count(date(year - 1, 12, 31), date(year, 12, 31)),
        holidays=[(day, name) for day, name in days.holidays.items() if day.year == year],
        worked=[(day, name) for day, name in days.worked.items() if day.year == year],
    )


def _today() -> date:
    return console().now().astimezone(reader().tz).date()
