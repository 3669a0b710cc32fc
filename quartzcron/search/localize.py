"""Converts the time that a caller passes to the zone in which an expression is read, and the answer back.

Imported when a time first has another tzinfo than that zone. Takes a zone and a time, never an expression.
"""

from __future__ import annotations

from datetime import UTC, datetime, timezone, tzinfo

from ..zones.lookup import canonical, local_zone, zone_of
from ..zones.zone import Zone
from .transition_days import bounded_instant, is_whole

_UTC = Zone(UTC, UTC)


def localized(tz: tzinfo | None, time: datetime) -> tuple[datetime, Zone | None]:
    """The same time in the zone of an expression with this `tz`, and the zone of the answer, None if it is the same.

    Raises TypeError for a value that is not a datetime.
    """
    if not isinstance(time, datetime) or time.year != time.year:  # pandas.NaT is a datetime whose year is not a number
        raise not_a_datetime(time)
    if tz is None and type(time.tzinfo) is not timezone:
        return time, None
    given = canonical(time.tzinfo)
    answer_in = None if given is None else zone_of(given)
    zone = answer_in if tz is None else zone_of(tz)
    if zone is None or zone is answer_in:
        return time if given is time.tzinfo else time.replace(tzinfo=given), None
    instant = bounded_instant(answer_in or zone, time)
    return zone.at(instant).replace(microsecond=time.microsecond or not is_whole(time)), answer_in


def astimezone_is_exact(tz: tzinfo | None, given: tzinfo | None) -> bool:
    """Whether datetime.astimezone converts correctly, in both directions, between two zones."""
    if tz is None or given is None or canonical(given) is not given:
        return False
    return zone_of(tz).is_simple and zone_of(given).is_simple


def localized_instant(tz: tzinfo | None, time: datetime) -> int:
    """The instant of a time, in whole seconds; a naive one is read in the zone `tz`."""
    local = localized(tz, time)[0]
    return bounded_instant(zone_of(local.tzinfo), local)


def in_zone(fire: datetime, zone: Zone) -> datetime:
    """A fire time converted to the zone of the answer."""
    return zone.at(zone_of(fire.tzinfo).instant(fire))


def now_in(tz: tzinfo | None) -> datetime:
    """The current time in this zone, or in that of this machine if it is None."""
    return zone_of(tz or local_zone()).at(bounded_instant(_UTC, datetime.now(UTC)))


def not_a_datetime(time: object) -> TypeError:
    """The error for a value that is not a datetime."""
    return TypeError(f"a time must be a datetime, got {type(time).__name__}")


def mixed_times() -> TypeError:
    """The error for a naive and an aware time that would have to be compared; a missing start is now, and aware."""
    return TypeError("start and end must be both naive or both aware")
