"""The names of time zones: the calculator's, for every part of the service."""

from __future__ import annotations

from datetime import tzinfo

from quartzcron import CronError
from quartzcron.zones.lookup import named_zone, zone_name

from ..errors import TimerError, shown


def zone(name: str) -> tzinfo:
    """The zone of a name such as `Asia/Shanghai`, or of an offset such as `+08:00`; TimerError if it is unknown.

    >>> zone("+08:00"), str(zone("Asia/Shanghai"))
    (datetime.timezone(datetime.timedelta(seconds=28800)), 'Asia/Shanghai')
    """
    try:
        return named_zone(name)
    except CronError as error:
        raise TimerError(str(error), field="tz") from error


def named(tz: object) -> str:
    """A zone as it is stored: the name, or the name of a zoneinfo, pytz or dateutil object; TimerError without one.

    >>> from datetime import timedelta, timezone
    >>> named("Europe/Berlin"), named(timezone(timedelta(hours=8)))
    ('Europe/Berlin', '+08:00')
    """
    name = zone_name(tz) if isinstance(tz, tzinfo) else tz
    if not isinstance(name, str):
        raise TimerError(
            "a timer's time zone must be a name such as 'Asia/Shanghai', or an offset such as '+08:00', "
            f"got {shown(tz)}",
            field="tz",
        )
    zone(name)
    return name
