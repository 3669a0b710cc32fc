"""CronExpression, the immutable value that users hold.

CompiledExpression in search/compiled.py computes the fire times. The methods here are for sequences of fire times, and
for other forms of an expression: descriptions, dialects, JSON, exclusions. They import the modules that they need when
first called.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from .lazy import Lazy
from .search import compiled
from .search.compiled import CompiledExpression, make
from .search.expression_value import VIXIE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from typing import Any, Self, overload

    from dateutil.rrule import rrule

    from . import dialects, errors, schedules
    from .dialects import rrule as rrule_dialect
    from .grammar import hashed
    from .schedules import Union
    from .search import calendar as calendars
    from .search import iterate, rank
    from .search import working_days as working
    from .search.calendar import Calendar
    from .search.working_days import WorkingDays
    from .text import describe, json_form, pydantic_schema
    from .wall import pattern
    from .wall.days import Layer
    from .zones import arguments
else:
    dialects, errors, schedules = Lazy("dialects"), Lazy("errors"), Lazy("schedules")
    rrule_dialect, hashed = Lazy("dialects.rrule"), Lazy("grammar.hashed")
    calendars, iterate, rank = Lazy("search.calendar"), Lazy("search.iterate"), Lazy("search.rank")
    working = Lazy("search.working_days")
    pattern = Lazy("wall.pattern")
    describe, json_form = Lazy("text.describe"), Lazy("text.json_form")
    pydantic_schema = Lazy("text.pydantic_schema")
    arguments = Lazy("zones.arguments")

    def overload(signature):
        """Importing typing takes milliseconds, and only type checkers read the signatures."""
        return signature


_KNOWN = 512
_KNOWN_LENGTH = 256


class CronExpression(CompiledExpression):
    """A Quartz cron expression, as an immutable value.

    `text` has six or seven fields: seconds, minutes, hours, day of month, month, day of week and, optionally, year.
    `tz` is a zone name, or a zoneinfo, pytz, dateutil or fixed-offset tzinfo; `dst` is "vixie" or "quartz", see
    zones/dst_policies.py. Raises CronSyntaxError, UnknownZoneError or PolicyError, which are all CronError and
    ValueError.

    Zones:

    - An aware `after` gets an answer with the tzinfo of `after`. The expression is read in its own zone if it has one,
      else in the zone of `after`.
    - A naive `after` is wall time. If the expression has a zone it is wall time there, and the answer is aware, because
      a naive one could not distinguish the two passes of an overlap. Otherwise no zone is involved, and the answer is
      naive.
    - No `after` means now, in the expression's zone, or else in the zone of this machine.

    >>> from datetime import datetime
    >>> weekly = CronExpression("0 0 8 ? * MON")
    >>> weekly.next_fire(datetime(2026, 1, 1))
    datetime.datetime(2026, 1, 5, 8, 0)
    >>> print(CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai").next_fire(datetime(2026, 1, 1)))
    2026-01-05 08:00:00+08:00
    """

    __slots__ = ()

    def __new__(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """Parse a text, or return the expression that was made of the same text before."""
        if tz is None and dst is VIXIE and cls is CronExpression and type(text) is str:
            return _known.get(text) or _make_known(text)  # type: ignore[return-value]
        if not isinstance(text, str):
            raise TypeError(f"a cron expression must be a str, got {type(text).__name__}")
        # A member of an enum, or of another subclass of str, formats as something else than its text.
        plain = text if type(text) is str else str.__str__(text)
        zone = None if tz is None else arguments.zone_argument(tz)
        return make(cls, plain, zone, dst if dst is VIXIE else arguments.policy_argument(dst))

    @classmethod
    def is_valid(cls, text: object) -> bool:
        """Whether the text is a Quartz expression.

        >>> CronExpression.is_valid("0 0 8 ? * MON"), CronExpression.is_valid("0 8 * * 1")
        (True, False)
        """
        try:
            cls(text)  # type: ignore[arg-type]
        except (errors.CronError, TypeError):
            return False
        return True

    @property
    def calendar(self) -> Calendar | None:
        """The days that `excluding` took out; None if there are none.

        >>> from datetime import date
        >>> CronExpression("0 0 8 * * ?").excluding([date(2026, 1, 1)]).calendar
        <Calendar of 1 days>
        """
        return calendars.calendar_of(self)

    # -- sequences of fire times --

    def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
        """The fire times strictly after `start` (default: now) up to and including `end` (default: the end of 2099).

        >>> from datetime import datetime
        >>> twice = CronExpression("0 0 8 1,15 * ?")
        >>> [fire.day for fire in twice.fires(datetime(2026, 1, 1, 8), datetime(2026, 2, 1, 8))]
        [15, 1]
        """
        return iterate.fires(self, start, end)

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """The fire times strictly after `start` up to and including `end`.

        >>> from datetime import datetime
        >>> len(CronExpression("0 0 8 ? * MON").between(datetime(2026, 1, 1), datetime(2026, 2, 1)))
        4
        """
        return list(self.fires(start, end))

    def count(self, start: datetime, end: datetime) -> int:
        """The number of fire times strictly after `start` up to and including `end`, computed without iterating.

        >>> from datetime import datetime
        >>> CronExpression("* * * * * ?").count(datetime(2026, 1, 1), datetime(2027, 1, 1))
        31536000
        """
        tally = self._tally
        if tally is not None:
            later, earlier = tally.up_to_plain(end), tally.up_to_plain(start)
            if later is not None and earlier is not None:
                return later - earlier if later > earlier else 0
        return rank.count(self, start, end)

    def nth(self, n: int, after: datetime | None = None) -> datetime | None:
        """The n-th fire time strictly after `after`, n from 1, computed without iterating; None if there are fewer.

        >>> from datetime import datetime
        >>> CronExpression("0 0 8 ? * MON").nth(100, datetime(2026, 1, 1))
        datetime.datetime(2027, 11, 29, 8, 0)
        """
        return rank.nth(self, n, after)

    @property
    def min_gap(self) -> timedelta | None:
        """The shortest time by wall clock from one fire to the next; None if there are fewer than two.

        >>> CronExpression("0 0 8 ? * MON-FRI").min_gap
        datetime.timedelta(days=1)
        """
        gaps = pattern.wall_gaps(self._pattern)
        return None if gaps is None else timedelta(seconds=gaps[0])

    @property
    def max_gap(self) -> timedelta | None:
        """The longest time by wall clock from one fire to the next; None if there are fewer than two.

        >>> CronExpression("0 0 8 29 2 ?").max_gap
        datetime.timedelta(days=1461)
        """
        gaps = pattern.wall_gaps(self._pattern)
        return None if gaps is None else timedelta(seconds=gaps[1])

    # -- calendars --

    @overload
    def excluding(self, *excluded: Calendar | Iterable[date]) -> Self: ...
    @overload
    def excluding(self, *excluded: Calendar | CronExpression | Iterable[date]) -> Self | Union: ...  # noqa: F811
    def excluding(self, *excluded: Calendar | CronExpression | Iterable[date]) -> Self | Union:  # noqa: F811
        """The expression without the days of calendars, without dates, or without the fires of other expressions.

        The masks that next_fire reads lack the excluded days, so it is as fast as before. Other expressions exclude the
        times that they name, not whole days; then the result is a Union, unless they exclude every time of a day or
        none. Raises CronError for another expression with a zone that differs from this one's.

        >>> from datetime import date, datetime
        >>> weekdays = CronExpression("0 0 8 ? * MON-FRI").excluding([date(2026, 1, 1)])
        >>> weekdays.next_fire(datetime(2025, 12, 31, 8))
        datetime.datetime(2026, 1, 2, 8, 0)
        """
        days, others = calendars.Calendar(), []
        for item in excluded:
            if isinstance(item, CronExpression):
                others.append(item)
            else:
                days |= item if isinstance(item, calendars.Calendar) else calendars.Calendar(item)
        rest = calendars.without_days(self, days)
        return schedules.difference(rest, *others) if others else rest

    def on(self, working_days: WorkingDays, roll: str = "skip") -> Self:
        """The expression with a calendar of working days: fires on days off move or are skipped, by a roll convention.

        `roll` is "skip": it is left out; "following" or "preceding": it moves to the next or the last working day, at
        its time of day; "modified_following" or "modified_preceding": likewise, but the other way where that would be
        in another month; "only_off": only days off fire. Several fires that move to one time are one. The masks that
        next_fire reads are changed, so it is as fast as before. Raises CronError for another `roll`.

        >>> from datetime import date, datetime
        >>> from quartzcron.calendars import WorkingDays
        >>> firm = WorkingDays(holidays=[date(2026, 12, 31)])
        >>> CronExpression("0 0 17 L * ?").on(firm, roll="preceding").next_fire(datetime(2026, 12, 1))
        datetime.datetime(2026, 12, 30, 17, 0)
        """
        return working.on_working_days(self, working_days, roll)

    @property
    def known_until(self) -> date | None:
        """The last day up to which its calendars of working days are known; None without such a calendar.

        >>> from datetime import date
        >>> from quartzcron.calendars import WorkingDays
        >>> CronExpression("0 0 17 L * ?").on(WorkingDays(holidays=[date(2026, 10, 1)])).known_until
        datetime.date(2026, 12, 31)
        """
        return working.known_until(self) if self._days.layers else None

    # -- descriptions and other forms --

    def describe(self, language: str = "en") -> str:
        """The expression in words, in English ("en") or 简体中文 ("zh"). Raises CronError for another language.

        >>> CronExpression("0 0 8 ? * MON").describe(), CronExpression("0 0 8 ? * MON").describe("zh")
        ('At 08:00 on Mondays', '每周一 08:00')
        """
        return describe.describe(self, language)

    @classmethod
    def hashed(cls, text: str, *, key: str, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The expression in which every H is replaced by a value picked by the key, always the same; see hashed.py.

        >>> print(CronExpression.hashed("0 H H(0-7) ? * MON-FRI", key="nightly-report"))
        0 24 6 ? * MON-FRI
        """
        return cls(hashed.hashed_text(text, key), tz=tz, dst=dst)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """The expression of a decoded JSON value, a text or an object; raises CronError for any other value.

        >>> CronExpression.from_json({"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai"})
        CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
        """
        text, tz, dst, rolls = json_form.read(value)
        try:
            made = cls(text, tz=tz, dst=dst)
        except TypeError as error:
            raise errors.CronError(str(error)) from None
        for working_days, roll in rolls:
            made = made.on(working_days, roll)
        return made

    def to_json(self) -> str | dict[str, Any]:
        """The value for json.dumps: `json.dumps(data, default=CronExpression.to_json)`.

        It is the text, or an object if the expression has a zone, a policy or a calendar of working days. Raises
        CronError for excluded days.

        >>> import json
        >>> json.dumps({"schedule": CronExpression("0 0 8 ? * MON")}, default=CronExpression.to_json)
        '{"schedule": "0 0 8 ? * MON"}'
        """
        return json_form.write(self)

    @classmethod
    def from_dialect(cls, name: str, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The Quartz expression of a text in another dialect, such as "crontab"; see dialects.DIALECTS.

        A zone in the text takes precedence over `tz`. Raises DialectError if there is no exact equivalent, CronError
        for an unknown dialect.

        >>> print(CronExpression.from_dialect("crontab", "*/15 9-17 * * 1-5"))
        0 0/15 9-17 ? * MON-FRI
        """
        quartz, zone = dialects.read(name, text)
        return cls(quartz, tz=zone or tz, dst=dst)

    def to_dialect(self, name: str) -> str:
        """The text in another dialect that fires at the same wall times.

        Raises DialectError if there is no exact equivalent, CronError for an unknown dialect.

        >>> CronExpression("0 0/15 9-17 ? * MON-FRI").to_dialect("spring")
        '0 */15 9-17 * * MON-FRI'
        """
        return dialects.write(name, self)

    @classmethod
    def from_crontab(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The Quartz expression of a crontab line; raises DialectError if there is no exact one."""
        return cls.from_dialect("crontab", text, tz=tz, dst=dst)

    def to_crontab(self) -> str:
        """The crontab line with the same wall times; raises DialectError if there is no exact one."""
        return dialects.write("crontab", self)

    @classmethod
    def from_spring(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The Quartz expression of a Spring expression; raises DialectError if there is no exact one."""
        return cls.from_dialect("spring", text, tz=tz, dst=dst)

    def to_spring(self) -> str:
        """The Spring expression with the same wall times; raises DialectError if there is no exact one."""
        return dialects.write("spring", self)

    @classmethod
    def from_eventbridge(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The Quartz expression of an EventBridge expression; raises DialectError if there is no exact one."""
        return cls.from_dialect("eventbridge", text, tz=tz, dst=dst)

    def to_eventbridge(self) -> str:
        """The EventBridge expression with the same wall times; raises DialectError if there is no exact one."""
        return dialects.write("eventbridge", self)

    @classmethod
    def from_oncalendar(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> Self:
        """The Quartz expression of systemd's OnCalendar=; raises DialectError if there is no exact one.

        A zone in the text takes precedence over `tz`.
        """
        return cls.from_dialect("oncalendar", text, tz=tz, dst=dst)

    def to_oncalendar(self) -> str:
        """The OnCalendar= of systemd with the same wall times; raises DialectError if there is no exact one."""
        return dialects.write("oncalendar", self)

    def to_rrule(self, start: datetime | None = None) -> rrule:
        """The recurrence rule (RFC 5545) with the same wall times; raises DialectError if there is no exact one.

        `start` is a naive time, 1970 by default; the rule begins at the first fire from then on, and has no zone.

        >>> print(CronExpression("0 0 8 ? * MON#1").to_rrule())
        DTSTART:19700105T080000
        RRULE:FREQ=MONTHLY;UNTIL=20991231T235959;BYDAY=+1MO;BYHOUR=8;BYMINUTE=0;BYSECOND=0
        """
        return rrule_dialect.to_rrule(self, start)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """For pydantic, which calls it for a model with a CronExpression."""
        return pydantic_schema.schema_of(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """For pydantic's JSON schema."""
        return pydantic_schema.json_schema_of(schema, handler)

    def __reduce__(self) -> tuple[Any, ...]:
        layers = self._days.layers
        if layers and not (len(layers) == 1 and isinstance(layers[0], calendars.Calendar)):
            return _make_layered, (type(self), self.text, self._tz, self.dst, layers)
        return _make, (type(self), self.text, self._tz, self.dst, *layers)


compiled.users_class = CronExpression

_known: dict[str, CronExpression] = {}


def _make_known(text: str) -> CronExpression:
    made = make(CronExpression, text, None, VIXIE)
    if len(text) <= _KNOWN_LENGTH:
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[text] = made
    return made


def _make(
    cls: type[CronExpression], text: str, tz: tzinfo | None, dst: str, calendar: Calendar | None = None
) -> CronExpression:
    """Called by pickles, which contain its name; in version 0.1.0, it has no `calendar`."""
    made = make(cls, text, tz, dst)
    return made if calendar is None else calendars.without_days(made, calendar)


def _make_layered(
    cls: type[CronExpression], text: str, tz: tzinfo | None, dst: str, layers: tuple[Layer, ...]
) -> CronExpression:
    """Called by pickles of expressions with a calendar of working days."""
    return compiled.with_layers(make(cls, text, tz, dst), layers)
