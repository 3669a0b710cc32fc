"""A time that is asked about: brought into the zone in which an expression is read, and the answer brought back.

Imported when a time first carries another tzinfo than the expression is read in.
"""

from __future__ import annotations

from datetime import UTC, datetime, timezone, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..zones.lookup import canonical, local_zone, zone_of
from ..zones.zone import Zone
from .compiled import put
from .transition_days import instant_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..expression import CronExpression

_UTC = Zone(UTC, UTC)


def next_elsewhere(expression: CronExpression, after: datetime) -> datetime | None:
    """The first fire after a time that may be of any zone."""
    asked = after.tzinfo
    if asked is not None and asked is expression._from and FIRST_YEAR < after.year < LAST_YEAR:
        fire = expression.next_fire(after.astimezone(expression.tz))
        return None if fire is None else fire.astimezone(asked)
    local, answer_in = _located(expression, after)
    if expression._ahead.carried is not local.tzinfo:
        expression._look_ahead(local.tzinfo)
    fire = expression.next_fire(local)
    return fire if answer_in is None or fire is None else moved(fire, answer_in)


def prev_elsewhere(expression: CronExpression, before: datetime) -> datetime | None:
    """The last fire before a time that may be of any zone."""
    asked = before.tzinfo
    if asked is not None and asked is expression._from and FIRST_YEAR < before.year < LAST_YEAR:
        fire = expression.prev_fire(before.astimezone(expression.tz))
        return None if fire is None else fire.astimezone(asked)
    local, answer_in = _located(expression, before)
    if expression._behind.carried is not local.tzinfo:
        expression._look_behind(local.tzinfo)
    fire = expression.prev_fire(local)
    return fire if answer_in is None or fire is None else moved(fire, answer_in)


def matches_elsewhere(expression: CronExpression, time: datetime) -> bool:
    """Whether a time that may be of any zone fires."""
    local, _ = _located(expression, time)
    if expression._ahead.carried is not local.tzinfo:
        expression._look_ahead(local.tzinfo)
    return expression.matches(local)


def _located(expression: CronExpression, time: datetime) -> tuple[datetime, Zone | None]:
    place = located(expression.tz, time)
    if place[1] is not None and is_quick(expression.tz, time.tzinfo):
        put(expression, "_from", time.tzinfo)
    return place


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
