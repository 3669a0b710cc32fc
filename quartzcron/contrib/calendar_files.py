"""Calendars of working days from files: iCalendar (extra `calendars`) and CSV.

Files may come from anywhere, so their size is limited, and so is the work that recurrence rules may cause.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from ..errors import CronError, check_type, echoed, shortened
from ..fields import FIRST_YEAR, LAST_YEAR
from ..search.working_days import WorkingDays

MOST_BYTES = 2_000_000
MOST_RULES = 200
MOST_DAYS = 100_000
_LONGEST = 366
_DAY = timedelta(days=1)
_FIRST, _LAST = date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31)

# Days that are worked instead of others, by their titles: those of Chinese calendars, and of Apple's.
WORKED = re.compile(r"补班|补上班|调休上班|上班|[（(]班[）)]|work(?:ed|ing) day|workday", re.IGNORECASE)
_APPLES_WORKED = "ALTERNATE-WORKDAY"
# Four hundred years are whole weeks, so dates 7,600 years later have the same days of the week. Recurrence rules are
# evaluated there: dateutil looks for an occurrence until the year 9999, however impossible the rule is.
_LATER = 7_600
_RULE_PARTS = {
    *("FREQ", "UNTIL", "COUNT", "INTERVAL", "WKST"),
    *("BYMONTH", "BYMONTHDAY", "BYDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"),
}
_DATE_PARTS = {"DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE"}
_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")

_KINDS = {
    **dict.fromkeys(("", "off", "holiday", "day off", "休", "休息日", "假日", "节假日"), False),
    **dict.fromkeys(("work", "worked", "workday", "working", "班", "补班", "工作日"), True),
}
_COLUMNS = ("date", "name", "kind")
_CHINESE = {
    "日期": "date",
    "名称": "name",
    "名字": "name",
    "节日": "name",
    "节假日": "name",
    "类型": "kind",
    "类别": "kind",
}
_DATE = re.compile(
    r"(\d{4})(?:([-/.])(\d{1,2})\2(\d{1,2})|(\d\d)(\d\d)|年(\d{1,2})月(\d{1,2})[日号]?)(?: 0?0:00(?::00)?)?", re.ASCII
)
_DELIMITERS = ",;\t"


def from_csv(
    path: str | Path, *, week: str = "MON-FRI", name: str | None = None, known_until: date | None = None
) -> WorkingDays:
    """The calendar of a CSV file with a date in each line, and optionally a name and whether it is `off` or `work`.

    The first line may name the columns `date`, `name` and `kind`, in any order. Dates are written 2026-12-31,
    2026/12/31, 20261231 or 2026年12月31日. Cells are separated by commas, or by semicolons or tabs. `week`,
    `known_until` and `name` are those of WorkingDays; the name is that of the file by default.
    Raises CronError with the line, and OSError if the file cannot be read.
    """
    path = Path(path)
    days: dict[date, tuple[str | None, bool]] = {}
    try:
        text = _text_of(path)
        rows = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
        columns: tuple[str, ...] = ()
        for row in rows:
            cells, where = [cell.strip() for cell in row], f"{path.name}, line {rows.line_num}"
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not columns and "date" in map(_column, cells):
                columns = _header(cells, where)
                continue
            columns = columns or _COLUMNS
            _add_row(days, cells, columns, where)
    except csv.Error as error:
        raise CronError(f"{path.name}, line {rows.line_num}: {error}") from None
    if not days:
        raise CronError(f"{path.name} has no dates")
    return _calendar(days, week, name or path.stem, known_until)


def _delimiter(text: str) -> str:
    """The first separator in the first line that has one; spreadsheets of some countries write semicolons."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return next((character for line in lines for character in line if character in _DELIMITERS), ",")


def _column(cell: str) -> str:
    return _CHINESE.get(cell, cell.lower())


def _header(cells: list[str], where: str) -> tuple[str, ...]:
    columns = tuple(map(_column, cells))
    if not set(columns) <= {*_COLUMNS, ""} or len(set(columns)) < len(columns):
        raise CronError(f"{where}: the columns are date, name and kind, got {echoed(', '.join(cells))}")
    return columns


def _add_row(days: dict[date, tuple[str | None, bool]], cells: list[str], columns: tuple[str, ...], where: str) -> None:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise CronError(f"{where}: more than {len(columns)} columns; put a name with a comma in quotes")
    row = dict(zip(columns, cells, strict=False))
    kind = row.get("kind", "").lower()
    if kind not in _KINDS:
        raise CronError(f"{where}: {echoed(row['kind'])} is neither off nor work")
    day = _date_of(row.get("date", ""), where)
    if day in days and days[day][1] != _KINDS[kind]:
        raise CronError(f"{where}: {day} cannot be both a holiday and a worked day")
    days[day] = (shortened(row.get("name", "")) or None, _KINDS[kind])


def _date_of(text: str, where: str) -> date:
    found = _DATE.fullmatch(text)
    try:
        if found:
            return date(int(found[1]), int(found[3] or found[5] or found[7]), int(found[4] or found[6] or found[8]))
    except ValueError:
        pass
    raise CronError(f"{where}: {echoed(text)} is not a date such as 2026-12-31")


def from_ics(
    path: str | Path, *, week: str = "MON-FRI", name: str | None = None, known_until: date | None = None
) -> WorkingDays:
    """The calendar of an iCalendar file (RFC 5545), whose events of whole days are days off.

    Events that Apple marks as worked days, and those with a title such as 补班 or "working day", are worked. `name` is
    the file's X-WR-CALNAME by default, or its file name. `known_until` is the end of the last year with an event
    without an endless rule by default, since such a rule does not know the days of the lunar calendar. Raises CronError
    for another file, and OSError if it cannot be read. Needs the package icalendar.
    """
    import icalendar

    path = Path(path)
    text = _text_of(path)
    try:
        calendars: list[Any] = icalendar.Calendar.from_ical(text, multiple=True)  # type: ignore[assignment, unused-ignore]
    except (ValueError, IndexError, KeyError, RecursionError) as error:
        raise CronError(f"{path.name} is not an iCalendar file: {shortened(str(error))}") from None
    if not calendars:
        raise CronError(f"{path.name} is not an iCalendar file: END:VCALENDAR is missing; the file may be cut off")
    events = [event for calendar in calendars for event in calendar.subcomponents if event.name == "VEVENT"]
    reading = _Reading(path.name, _replaced(events))
    for event in events:
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            reading.add(event)
    if not reading.days:
        raise CronError(f"{path.name} has no event that lasts whole days")
    called = next((title for one in calendars if (title := _text(one, "X-WR-CALNAME"))), None)
    until = known_until or date(reading.last_year or LAST_YEAR, 12, 31)
    days = {day: what for day, what in reading.days.items() if day <= until}
    return _calendar(days, week, name or called or path.stem, until)


def _text(component: Any, part: str) -> str | None:
    """The text of a part; the first one if it comes several times."""
    value = component.get(part, "")
    return shortened(str(value[0] if isinstance(value, list) else value)) or None


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _replaced(events: Iterable[Any]) -> dict[str, set[date]]:
    """The days of recurring events, by UID, that another event of the file moves or cancels."""
    found: dict[str, set[date]] = {}
    for event in events:
        replaced = getattr(event.get("RECURRENCE-ID"), "dt", None)
        if isinstance(replaced, date):
            found.setdefault(str(event.get("UID")), set()).add(_day(replaced))
    return found


class _Reading:
    """The days of the events of a file: for each day its title, and whether it is worked.

    `replaced` are days of recurring events, by UID, that no longer count.
    """

    def __init__(self, file: str, replaced: Mapping[str, set[date]]) -> None:
        self.file = file
        self._replaced = replaced
        self.days: dict[date, tuple[str | None, bool]] = {}
        self.last_year = 0  # of the events without an endless rule
        self._rules = self._count = 0

    def add(self, event: Any) -> None:
        """Add the days of an event, if it lasts whole days."""
        title = _text(event, "SUMMARY")
        where = f"{self.file}, event {echoed(title or 'without a title')}"
        start, length = _span(event, where)
        if start is None:
            return
        worked = str(event.get("X-APPLE-SPECIAL-DAY", "")).upper() == _APPLES_WORKED
        worked = worked or bool(title and WORKED.search(title))
        rule = event.get("RRULE")
        endless = rule is not None and "UNTIL" not in rule and "COUNT" not in rule
        for first in self._firsts(event, start, where):
            if not endless and first <= _LAST:
                self.last_year = max(self.last_year, first.year)
            for day in (first + n * _DAY for n in range(length)):
                self._count += 1
                if self._count > MOST_DAYS:
                    raise CronError(f"{self.file} names more than {MOST_DAYS:,} days")
                if _FIRST <= day <= _LAST and (worked or not self.days.get(day, (None, False))[1]):
                    self.days[day] = (title, worked)

    def _firsts(self, event: Any, start: date, where: str) -> Iterator[date]:
        """The first day of each occurrence of an event."""
        rule = event.get("RRULE")
        added, removed = (_listed(event, part, where) for part in ("RDATE", "EXDATE"))
        if "RECURRENCE-ID" not in event:
            removed |= self._replaced.get(str(event.get("UID")), set())
        if rule is not None:
            self._rules += 1
            if self._rules > MOST_RULES:
                raise CronError(f"{self.file} has more than {MOST_RULES} recurrence rules")
        found = [start] if rule is None else _occurrences(rule, start, where)
        yield from (day for day in found if day not in removed)
        yield from (day for day in sorted(added) if day not in removed)


def _span(event: Any, where: str) -> tuple[date | None, int]:
    """The first day of an event and its length in days; no first day if it does not last whole days."""
    _check_dates(event, where)
    start, end, duration = (getattr(event.get(part), "dt", None) for part in ("DTSTART", "DTEND", "DURATION"))
    if start is None:
        raise CronError(f"{where}: it has no date that can be read")
    if isinstance(start, datetime) and event["DTSTART"].params.get("VALUE") != "DATE":
        # A day may also be given from midnight to midnight.
        end = start + duration if isinstance(duration, timedelta) and end is None else end
        if start.time() != datetime.min.time() or not isinstance(end, datetime) or end.time() != start.time():
            return None, 0
    start, end = _day(start), None if end is None else _day(end)
    length = (end - start).days if end is not None else duration.days if isinstance(duration, timedelta) else 1
    if not 0 <= length <= _LONGEST:
        raise CronError(f"{where}: it lasts {length} days; a holiday lasts at most {_LONGEST}")
    return start, max(length, 1)


def _check_dates(event: Any, where: str) -> None:
    """Raise CronError for a date or a rule that the package icalendar could not read."""
    for part, reason in event.errors:
        if part in _DATE_PARTS:
            raise CronError(f"{where}: {part} cannot be read: {shortened(str(reason))}")


def _listed(event: Any, part: str, where: str) -> set[date]:
    """The dates of RDATE or EXDATE; an event may have several of either."""
    values = event.get(part, [])
    found = set()
    for value in values if isinstance(values, list) else [values]:
        for one in getattr(value, "dts", ()):
            day = one.dt.date() if isinstance(one.dt, datetime) else one.dt
            if not isinstance(day, date):
                raise CronError(f"{where}: {part} has a span of time instead of a date")
            found.add(day)
    return found


def _occurrences(rule: Any, start: date, where: str) -> Iterator[date]:
    """The dates of a recurrence rule up to the end of 2099."""
    from dateutil.rrule import rrulestr

    if isinstance(rule, list) or not _is_of_days(rule):
        raise CronError(f"{where}: its recurrence rule is not a yearly, monthly, weekly or daily one of whole days")
    until = rule.get("UNTIL", [_LAST])[0]
    until = min(until.date() if isinstance(until, datetime) else until, _LAST)
    text = ";".join(
        f"{part}={','.join(str(value) for value in values)}" for part, values in rule.items() if part != "UNTIL"
    )
    if not FIRST_YEAR - 400 <= start.year <= LAST_YEAR:
        return
    try:
        later = datetime(start.year + _LATER, start.month, start.day)
        for occurrence in rrulestr(text, dtstart=later):
            day = date(occurrence.year - _LATER, occurrence.month, occurrence.day)
            if day > until:
                return
            yield day
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise CronError(f"{where}: its recurrence rule cannot be read: {shortened(str(error))}") from None


def _is_of_days(rule: Any) -> bool:
    """Whether a rule is one that this module evaluates: the next day of a daily one with conditions may be too far."""
    frequency, interval = rule.get("FREQ", [""])[0], rule.get("INTERVAL", [1])[0]
    if frequency == "DAILY" and any(part.startswith("BY") for part in rule):
        return False
    return set(rule) <= _RULE_PARTS and frequency in _FREQUENCIES and isinstance(interval, int) and interval > 0


def _calendar(days: dict[date, tuple[str | None, bool]], week: str, name: str, known_until: date | None) -> WorkingDays:
    holidays, worked = (
        {day: called for day, (called, is_worked) in days.items() if is_worked is kind} for kind in (False, True)
    )
    return WorkingDays(week, holidays=holidays, worked=worked, known_until=known_until, name=shortened(name))


def _text_of(path: Path) -> str:
    try:
        return _bytes_of(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CronError(f"{path.name}, line {line}: it is not UTF-8; save it as UTF-8") from None


def _bytes_of(path: Path) -> bytes:
    check_type(path, Path, "a path must be a str or a Path")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise CronError(f"{path.name} has more than {MOST_BYTES // 1_000_000} MB, more than any calendar of holidays")
    return data
