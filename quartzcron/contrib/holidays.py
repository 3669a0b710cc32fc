"""Calendars of working days from the package holidays (extra `holidays`): `working_days("CN")`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any

import holidays

from ..errors import CronError, check_type, echoed
from ..fields import FIRST_YEAR, LAST_YEAR, WEEK_DAY_NAMES
from ..search.working_days import WorkingDays

_DAY = timedelta(days=1)


def working_days(
    country: str,
    subdivision: str | None = None,
    *,
    years: int | Iterable[int] | None = None,
    language: str | None = None,
    name: str | None = None,
) -> WorkingDays:
    """The working days of a country or of one of its parts, or of a stock exchange, by the package holidays.

    `country` is a code such as "CN" or "DE", or that of an exchange, such as "XNYS"; `subdivision` one such as "BY".
    `years` are the years whose holidays are included, by default all from 1970 to 2099. For a country that moves
    working days by a yearly notice, as China does, they are known until the end of the last year with a notice in the
    package; for others until the end of the last of `years`. Dates that the package estimates, such as those that
    depend on the sight of the moon, count as known. Raises CronError for an unknown country, subdivision or language.

    >>> from datetime import date
    >>> china = working_days("CN")
    >>> china.is_working(date(2026, 2, 14)), china.is_working(date(2026, 2, 16))  # a worked Saturday, New Year's Eve
    (True, False)
    """
    wanted = _years(years)
    book = _book(country, subdivision, language)
    first, last = max(book.start_year, min(wanted)), min(_last_year(book), max(wanted))
    listed = [year for year in sorted(wanted) if first <= year <= last]
    if not listed:
        raise CronError(f"the package holidays knows {echoed(country)} from {book.start_year} to {_last_year(book)}")
    week, off, worked = _week(book), {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # years without any holiday
        for year in listed:
            day = date(year, 1, 1)
            while day.year == year:
                is_working, called = book.is_working_day(day), book.get(day)
                if is_working and day.isoweekday() not in week:
                    worked[day] = called
                elif not is_working and (called or day.isoweekday() in week):
                    off[day] = called
                day += _DAY
    name = name or "-".join(part for part in (country.upper(), subdivision) if part)
    return WorkingDays(_text(week), holidays=off, worked=worked, known_until=date(listed[-1], 12, 31), name=name)


def _years(years: int | Iterable[int] | None) -> set[int]:
    if years is None:
        return set(range(FIRST_YEAR, LAST_YEAR + 1))
    wanted = {years} if isinstance(years, int) else set(years)
    for year in wanted:
        check_type(year, int, "a year must be an int")
    if not wanted or not all(FIRST_YEAR <= year <= LAST_YEAR for year in wanted):
        raise CronError(f"years must be from {FIRST_YEAR} to {LAST_YEAR}")
    return wanted


def _book(country: str, subdivision: str | None, language: str | None) -> Any:
    """The object of the package holidays for a country, or else for an exchange."""
    check_type(country, str, 'a country must be a str such as "CN"')
    check_type(subdivision, (str, type(None)), "a subdivision must be a str")
    code = country.upper()
    is_country = code not in holidays.list_supported_financial(include_aliases=True)
    try:
        make = holidays.country_holidays if is_country else holidays.financial_holidays
        book = make(code, subdiv=subdivision) if subdivision else make(code)
    except NotImplementedError:
        raise CronError(_unknown(code, subdivision)) from None
    if language is not None:
        if language not in book.supported_languages:
            known = ", ".join(book.supported_languages) or "none"
            raise CronError(f"the package holidays has {echoed(country)} in these languages: {known}")
        book = make(code, subdiv=subdivision, language=language) if subdivision else make(code, language=language)
    return book


def _unknown(code: str, subdivision: str | None) -> str:
    countries = holidays.list_supported_countries(include_aliases=True)
    if subdivision and code in countries:
        parts = countries[code]
        near = get_close_matches(subdivision.upper(), parts, n=3, cutoff=0.1) or list(parts)[:5]
        return f"{code} has no part {echoed(subdivision)} in the package holidays; it has {', '.join(near) or 'none'}"
    return f'the package holidays does not know {echoed(code)}; write a code such as "CN" or "DE"'


def _last_year(book: Any) -> int:
    """The last year whose working days the package knows."""
    last = min(book.end_year, LAST_YEAR)
    if book.has_substituted_holidays:
        # Moved days are listed year by year, for the years with a notice when the package was released.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            noticed = [day.year for day in book.weekend_workdays] + list(getattr(book, "special_public_holidays", ()))
        last = min(last, max(noticed, default=last))
    return int(last)


def _week(book: Any) -> set[int]:
    """The days of the week that are worked today, Monday being 1."""
    return {day + 1 for day in range(7) if day not in book.weekend}


def _text(week: set[int]) -> str:
    return ",".join(WEEK_DAY_NAMES[day % 7] for day in sorted(week))
