"""A time that is asked about: brought into the zone in which an expression is read, and the answer brought back."""

from __future__ import annotations

from datetime import UTC, datetime, timezone, tzinfo

from .touched import instant_of
from .zone_names import canonical, local_zone, zone_of
from .zones import Zone

_UTC = Zone(UTC, UTC)


def located(tz: tzinfo | None, time: datetime) -> tuple[datetime, Zone | None]:
    """The same time in the zone in which an expression with this `tz` is read, and the zone of the answer if another.

    Raises TypeError for what is no datetime.
    """
    if not isinstance(time, datetime):
        raise no_datetime(time)
    if tz is None and type(time.tzinfo) is not timezone:
        return time, None
    carried = canonical(time.tzinfo)
    answer_in = None if carried is None else zone_of(carried)
    zone = answer_in if tz is None else zone_of(tz)
    if zone is None or zone is answer_in:
        return time if carried is time.tzinfo else time.replace(tzinfo=carried), None
    instant = instant_of(answer_in or zone, time)
    return zone.at(instant).replace(microsecond=time.microsecond), answer_in


def is_quick(tz: tzinfo | None, asked: tzinfo | None) -> bool:
    """Whether astimezone is right both ways between the zone of an expression and that of a question, and quick."""
    if tz is None or asked is None or canonical(asked) is not asked:
        return False
    return zone_of(tz).is_simple and zone_of(asked).is_simple


def located_instant(tz: tzinfo | None, time: datetime) -> int:
    """The whole second of a time."""
    local = located(tz, time)[0]
    return instant_of(zone_of(local.tzinfo), local)


def moved(fire: datetime, zone: Zone) -> datetime:
    """A fire time as the zone of the question has it."""
    return zone.at(zone_of(fire.tzinfo).instant(fire))


def now_in(tz: tzinfo | None) -> datetime:
    """The time by the clock, in this zone, or else in that of this machine."""
    return zone_of(tz or local_zone()).at(instant_of(_UTC, datetime.now(UTC)))


def no_datetime(time: object) -> TypeError:
    """The error for what is no datetime."""
    return TypeError(f"a time is a datetime, not {type(time).__name__}")


def mixed_times() -> TypeError:
    """The error for a start and an end that cannot be compared; no start is now, in a zone."""
    return TypeError("of start and end, one is naive and the other is not")
