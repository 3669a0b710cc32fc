"""The methods of CronExpression that speak other languages and dialects; what they need is imported when called."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime, tzinfo
    from typing import Any, overload

    from dateutil.rrule import rrule

    from .calendars import Calendar
    from .expression import CronExpression
    from .schedules import Union
else:

    def overload(signature):
        """Importing typing costs milliseconds, and only type checkers look at signatures."""
        return signature


def describe(self: CronExpression, language: str = "en") -> str:
    """What the expression says, in English ("en") or 简体中文 ("zh"); see words.py.

    >>> from quartzcron import CronExpression
    >>> CronExpression("0 0 8 ? * MON").describe(), CronExpression("0 0 8 ? * MON").describe("zh")
    ('At 08:00 on Mondays', '每周一 08:00')
    """
    from .text import describe

    return describe.describe(self, language)


@overload
def excluding(self: CronExpression, *excluded: Calendar | Iterable[date]) -> CronExpression: ...
@overload
def excluding(  # noqa: F811 - a signature
    self: CronExpression, *excluded: Calendar | CronExpression | Iterable[date]
) -> CronExpression | Union: ...
def excluding(  # noqa: F811 - and what they are of
    self: CronExpression, *excluded: Calendar | CronExpression | Iterable[date]
) -> CronExpression | Union:
    """The expression without the days of calendars, without some dates, or without the fires of other expressions.

    Days are taken out of the masks that next_fire reads, so it is as fast as before; see calendars.py.

    >>> from datetime import date, datetime
    >>> from quartzcron import CronExpression
    >>> weekdays = CronExpression("0 0 8 ? * MON-FRI").excluding([date(2026, 1, 1)])
    >>> weekdays.next_fire(datetime(2025, 12, 31, 8))
    datetime.datetime(2026, 1, 2, 8, 0)
    """
    from . import calendars

    return calendars.excluding(self, *excluded)


def hashed(
    cls: type[CronExpression], text: str, *, key: str, tz: str | tzinfo | None = None, dst: str = "vixie"
) -> CronExpression:
    """The expression in which every H is a value that the key picks, the same one for ever; see hashed.py.

    >>> from quartzcron import CronExpression
    >>> print(CronExpression.hashed("0 H H(0-7) ? * MON-FRI", key="nightly-report"))
    0 24 6 ? * MON-FRI
    """
    from .grammar.hashed import hashed_text

    return cls(hashed_text(text, key), tz=tz, dst=dst)


def from_crontab(
    cls: type[CronExpression], text: str, *, tz: str | tzinfo | None = None, dst: str = "vixie"
) -> CronExpression:
    """The Quartz expression for a crontab line, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.from_crontab(text, tz=tz, dst=dst, cls=cls)


def to_crontab(self: CronExpression) -> str:
    """The crontab line for the same wall times, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.to_crontab(self)


def from_spring(
    cls: type[CronExpression], text: str, *, tz: str | tzinfo | None = None, dst: str = "vixie"
) -> CronExpression:
    """The Quartz expression for a Spring expression, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.from_spring(text, tz=tz, dst=dst, cls=cls)


def to_spring(self: CronExpression) -> str:
    """A Spring expression for the same wall times, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.to_spring(self)


def from_eventbridge(
    cls: type[CronExpression], text: str, *, tz: str | tzinfo | None = None, dst: str = "vixie"
) -> CronExpression:
    """The Quartz expression for an EventBridge expression, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.from_eventbridge(text, tz=tz, dst=dst, cls=cls)


def to_eventbridge(self: CronExpression) -> str:
    """An EventBridge expression for the same wall times, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.to_eventbridge(self)


def from_oncalendar(
    cls: type[CronExpression], text: str, *, tz: str | tzinfo | None = None, dst: str = "vixie"
) -> CronExpression:
    """The Quartz expression for systemd's OnCalendar=, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.from_oncalendar(text, tz=tz, dst=dst, cls=cls)


def to_oncalendar(self: CronExpression) -> str:
    """systemd's OnCalendar= for the same wall times, exact, or refused with a DialectError."""
    from . import dialects

    return dialects.to_oncalendar(self)


def from_json(cls: type[CronExpression], value: object) -> CronExpression:
    """The expression of a decoded JSON value, a text or an object; see json_form.py.

    >>> from quartzcron import CronExpression
    >>> CronExpression.from_json({"expression": "0 0 8 ? * MON", "tz": "Asia/Shanghai"})
    CronExpression('0 0 8 ? * MON', tz='Asia/Shanghai')
    """
    from .text import json_form

    return json_form.from_json(value, cls=cls)


def to_json(self: CronExpression) -> str | dict[str, str]:
    """What json.dumps is to write, the text or an object: `json.dumps(data, default=CronExpression.to_json)`.

    >>> import json
    >>> from quartzcron import CronExpression
    >>> json.dumps({"schedule": CronExpression("0 0 8 ? * MON")}, default=CronExpression.to_json)
    '{"schedule": "0 0 8 ? * MON"}'
    """
    from .text import json_form

    return json_form.to_json(self)


def to_rrule(self: CronExpression, start: datetime | None = None) -> rrule:
    """The recurrence rule (RFC 5545) for the same wall times, exact or refused with a DialectError; see recurrence.py.

    >>> from quartzcron import CronExpression
    >>> print(CronExpression("0 0 8 ? * MON#1").to_rrule())
    DTSTART:19700101T000000
    RRULE:FREQ=MONTHLY;UNTIL=20991231T235959;BYDAY=+1MO;BYHOUR=8;BYMINUTE=0;BYSECOND=0
    """
    from .dialects import rrule

    return rrule.to_rrule(self, start)


def pydantic_core_schema(cls: type[CronExpression], source: Any, handler: Any) -> Any:  # noqa: ARG001
    """For pydantic, which calls it when a model has a CronExpression; see contrib/pydantic.py."""
    from .contrib.pydantic import schema_of

    return schema_of(cls)


def pydantic_json_schema(cls: type[CronExpression], schema: Any, handler: Any) -> Any:  # noqa: ARG001
    """For pydantic's JSON schema; see contrib/pydantic.py."""
    from .contrib.pydantic import json_schema_of

    return json_schema_of(schema, handler)
