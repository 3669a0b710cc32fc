"""Wall time ↔ instant: time zones of every kind, the rules for gaps and overlaps, and tables of midnights.

Instants are ints here: seconds of UTC counted as search.py counts wall times, so that wall = instant + offset.
A zone has two sides: the *rules* that say when its clocks change, and the *carrier*, the tzinfo that answers are made
of. They differ for pytz and dateutil objects, whose own rules end in 2037: these go by their name.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from ..wall.times import DAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Clocks have jumped by a whole day, never by more; two transitions this near each other may touch the same wall time.
NEAR = 3 * DAY

# (instant, offset before it, offset from it on)
Transition = tuple[int, int, int]
Midnights = tuple[datetime | None, ...]
Touched = tuple[int, int, datetime, datetime]

_DAYS_OF_YEAR = tuple(map(timedelta, range(366)))
_LEAP_YEAR = timedelta(days=366)
_SECOND = timedelta(seconds=1)
_UNKNOWN = (None,) * 367
_ZONE_YEARS = 512


class Zone:
    """A zone whose rules and carrier are one tzinfo: zoneinfo objects, fixed offsets, and what else obeys PEP 495.

    The zone of naive times has no tzinfo: there wall time and instant are the same.
    """

    __slots__ = ("_fixed", "_transitions", "carrier", "rules", "years")

    def __init__(self, rules: tzinfo | None, carrier: tzinfo | None) -> None:
        if not _has_offset(rules):
            raise _no_offset(rules)
        self.rules, self.carrier = rules, carrier
        self._fixed = _fixed_offset(rules)
        self._transitions: dict[int, tuple[Transition, ...]] = {}
        self.years: dict[int, ZoneYear] = {}

    @property
    def is_simple(self) -> bool:
        """Whether the carrier's own arithmetic is right in every year."""
        return self.carrier is self.rules

    def offset(self, instant: int) -> int:
        """Seconds that the zone is ahead of UTC at an instant of the years 1969 to 2100."""
        if self._fixed is not None:
            return self._fixed
        return seconds_of(_local(instant, self.rules)) - instant

    def instant(self, time: datetime) -> int:
        """The whole second of a time that carries this zone, by what its own tzinfo says; naive times are wall times.

        A naive time is read in the zone's rules.
        """
        if self.rules is None:
            return seconds_of(time)
        if time.tzinfo is None:
            time = time.replace(tzinfo=self.rules)
        offset = time.utcoffset()
        if offset is None:
            raise _no_offset(time.tzinfo)
        return seconds_of(time) - offset // _SECOND

    def at(self, instant: int) -> datetime:
        """The datetime that the carrier gives an instant, with its fold."""
        return _local(instant, self.carrier)

    def transitions(self, year: int) -> tuple[Transition, ...]:
        """The changes of the offset within a year of UTC, in order."""
        if self._fixed is not None or not FIRST_YEAR - 1 <= year <= LAST_YEAR + 1:
            return ()
        found = self._transitions.get(year)
        if found is None:
            found = self._transitions[year] = self._find_transitions(year)
        return found

    def _find_transitions(self, year: int) -> tuple[Transition, ...]:
        found = []
        earlier = datetime(year, 1, 1).toordinal() * DAY - 1
        before, *offsets = self._evening_offsets(year)
        for day, after in enumerate(offsets, 1):
            if after != before:
                later = earlier + day * DAY
                found.append(self._transition(later - DAY, later, before // _SECOND, after // _SECOND))
            before = after
        return tuple(found)

    def _evening_offsets(self, year: int) -> list[timedelta]:
        """The offset in the last second (of UTC) of the year before, and of each day of a year."""
        rules = self.rules
        if rules is None:
            return []
        evening = datetime(year, 1, 1, tzinfo=rules) - _SECOND  # the hour is UTC's, as fromutc wants it
        length = datetime(year, 12, 31).timetuple().tm_yday
        times = [evening + days for days in (*_DAYS_OF_YEAR, _LEAP_YEAR)[: length + 1]]
        return [rules.fromutc(time) - time for time in times]

    def _transition(self, earlier: int, later: int, before: int, after: int) -> Transition:
        """The second at which the offset changes from `before` to `after`."""
        while later - earlier > 1:
            middle = (earlier + later) // 2
            if self.offset(middle) == before:
                earlier = middle
            else:
                later = middle
        return later, before, after

    def year(self, year: int) -> ZoneYear:
        """The midnights of a year, remembered; the oldest of any zone make room for new ones."""
        found = self.years.get(year)
        if found is None:
            found = self.years[year] = ZoneYear(self, year)
            _recent.append(found)
            if len(_recent) > _ZONE_YEARS:
                for oldest in _recent[: _ZONE_YEARS // 2]:
                    oldest.forget()
                del _recent[: _ZONE_YEARS // 2]
        return found

    def tzinfo_at(self, instant: int) -> tzinfo | None:  # noqa: ARG002
        """The tzinfo that the answer at an instant carries."""
        return self.carrier

    def agrees(self, transition: Transition) -> bool:  # noqa: ARG002
        """Whether the carrier has the transition too, so that wall times on its day may be told by the carrier."""
        return True

    def midnights(self, year: int, length: int) -> list[datetime | None]:
        """The midnight of each day of a year, as if no transition touched any; None where the carrier's is another."""
        new_year = datetime(year, 1, 1, tzinfo=self.carrier)
        return [new_year + days for days in _DAYS_OF_YEAR[:length]]


class NamedZone(Zone):
    """A zone whose carrier follows rules of its own that are wrong after 2037; answers are the right instants in it."""

    __slots__ = ()

    def midnights(self, year: int, length: int) -> list[datetime | None]:
        right = datetime(year, 1, 1, tzinfo=self.rules)
        ours = datetime(year, 1, 1, tzinfo=self.carrier)
        marks = [(right + days).utcoffset() == (ours + days).utcoffset() for days in (*_DAYS_OF_YEAR, timedelta(366))]
        return [ours + _DAYS_OF_YEAR[i] if marks[i] and marks[i + 1] else None for i in range(length)]

    def agrees(self, transition: Transition) -> bool:  # noqa: ARG002
        """Nobody knows what the carrier makes of a transition."""
        return False


class PytzZone(Zone):
    """A zone carried by pytz, which has one tzinfo for each offset that the zone ever had."""

    __slots__ = ()

    def at(self, instant: int) -> datetime:
        """The datetime that pytz's localize would give; after 2037 too, where localize is wrong."""
        return _datetime(instant + self.offset(instant)).replace(tzinfo=self.tzinfo_at(instant))

    def tzinfo_at(self, instant: int) -> tzinfo:
        """The one of pytz's tzinfos that is right at an instant."""
        offset = self.offset(instant)
        own = self.carrier.fromutc(_datetime(instant)).tzinfo  # type: ignore[union-attr]
        if own is not None and own.utcoffset(None) == timedelta(seconds=offset):
            return own
        right = _local(instant, self.rules)
        known: dict[tuple[timedelta, timedelta, str], tzinfo] = getattr(self.carrier, "_tzinfos", {})
        alike = [info for key, info in known.items() if key[0] == right.utcoffset()]
        named = [info for key, info in known.items() if (key[0], key[2]) == (right.utcoffset(), right.tzname())]
        return (named or alike or [timezone(timedelta(seconds=offset))])[-1]

    def midnights(self, year: int, length: int) -> list[datetime | None]:
        walls = [(FIRST_DAYS[year] + index) * DAY for index in range(length + 1)]
        infos = [self.tzinfo_at(wall - self._offset_of_wall(wall)) for wall in walls]
        return [
            _datetime(wall).replace(tzinfo=info) if info is following else None
            for wall, info, following in zip(walls, infos, infos[1:], strict=False)
        ]

    def _offset_of_wall(self, wall: int) -> int:
        offset = _datetime(wall).replace(tzinfo=self.rules).utcoffset()
        return 0 if offset is None else offset // _SECOND


class ZoneYear:
    """One year in one zone.

    `midnights` has 367 entries: the midnight of each plain day, ready to have a time of day added, and None for the
    others. A day is plain if no transition touches it. `touched` tells what happens on a day that one transition
    touches: the wall times, in seconds of the day, between which it happens, and the midnights that a time before and
    a time after it is made of. `broken` lists the entries that are None.
    """

    __slots__ = ("_zone", "broken", "midnights", "touched", "users", "year")

    def __init__(self, zone: Zone, year: int) -> None:
        self._zone, self.year = zone, year
        self.users: list[dict[int, Any]] = []
        length = FIRST_DAYS[year + 1] - FIRST_DAYS[year]
        midnights = zone.midnights(year, length)
        self.touched: dict[int, Touched] = {}
        for around in (year - 1, year, year + 1):
            for transition in zone.transitions(around):
                self._touch(transition, midnights)
        self.midnights: Midnights = (*midnights, *_UNKNOWN[length:])
        self.broken = [day for day, midnight in enumerate(self.midnights) if midnight is None]

    def _touch(self, transition: Transition, midnights: list[datetime | None]) -> None:
        instant, before, after = transition
        new_year = FIRST_DAYS[self.year] * DAY
        start, end = instant + min(before, after) - new_year, instant + max(before, after) - new_year
        for index in range(max(start // DAY, 0), min(end // DAY + 1, len(midnights))):
            midnight = _datetime(new_year + index * DAY)
            earlier = midnight.replace(tzinfo=self._zone.tzinfo_at(instant - 1))
            later = midnight.replace(tzinfo=self._zone.tzinfo_at(instant))
            if index in self.touched or not self._zone.agrees(transition):
                self.touched[index] = (-DAY, 2 * DAY, earlier, later)
            else:
                self.touched[index] = (start - index * DAY, end - index * DAY, earlier, later)
            midnights[index] = None

    def midnights_with(self, info: tzinfo | None) -> Midnights:
        """The midnights of the plain days on which times of this zone have this very tzinfo; None for the others."""
        if info is self._zone.carrier and not isinstance(self._zone, PytzZone):
            return self.midnights
        return tuple(m if m is not None and m.tzinfo is info else None for m in self.midnights)

    def forget(self) -> None:
        """Make room: drop the midnights and every table that holds them."""
        self._zone.years.pop(self.year, None)
        for rows in self.users:
            rows.pop(self.year, None)


# The oldest first; when there are too many, the older half makes room.
_recent: list[ZoneYear] = []


def _datetime(wall: int) -> datetime:
    day, second = divmod(wall, DAY)
    return datetime.fromordinal(day) + timedelta(seconds=second)


def seconds_of(time: datetime) -> int:
    """The reading of calendar and clock as seconds, zone and microseconds apart."""
    return time.toordinal() * DAY + time.hour * 3600 + time.minute * 60 + time.second


def _no_offset(info: object) -> Exception:
    from ..errors import UnknownZoneError

    return UnknownZoneError(info, "it has no UTC offset")


def _local(instant: int, zone: tzinfo | None) -> datetime:
    utc = _datetime(instant)
    return utc if zone is None else zone.fromutc(utc.replace(tzinfo=zone))


def _has_offset(rules: tzinfo | None) -> bool:
    """Whether a zone says how far it is from UTC; a tzinfo of one's own may not."""
    try:
        return rules is None or datetime(2000, 1, 1, tzinfo=rules).utcoffset() is not None
    except NotImplementedError:
        return False


def _fixed_offset(rules: tzinfo | None) -> int | None:
    """The offset of a zone that never changes it, in seconds; None for the others."""
    if rules is None:
        return 0
    try:
        offset = rules.utcoffset(None)
    except (TypeError, AttributeError, ValueError, NotImplementedError):
        return None
    return None if offset is None else offset // _SECOND
