"""Wall time ↔ instant: time zones of every kind, their transitions, and tables of midnights.

Instants are ints here: seconds of UTC counted as wall/pattern.py counts wall times, so that wall = instant + offset.
A zone has two tzinfo objects: `rules`, from which its transitions are computed, and `tzinfo`, which its times have.
They differ for pytz and dateutil objects, whose own rules end in 2037: their rules are those of the database, by name.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from ..wall.times import DAY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Offset changes are at most one day; two transitions this near each other may affect the same wall time.
NEAR = 3 * DAY

# (instant, offset before it, offset from it on)
Transition = tuple[int, int, int]
Midnights = tuple[datetime | None, ...]
# A day with one transition: the wall times, in seconds of the day, between which the transition is, and the midnights
# to which a time of day before it and one after it are added.
TransitionDay = tuple[int, int, datetime, datetime]

_DAYS_OF_YEAR = tuple(map(timedelta, range(366)))
_LEAP_YEAR = timedelta(days=366)
_SECOND = timedelta(seconds=1)
_WEEK = 7 * DAY
_UNKNOWN = (None,) * 367
_ZONE_YEARS = 512


class Zone:
    """A zone whose rules are those of its tzinfo: zoneinfo objects, fixed offsets, and others that obey PEP 495.

    The zone of naive times has no tzinfo: there wall time and instant are the same.
    """

    __slots__ = ("_fixed", "_transitions", "rules", "tzinfo", "years")

    def __init__(self, rules: tzinfo | None, info: tzinfo | None) -> None:
        if not _has_offset(rules):
            raise _no_offset(rules)
        self.rules, self.tzinfo = rules, info
        self._fixed = _fixed_offset(rules)
        self._transitions: dict[int, tuple[Transition, ...]] = {}
        self.years: dict[int, ZoneYear] = {}

    @property
    def is_simple(self) -> bool:
        """Whether the tzinfo itself converts correctly in every year."""
        return self.tzinfo is self.rules

    @property
    def rules_in_full(self) -> tuple[object, ...]:
        """The first offset, and every change of it that matters to a fire."""
        changes = [change for year in range(FIRST_YEAR - 1, LAST_YEAR + 2) for change in self.transitions(year)]
        return self.offset(datetime(FIRST_YEAR - 1, 1, 1).toordinal() * DAY), *changes

    def agrees_with(self, other: Zone) -> bool:
        """Whether another zone has the same offset in each week of all years, and at each change from week to week."""
        if self._fixed is not None and other._fixed is not None:
            return self._fixed == other._fixed
        weeks = range(
            datetime(FIRST_YEAR - 1, 1, 1).toordinal() * DAY, datetime(LAST_YEAR + 2, 1, 1).toordinal() * DAY, _WEEK
        )
        before, earlier = self._utcoffset(weeks[0]), weeks[0]
        for later in weeks:
            after = self._utcoffset(later)
            if after != other._utcoffset(later):
                return False
            if after != before:
                change, _, _ = self._transition(earlier, later, before // _SECOND, after // _SECOND)
                if self.offset(change) != other.offset(change) or self.offset(change - 1) != other.offset(change - 1):
                    return False
            before, earlier = after, later
        return True

    def _utcoffset(self, instant: int) -> timedelta:
        time = datetime.fromordinal(instant // DAY).replace(tzinfo=self.rules)
        return timedelta(0) if self.rules is None else self.rules.fromutc(time) - time

    def offset(self, instant: int) -> int:
        """The offset from UTC, in seconds, at an instant of the years 1969 to 2100; positive east of Greenwich."""
        if self._fixed is not None:
            return self._fixed
        return seconds_of(_local(instant, self.rules)) - instant

    def instant(self, time: datetime) -> int:
        """The instant of a time, in whole seconds, by the offset of its own tzinfo; a naive time is wall time here."""
        if self.rules is None:
            return seconds_of(time)
        if time.tzinfo is None:
            time = time.replace(tzinfo=self.rules)
        offset = time.utcoffset()
        if offset is None:
            raise _no_offset(time.tzinfo)
        return seconds_of(time) - offset // _SECOND

    def at(self, instant: int) -> datetime:
        """The datetime of an instant, with its fold."""
        return _local(instant, self.tzinfo)

    def transitions(self, year: int) -> tuple[Transition, ...]:
        """The changes of the offset within a year of UTC, in order."""
        if self._fixed is not None or not FIRST_YEAR - 1 <= year <= LAST_YEAR + 1:
            return ()
        transitions = self._transitions.get(year)
        if transitions is None:
            transitions = self._transitions[year] = self._find_transitions(year)
        return transitions

    def _find_transitions(self, year: int) -> tuple[Transition, ...]:
        transitions = []
        earlier = datetime(year, 1, 1).toordinal() * DAY - 1
        before, *offsets = self._evening_offsets(year)
        for day, after in enumerate(offsets, 1):
            if after != before:
                later = earlier + day * DAY
                transitions.append(self._transition(later - DAY, later, before // _SECOND, after // _SECOND))
            before = after
        return tuple(transitions)

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
        """The midnights of a year, stored; the oldest ones of any zone are dropped if there are too many."""
        zone_year = self.years.get(year)
        if zone_year is None:
            zone_year = self.years[year] = ZoneYear(self, year)
            _recent.append(zone_year)
            if len(_recent) > _ZONE_YEARS:
                for oldest in _recent[: _ZONE_YEARS // 2]:
                    oldest.forget()
                del _recent[: _ZONE_YEARS // 2]
        return zone_year

    def tzinfo_at(self, instant: int) -> tzinfo | None:  # noqa: ARG002
        """The tzinfo of the datetime of an instant."""
        return self.tzinfo

    def has_transition(self, transition: Transition) -> bool:  # noqa: ARG002
        """Whether the tzinfo has this transition of the rules too, so that it is right on the day of the transition."""
        return True

    def midnights(self, year: int, length: int) -> list[datetime | None]:
        """The midnight of each day of a year, ignoring transitions; None if the tzinfo differs from the rules."""
        new_year = datetime(year, 1, 1, tzinfo=self.tzinfo)
        return [new_year + days for days in _DAYS_OF_YEAR[:length]]


class NamedZone(Zone):
    """A zone whose tzinfo has rules of its own that are wrong after 2037; answers are the right instants in it."""

    __slots__ = ()

    def midnights(self, year: int, length: int) -> list[datetime | None]:
        right = datetime(year, 1, 1, tzinfo=self.rules)
        ours = datetime(year, 1, 1, tzinfo=self.tzinfo)
        marks = [(right + days).utcoffset() == (ours + days).utcoffset() for days in (*_DAYS_OF_YEAR, timedelta(366))]
        return [ours + _DAYS_OF_YEAR[i] if marks[i] and marks[i + 1] else None for i in range(length)]

    def has_transition(self, transition: Transition) -> bool:  # noqa: ARG002
        """Unknown; return False."""
        return False


class PytzZone(Zone):
    """A zone of pytz, which has one tzinfo for each offset that the zone ever had."""

    __slots__ = ()

    def at(self, instant: int) -> datetime:
        """The datetime that pytz's localize returns; after 2037 too, where localize is wrong."""
        return _datetime(instant + self.offset(instant)).replace(tzinfo=self.tzinfo_at(instant))

    def tzinfo_at(self, instant: int) -> tzinfo:
        """The one of pytz's tzinfo objects that is right at an instant."""
        offset = self.offset(instant)
        own = self.tzinfo.fromutc(_datetime(instant)).tzinfo  # type: ignore[union-attr]
        if own is not None and own.utcoffset(None) == timedelta(seconds=offset):
            return own
        right = _local(instant, self.rules)
        known: dict[tuple[timedelta, timedelta, str], tzinfo] = getattr(self.tzinfo, "_tzinfos", {})
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

    A day is plain if no transition affects its wall times, else it is a transition day. `midnights` has 367 entries:
    the midnight of each plain day, to which a time of day can be added, and None for all others. `transition_days` has
    the transition days by index; `not_plain` lists the indices of the entries that are None.
    """

    __slots__ = ("_zone", "midnights", "not_plain", "transition_days", "users", "year")

    def __init__(self, zone: Zone, year: int) -> None:
        self._zone, self.year = zone, year
        self.users: list[dict[int, Any]] = []
        length = FIRST_DAYS[year + 1] - FIRST_DAYS[year]
        midnights = zone.midnights(year, length)
        self.transition_days: dict[int, TransitionDay] = {}
        for around in (year - 1, year, year + 1):
            for transition in zone.transitions(around):
                self._add_transition(transition, midnights)
        self.midnights: Midnights = (*midnights, *_UNKNOWN[length:])
        self.not_plain = [day for day, midnight in enumerate(self.midnights) if midnight is None]

    def _add_transition(self, transition: Transition, midnights: list[datetime | None]) -> None:
        instant, before, after = transition
        new_year = FIRST_DAYS[self.year] * DAY
        start, end = instant + min(before, after) - new_year, instant + max(before, after) - new_year
        for index in range(max(start // DAY, 0), min(end // DAY + 1, len(midnights))):
            midnight = _datetime(new_year + index * DAY)
            earlier = midnight.replace(tzinfo=self._zone.tzinfo_at(instant - 1))
            later = midnight.replace(tzinfo=self._zone.tzinfo_at(instant))
            if index in self.transition_days or not self._zone.has_transition(transition):
                self.transition_days[index] = (-DAY, 2 * DAY, earlier, later)  # no time is before or after that
            else:
                self.transition_days[index] = (start - index * DAY, end - index * DAY, earlier, later)
            midnights[index] = None

    def midnights_with(self, info: tzinfo | None) -> Midnights:
        """The midnights of the plain days on which times of this zone have this very tzinfo; None for the others."""
        if info is self._zone.tzinfo and not isinstance(self._zone, PytzZone):
            return self.midnights
        return tuple(m if m is not None and m.tzinfo is info else None for m in self.midnights)

    def forget(self) -> None:
        """Drop the midnights and every row that holds them."""
        self._zone.years.pop(self.year, None)
        for rows in self.users:
            rows.pop(self.year, None)


# The oldest first; when there are too many, the older half is dropped.
_recent: list[ZoneYear] = []


def _datetime(wall: int) -> datetime:
    day, second = divmod(wall, DAY)
    return datetime.fromordinal(day) + timedelta(seconds=second)


def seconds_of(time: datetime) -> int:
    """A wall time as seconds, without its zone and microseconds."""
    return time.toordinal() * DAY + time.hour * 3600 + time.minute * 60 + time.second


def _no_offset(info: object) -> Exception:
    from ..errors import UnknownZoneError

    return UnknownZoneError(info, "it has no UTC offset")


def _local(instant: int, zone: tzinfo | None) -> datetime:
    utc = _datetime(instant)
    return utc if zone is None else zone.fromutc(utc.replace(tzinfo=zone))


def _has_offset(rules: tzinfo | None) -> bool:
    """Whether a tzinfo has an offset from UTC; a class of a user may have none."""
    try:
        return rules is None or datetime(2000, 1, 1, tzinfo=rules).utcoffset() is not None
    except NotImplementedError:
        return False


def _fixed_offset(rules: tzinfo | None) -> int | None:
    """The offset of a zone that never changes, in seconds; None for other zones."""
    if rules is None:
        return 0
    try:
        offset = rules.utcoffset(None)
    except (TypeError, AttributeError, ValueError, NotImplementedError):
        return None
    return None if offset is None else offset // _SECOND
