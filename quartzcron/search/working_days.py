"""WorkingDays, a calendar: a working week, less holidays, plus the days off that are worked.

wall/rolls.py moves fires to working days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from ..errors import CronError, check_type, echoed
from ..fields import FIRST_YEAR, LAST_YEAR, WEEK_DAYS
from ..wall.rolls import CONVENTIONS, DAYS, FIRST_DAY, Lines, Roll
from .compiled import CompiledExpression, make, with_layers
from .expression_value import VIXIE, put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from .compiled import Expression

    # Dates, or a mapping from dates to what each is called.
    Dates = Iterable[date] | Mapping[date, str | None]

_PARTS = ("name", "week", "holidays", "worked", "known_until")
_LONGEST_NAME = 200
_LAST = date(LAST_YEAR, 12, 31)
_ON, _OFF = b"1", b"0"
_EVERY_DAY = "SUN-SAT"


class WorkingDays:
    """The working days from 1970 to 2099, as an immutable value: a week, less holidays, plus worked days off.

    `week` is a day-of-week field such as "MON-FRI". `holidays` are days off, and `worked` are days that are worked
    although the week has them off, such as the Saturdays before China's Spring Festival: dates, or a mapping from dates
    to names. After `known_until` the working week alone is assumed; it is the end of the year of the last such date by
    default, and None for a calendar without any. Dates outside 1970-2099 are left out. `name` is the
    calendar's name in descriptions, up to 200 printable characters. Raises CronError for invalid values.

    Two are equal if they have the same working days, the same week and the same `known_until`.

    >>> from datetime import date
    >>> days_off = {date(2026, 1, 1): "New Year", date(2026, 1, 2): None}
    >>> new_year = WorkingDays(holidays=days_off, worked=[date(2026, 1, 4)])
    >>> new_year.is_working(date(2026, 1, 2)), new_year.is_working(date(2026, 1, 4)), new_year.known_until
    (False, True, datetime.date(2026, 12, 31))
    >>> new_year.next_working(date(2025, 12, 31))
    datetime.date(2026, 1, 4)
    """

    __slots__ = ("_holidays", "_lines", "_week", "_worked", "known_until", "name", "week")

    name: str | None
    week: str
    known_until: date | None
    _week: int
    _holidays: dict[date, str | None]
    _worked: dict[date, str | None]
    _lines: Lines | None

    def __init__(
        self,
        week: str = "MON-FRI",
        *,
        holidays: Dates = (),
        worked: Dates = (),
        known_until: date | None = None,
        name: str | None = None,
    ) -> None:
        check_type(name, (str, type(None)), "the name of a calendar must be a str")
        check_type(known_until, (date, type(None)), "known_until must be a date")
        if name is not None and not (name.isprintable() and len(name) <= _LONGEST_NAME):
            raise CronError(f"the name of a calendar is up to {_LONGEST_NAME} printable characters, got {echoed(name)}")
        put(self, "name", name)
        put(self, "_week", _week_of(week))
        put(self, "week", _week_text(self._week))
        put(self, "_holidays", _named_dates(holidays, "holiday"))
        put(self, "_worked", _named_dates(worked, "worked day"))
        last = max((*self._holidays, *self._worked), default=None)
        if known_until is None and last is not None:
            known_until = date(last.year, 12, 31)
        put(self, "known_until", None if known_until is None else min(_plain(known_until), _LAST))
        put(self, "_lines", None)
        self._check(last)

    def _check(self, last: date | None) -> None:
        both = sorted(set(self._holidays) & set(self._worked))
        if both:
            raise CronError(f"{both[0]} cannot be both a holiday and a worked day")
        if last is not None and self.known_until is not None and last > self.known_until:
            raise CronError(f"{last} is after {self.known_until}, the last known day by known_until")
        if not self.lines.working:
            raise CronError("a calendar of working days needs at least one working day")

    # -- questions --

    def is_working(self, day: date) -> bool:
        """Whether a day is worked.

        >>> WorkingDays("SUN-THU").is_working(date(2026, 1, 2))  # a Friday
        False
        """
        check_type(day, date, "a day must be a date")
        place = day.toordinal() - FIRST_DAY
        if 0 <= place < DAYS:
            return bool(self.lines.working >> place & 1)
        return bool(self._week >> day.isoweekday() % 7 + 1 & 1)

    def next_working(self, day: date) -> date | None:
        """The first working day strictly after a day; None if there is none up to the end of 2099."""
        check_type(day, date, "a day must be a date")
        place = max(day.toordinal() - FIRST_DAY + 1, 0)
        later = self.lines.working >> place if place < DAYS else 0
        return date.fromordinal(FIRST_DAY + place + (later & -later).bit_length() - 1) if later else None

    def previous_working(self, day: date) -> date | None:
        """The last working day strictly before a day; None if there is none from 1970 on."""
        check_type(day, date, "a day must be a date")
        place = min(max(day.toordinal() - FIRST_DAY, 0), DAYS)
        earlier = self.lines.working & (1 << place) - 1
        return date.fromordinal(FIRST_DAY + earlier.bit_length() - 1) if earlier else None

    def count(self, start: date, end: date) -> int:
        """The number of working days strictly after `start` up to and including `end`, in 1970-2099.

        >>> WorkingDays().count(date(2026, 1, 1), date(2026, 1, 31))
        21
        """
        for day in (start, end):
            check_type(day, date, "a day must be a date")
        low, high = (min(max(day.toordinal() - FIRST_DAY + 1, 0), DAYS) for day in (start, end))
        return (self.lines.working >> low & (1 << high - low) - 1).bit_count() if low < high else 0

    def rolled(self, day: date, roll: str) -> date | None:
        """The day of a fire on this day under a roll convention; None if it is skipped.

        >>> print(WorkingDays().rolled(date(2026, 1, 31), "following"))
        2026-02-02
        >>> print(WorkingDays().rolled(date(2026, 1, 31), "modified_following"))
        2026-01-30
        """
        check_type(day, date, "a day must be a date")
        place = day.toordinal() - FIRST_DAY
        line = _roll(self, roll).rolled(1 << place) if 0 <= place < DAYS else 0
        return date.fromordinal(FIRST_DAY + line.bit_length() - 1) if line else None

    @property
    def holidays(self) -> dict[date, str | None]:
        """The holidays, in order, with their names, None for those without."""
        return dict(self._holidays)

    @property
    def worked(self) -> dict[date, str | None]:
        """The days off that are worked, in order, with their names."""
        return dict(self._worked)

    @property
    def lines(self) -> Lines:
        """The working days and the days off as lines, see wall/rolls.py; computed once."""
        lines = self._lines
        if lines is None:
            first = date.fromordinal(FIRST_DAY).isoweekday() % 7
            week = bytes(_ON[0] if self._week >> (first + day) % 7 + 1 & 1 else _OFF[0] for day in range(7))
            days = bytearray((week * (DAYS // 7 + 1))[:DAYS])
            for dates, digit in ((self._holidays, _OFF[0]), (self._worked, _ON[0])):
                for day in dates:
                    days[day.toordinal() - FIRST_DAY] = digit
            lines = Lines(days)
            put(self, "_lines", lines)
        return lines

    # -- with other days --

    def less(self, holidays: Dates, *, name: str | None = None) -> WorkingDays:
        """The calendar with more holidays, such as those of one company; they may be worked days of this one.

        >>> WorkingDays().less([date(2026, 12, 24)]).is_working(date(2026, 12, 24))
        False
        """
        more = _named_dates(holidays, "holiday")
        worked = {day: name for day, name in self._worked.items() if day not in more}
        return self._with({**self._holidays, **more}, worked, name)

    def plus(self, worked: Dates, *, name: str | None = None) -> WorkingDays:
        """The calendar with more days that are worked; they may be holidays of this one."""
        more = _named_dates(worked, "worked day")
        holidays = {day: name for day, name in self._holidays.items() if day not in more}
        return self._with(holidays, {**self._worked, **more}, name)

    def _with(self, holidays: dict[date, str | None], worked: dict[date, str | None], name: str | None) -> WorkingDays:
        name = self.name if name is None else name
        return WorkingDays(self.week, holidays=holidays, worked=worked, known_until=self.known_until, name=name)

    def __and__(self, other: WorkingDays) -> WorkingDays:
        """The days that are worked by both calendars; known until the earlier of both days."""
        return self._combined(other, int.__and__, " and ") if isinstance(other, WorkingDays) else NotImplemented

    def __or__(self, other: WorkingDays) -> WorkingDays:
        """The days that are worked by either calendar; known until the earlier of both days."""
        return self._combined(other, int.__or__, " or ") if isinstance(other, WorkingDays) else NotImplemented

    def _combined(self, other: WorkingDays, join: Callable[[int, int], int], word: str) -> WorkingDays:
        bits = join(self._week, other._week)
        if not bits:
            raise CronError(f"{self.week} and {other.week} have no working day in common")
        week = _week_text(bits)
        known = min((day for day in (self.known_until, other.known_until) if day is not None), default=None)
        both, named = join(self.lines.working, other.lines.working), {**other._holidays, **self._holidays}
        named.update({**other._worked, **self._worked})
        holidays: dict[date, str | None] = {}
        worked: dict[date, str | None] = {}
        for day, called in named.items():
            is_on = both >> day.toordinal() - FIRST_DAY & 1
            if known is not None and day <= known and is_on != bits >> day.isoweekday() % 7 + 1 & 1:
                (worked if is_on else holidays)[day] = called
        name = word.join(name for name in (self.name, other.name) if name) or None
        return WorkingDays(week, holidays=holidays, worked=worked, known_until=known, name=name)

    # -- other forms --

    def to_json(self) -> dict[str, Any]:
        """The value for json.dumps; empty parts are left out.

        >>> WorkingDays(holidays=[date(2026, 1, 1)], name="firm").to_json()
        {'name': 'firm', 'week': 'MON-FRI', 'holidays': ['2026-01-01'], 'known_until': '2026-12-31'}
        """
        value = {
            "name": self.name,
            "week": self.week,
            "holidays": _dates_json(self._holidays),
            "worked": _dates_json(self._worked),
            "known_until": None if self.known_until is None else self.known_until.isoformat(),
        }
        return {part: what for part, what in value.items() if what}

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The calendar of a decoded JSON value; raises CronError for any other value."""
        if not isinstance(value, dict) or not set(value) <= set(_PARTS):
            raise CronError(f"a calendar of working days must be an object of {', '.join(_PARTS)}, got {echoed(value)}")
        until = value.get("known_until")
        try:
            return cls(
                value.get("week", "MON-FRI"),
                holidays=_dates_of_json(value.get("holidays", []), "holidays"),
                worked=_dates_of_json(value.get("worked", []), "worked"),
                known_until=None if until is None else _date_of_json(until, "known_until"),
                name=value.get("name"),
            )
        except TypeError as error:
            raise CronError(str(error)) from None

    # -- a value among values --

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WorkingDays):
            return NotImplemented
        mine, theirs = self._week, other._week
        return (mine, self.known_until, self.lines.working) == (theirs, other.known_until, other.lines.working)

    def __hash__(self) -> int:
        return hash((self._week, self.known_until, self.lines.working))

    def __repr__(self) -> str:
        parts = [self.week]
        for count, what in ((len(self._holidays), "holiday"), (len(self._worked), "worked day")):
            if count:
                parts.append(f"{count} {what}{'s' * (count > 1)}")
        if self.known_until is not None:
            parts.append(f"known until {self.known_until}")
        return f"<WorkingDays {f'{self.name}: ' if self.name else ''}{', '.join(parts)}>"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"WorkingDays are immutable, {name!r} included")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"WorkingDays are immutable, {name!r} included")

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (self.week, self._holidays, self._worked, self.known_until, self.name)


def _made_again(
    week: str,
    holidays: dict[date, str | None],
    worked: dict[date, str | None],
    known_until: date | None,
    name: str | None,
) -> WorkingDays:
    """Called by pickles."""
    return WorkingDays(week, holidays=holidays, worked=worked, known_until=known_until, name=name)


# -- expressions on working days --


def on_working_days(expression: Expression, working_days: WorkingDays, roll: str) -> Expression:
    """The expression whose fires on days off are moved or left out, after the calendars that it has already."""
    return with_layers(expression, (*expression._days.layers, _roll(working_days, roll)))


def known_until(expression: CompiledExpression) -> date | None:
    """The last day up to which the working days of an expression are known; None if it has no such calendar."""
    rolls = [layer for layer in expression._days.layers if isinstance(layer, Roll)]
    calendars: list[Any] = [roll.working_days for roll in rolls]
    return min((one.known_until for one in calendars if one.known_until is not None), default=None)


def _roll(working_days: WorkingDays, convention: str) -> Roll:
    check_type(working_days, WorkingDays, "a calendar of working days must be WorkingDays")
    check_type(convention, str, f"roll must be one of {', '.join(CONVENTIONS)}")
    if convention not in CONVENTIONS:
        raise CronError(f"unknown roll {echoed(convention)}; use {', '.join(CONVENTIONS[:-1])} or {CONVENTIONS[-1]}")
    return Roll(working_days, convention)


# -- arguments --


def _week_of(text: str) -> int:
    """The days of a day-of-week field as a set. Raises CronError."""
    check_type(text, str, 'a working week must be a str such as "MON-FRI"')
    hint = f'{echoed(text)} is not a working week; write it as "MON-FRI" or "SUN-THU"'
    if len(text.split()) != 1:
        raise CronError(hint)
    try:
        _, _, _, days, nth = make(CompiledExpression, f"0 0 0 ? * {text}", None, VIXIE)._days.fields
    except CronError:
        raise CronError(hint) from None
    if nth is not None or not days:
        raise CronError(hint)
    return days


def _week_text(days: int) -> str:
    """The day-of-week field of a set of days, in normal form."""
    if days == WEEK_DAYS.full:
        return _EVERY_DAY
    listed = ",".join(str(day) for day in range(1, 8) if days >> day & 1)
    return make(CompiledExpression, f"0 0 0 ? * {listed}", None, VIXIE).canonical.split()[5]


def _named_dates(dates: Dates, what: str) -> dict[date, str | None]:
    """Dates of 1970-2099 in order, each with its name."""
    check_type(dates, Iterable, f"the {what}s of a calendar must be an iterable of dates")
    pairs = dates.items() if isinstance(dates, Mapping) else ((day, None) for day in dates)
    found: dict[date, str | None] = {}
    for day, name in pairs:
        check_type(day, date, f"each {what} must be a date")
        check_type(name, (str, type(None)), f"the name of a {what} must be a str")
        if FIRST_YEAR <= day.year <= LAST_YEAR:
            found[_plain(day)] = name or None
    return dict(sorted(found.items(), key=lambda pair: pair[0]))


def _plain(day: date) -> date:
    return day.date() if isinstance(day, datetime) else day


def _dates_json(dates: dict[date, str | None]) -> list[str] | dict[str, str | None]:
    named = {day.isoformat(): name for day, name in dates.items()}
    return named if any(dates.values()) else list(named)


def _dates_of_json(value: object, part: str) -> dict[date, str | None]:
    if isinstance(value, dict):
        return {_date_of_json(day, part): name for day, name in value.items()}
    if not isinstance(value, list):
        raise CronError(f"{part} must be a list of dates, or an object from dates to names, got {echoed(value)}")
    return {_date_of_json(day, part): None for day in value}


def _date_of_json(value: object, part: str) -> date:
    try:
        if isinstance(value, str) and value == (day := date.fromisoformat(value)).isoformat():
            return day
    except ValueError:
        pass
    raise CronError(f'{part} has dates such as "2026-12-31", got {echoed(value)}')
