"""CronExpression, the immutable value that users hold.

next_fire, prev_fire and matches read one row of the almanac, and add a ready-made timedelta to a ready-made midnight.
What no row answers (a day that a gap or an overlap touches, a year outside 1970-2099) goes to policies.py, which is
exact everywhere and takes its time.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from . import conversions
from .almanac import NEVER, Clock, Rows, clock_ahead, clock_behind, rows_ahead, rows_behind
from .days import NONE_LEFT, day_rule
from .errors import CronError, PolicyError, check_type, echoed
from .fields import FIRST_YEAR, LAST_YEAR, Fields
from .parser import parse
from .policies import POLICIES, QUARTZ, VIXIE, Policy
from .question import is_quick, located, located_instant, mixed_times, moved, no_datetime, now_in
from .search import WallPattern, wall_gaps
from .times import NONE_LEFT as NO_TIME_LEFT
from .times import SECONDS, minute_deltas, time_rule
from .touched import (
    instant_of,
    matches_exactly,
    next_exactly,
    next_from,
    next_on,
    prev_exactly,
    prev_from,
    prev_on,
)
from .zone_names import canonical, named_zone, zone_key, zone_name, zone_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .tally import Tally
    from .zones import Zone

_KNOWN = 512
_KNOWN_LENGTH = 256
_NOT_YET: Any = None
_NOWHERE: Any = type("Nowhere", (), {"carried": object()})()


class _Slots:
    """What an expression holds. It is filled in here, and immutable from the moment it gets its own class."""

    __slots__ = (
        "_ahead",
        "_behind",
        "_clock",
        "_clock_behind",
        "_fields",
        "_first",
        "_from",
        "_last",
        "_tally",
        "_tz",
        "_walls",
        "dst",
        "text",
    )

    text: str
    dst: str
    _tz: tzinfo | None
    _fields: Fields
    _walls: WallPattern | None
    _ahead: Rows
    _behind: Rows
    _first: timedelta  # these four are None until there is an _ahead or a _behind
    _last: timedelta
    _clock: Clock | None
    _clock_behind: Clock | None
    _from: tzinfo | None
    _tally: Tally | None


_set_ahead = vars(_Slots)["_ahead"].__set__
_set_first = vars(_Slots)["_first"].__set__
_put = object.__setattr__  # the class's own refuses


class CronExpression(_Slots):
    """A Quartz cron expression, as an immutable value.

    `text` has six or seven fields: seconds, minutes, hours, day of month, month, day of week and, if wanted, year.
    `tz` is a zone name, or a zoneinfo, pytz, dateutil or fixed-offset tzinfo; `dst` is "vixie" or "quartz", see
    policies.py. Raises CronSyntaxError, UnknownZoneError or PolicyError, which are all CronError and ValueError.

    In which zone:

    - An aware `after` gets an answer that carries the tzinfo of `after`. The expression is read in its own zone if it
      has one, else in the zone of `after`.
    - A naive `after` is wall time. If the expression has a zone it is wall time there, and the answer is aware, because
      a naive one could not tell the two passes of an overlap apart. Otherwise no zone is involved, and the answer is
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

    def __new__(cls, text: str, *, tz: str | tzinfo | None = None, dst: str = VIXIE) -> CronExpression:
        """Parse a text, or find the expression that was made of the same text before."""
        if tz is None and dst is VIXIE and cls is CronExpression and type(text) is str:
            return _known.get(text) or _make_known(text)
        if not isinstance(text, str):
            raise TypeError(f"a cron expression is a str, not {type(text).__name__}")
        if not isinstance(dst, str):
            raise TypeError(f"dst is {VIXIE!r} or {QUARTZ!r}, not {type(dst).__name__}")
        if (dst, False) not in POLICIES:
            raise PolicyError(dst)
        return _make(cls, text, _zone_argument(tz), dst)

    @classmethod
    def is_valid(cls, text: object) -> bool:
        """Whether the text is a Quartz expression.

        >>> CronExpression.is_valid("0 0 8 ? * MON"), CronExpression.is_valid("0 8 * * 1")
        (True, False)
        """
        try:
            cls(text)  # type: ignore[arg-type]
        except (CronError, TypeError):
            return False
        return True

    @property
    def tz(self) -> tzinfo | None:
        """The zone in which the expression is read; None if that is the zone of the question."""
        return self._tz

    def next_fire(self, after: datetime | None = None) -> datetime | None:  # noqa: PLR0912 - a call costs 50 ns
        """The first fire time strictly after `after`, or None if there is none up to the end of 2099.

        >>> from datetime import datetime
        >>> CronExpression("0 30 9 L * ?").next_fire(datetime(2028, 2, 1))
        datetime.datetime(2028, 2, 29, 9, 30)
        """
        if after is None:
            after = now_in(self._tz)
        rows = self._ahead
        try:
            if after.tzinfo is not rows.carried:
                return self._next_elsewhere(after)
            new_year, days, here, midnights, beyond = rows[after.year]
        except AttributeError:
            raise no_datetime(after) from None
        today = after.toordinal() - new_year
        midnight = here[today]
        if midnight is None:
            return next_from(self._pattern, self._policy, today, after)
        day = days[today]
        if day == today:
            clock = self._clock
            if clock is None:
                fire = midnight + self._first
                if fire > after:
                    return fire
            else:
                seconds, minutes, hours, deltas, head = clock
                hour = after.hour
                if hours[hour] == hour:
                    minute = after.minute
                    if minutes[minute] == minute:
                        second = seconds[after.second + 1]
                        if second < NO_TIME_LEFT:
                            return midnight + _MINUTES[hour * 60 + minute] + SECONDS[second]
                    minute = minutes[minute + 1]
                    if minute < NO_TIME_LEFT:
                        return midnight + deltas[hour * 60 + minute]
                hour = hours[hour + 1]
                if hour < NO_TIME_LEFT:
                    return midnight + deltas[hour * 60 + head]
            day = days[today + 1]
        midnight = midnights[day]
        if midnight is None:
            if day != NONE_LEFT:
                return next_on(self._pattern, self._policy, day, after)
            midnight = rows.look_beyond(after.year) if beyond is None else beyond
            if midnight is None:
                return next_exactly(self._pattern, self._policy, after)
            if midnight is NEVER:
                return None
        return midnight + self._first

    def prev_fire(self, before: datetime | None = None) -> datetime | None:  # noqa: PLR0912 - a call costs 50 ns
        """The last fire time strictly before `before`, or None if there is none from 1970 on: the mirror of next_fire.

        >>> from datetime import datetime
        >>> CronExpression("0 30 9 L * ?").prev_fire(datetime(2028, 3, 1))
        datetime.datetime(2028, 2, 29, 9, 30)
        """
        if before is None:
            before = now_in(self._tz)
        rows = self._behind
        try:
            if before.tzinfo is not rows.carried:
                return self._prev_elsewhere(before)
            new_year, days, here, midnights, beyond = rows[before.year]
        except AttributeError:
            raise no_datetime(before) from None
        today = before.toordinal() - new_year
        midnight = here[today]
        if midnight is None:
            return prev_from(self._pattern, self._policy, today, before)
        day = days[today]
        if day == today:
            clock = self._clock_behind
            if clock is None:
                fire = midnight + self._last
                if fire < before:
                    return fire
            else:
                seconds, minutes, hours, deltas, tail = clock
                hour = before.hour
                if hours[hour] == hour:
                    minute = before.minute
                    if minutes[minute] == minute:
                        second = seconds[before.second if before.microsecond else before.second - 1]
                        if second < NO_TIME_LEFT:
                            return midnight + _MINUTES[hour * 60 + minute] + SECONDS[second]
                    minute = minutes[minute - 1]
                    if minute < NO_TIME_LEFT:
                        return midnight + deltas[hour * 60 + minute]
                hour = hours[hour - 1]
                if hour < NO_TIME_LEFT:
                    return midnight + deltas[hour * 60 + tail]
            day = days[today - 1]
        midnight = midnights[day]
        if midnight is None:
            if day != NONE_LEFT:
                return prev_on(self._pattern, self._policy, day, before)
            midnight = rows.look_beyond(before.year) if beyond is None else beyond
            if midnight is None:
                return prev_exactly(self._pattern, self._policy, before)
            if midnight is NEVER:
                return None
        return midnight + self._last

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time (Quartz: isSatisfiedBy).

        >>> from datetime import datetime
        >>> CronExpression("0 0 8 ? * MON").matches(datetime(2026, 1, 5, 8, 0, 0, 999_999))
        True
        """
        rows = self._ahead
        try:
            if time.tzinfo is not rows.carried:
                return self._matches_elsewhere(time)
            new_year, days, here, _, _ = rows[time.year]
        except AttributeError:
            raise no_datetime(time) from None
        today = time.toordinal() - new_year
        if here[today] is None:
            return matches_exactly(self._pattern, self._policy, time)
        fields = self._fields
        return days[today] == today and bool(
            fields.hours >> time.hour & fields.minutes >> time.minute & fields.seconds >> time.second & 1
        )

    def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
        """The fire times strictly after `start` (now, if not given) up to and including `end` (2099, if not given).

        >>> from datetime import datetime
        >>> twice = CronExpression("0 0 8 1,15 * ?")
        >>> [fire.day for fire in twice.fires(datetime(2026, 1, 1, 8), datetime(2026, 2, 1, 8))]
        [15, 1]
        """
        from .iteration import fires

        return fires(self, start, end)

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """The fire times strictly after `start` up to and including `end`.

        >>> from datetime import datetime
        >>> len(CronExpression("0 0 8 ? * MON").between(datetime(2026, 1, 1), datetime(2026, 2, 1)))
        4
        """
        return list(self.fires(start, end))

    def count(self, start: datetime, end: datetime) -> int:
        """How many fire times lie strictly after `start` up to and including `end`, without walking over them.

        >>> from datetime import datetime
        >>> CronExpression("* * * * * ?").count(datetime(2026, 1, 1), datetime(2027, 1, 1))
        31536000
        """
        known = self._tally
        if known is not None:
            later, earlier = known.up_to_plain(end), known.up_to_plain(start)
            if later is not None and earlier is not None:
                return later - earlier if later > earlier else 0
        tally, after = self._tally_at(start)
        if not self._policy.first_pass:  # then next_fire may pass over some, see policies.at_or_after
            first = self.next_fire(start)
            if first is None:
                return 0
            after = self._tally_at(first)[1] - 1
        if self._tz is None and (start.tzinfo is None) != (end.tzinfo is None):
            raise mixed_times()
        return max(0, tally.up_to(located_instant(self._tz, end)) - tally.up_to(after))

    def nth(self, n: int, after: datetime | None = None) -> datetime | None:
        """The n-th fire time strictly after `after`, n from 1, without walking; None if there are not so many.

        >>> from datetime import datetime
        >>> CronExpression("0 0 8 ? * MON").nth(100, datetime(2026, 1, 1))
        datetime.datetime(2027, 11, 29, 8, 0)
        """
        check_type(n, int, "n is an int")
        if n < 1:
            raise CronError(f"n counts fire times from 1, not {echoed(n)}")
        if after is None:
            after = now_in(self._tz)
        known = self._tally
        earlier = None if known is None else known.up_to_plain(after)
        if known is not None and earlier is not None:
            return known.nth(earlier + n)
        first = self.next_fire(after)
        if first is None or n == 1:
            return first
        tally, instant = self._tally_at(first)
        fire = tally.nth(tally.up_to(instant) + n - 1)
        return fire if fire is None or zone_of(first.tzinfo) is tally.zone else moved(fire, zone_of(first.tzinfo))

    @property
    def never_fires(self) -> bool:
        """Whether no day of the years 1970 to 2099 fires, as for 30 February.

        >>> CronExpression("0 0 8 30 2 ?").never_fires
        True
        """
        return not self._pattern.days.firing_years

    @property
    def min_gap(self) -> timedelta | None:
        """The shortest time by wall clock from one fire to the next; None if there are fewer than two.

        >>> CronExpression("0 0 8 ? * MON-FRI").min_gap
        datetime.timedelta(days=1)
        """
        gaps = wall_gaps(self._pattern)
        return None if gaps is None else timedelta(seconds=gaps[0])

    @property
    def max_gap(self) -> timedelta | None:
        """The longest time by wall clock from one fire to the next; None if there are fewer than two.

        >>> CronExpression("0 0 8 29 2 ?").max_gap
        datetime.timedelta(days=1461)
        """
        gaps = wall_gaps(self._pattern)
        return None if gaps is None else timedelta(seconds=gaps[1])

    @property
    def canonical(self) -> str:
        """The same expression in normal form: upper case, values sorted, weekdays by name, no needless year.

        >>> CronExpression("0 */15 8-8,9,10 ? jan,2,3 6,2-4").canonical
        '0 0/15 8-10 ? 1-3 MON-WED,FRI'
        """
        from .canonical import canonical_text

        return canonical_text(self._pattern, interval=self._fields.interval)

    @property
    def _pattern(self) -> WallPattern:
        walls = self._walls
        if walls is None:
            fields = self._fields
            times = time_rule(fields.seconds, fields.minutes, fields.hours)
            walls = WallPattern(day_rule(fields.days, fields.years), times)
            _put(self, "_walls", walls)
        return walls

    @property
    def _policy(self) -> Policy:
        return POLICIES[self.dst, self._fields.interval]

    # -- times that carry another tzinfo than the ones before --

    def _look_ahead(self, carried: tzinfo | None) -> None:
        fields = self._fields
        if self._ahead is _NOWHERE:  # set last, since other threads take it for a sign that all is there
            first, clock = clock_ahead(fields)
            if clock is not None:
                _put(self, "_clock", clock)
            _set_first(self, first)
        _set_ahead(self, rows_ahead(fields, carried))

    def _look_behind(self, carried: tzinfo | None) -> None:
        if self._behind is _NOWHERE:
            last, clock = clock_behind(self._fields)
            _put(self, "_clock_behind", clock)
            _put(self, "_last", last)
        _put(self, "_behind", rows_behind(self._fields, carried))

    def _next_elsewhere(self, after: datetime) -> datetime | None:
        tz, asked = self._tz, after.tzinfo
        if (tz is asked or (tz is None and type(asked) is not timezone)) and isinstance(after, datetime):
            self._look_ahead(asked)
            return self.next_fire(after)
        if asked is not None and asked is self._from and FIRST_YEAR < after.year < LAST_YEAR:
            fire = self.next_fire(after.astimezone(tz))
            return None if fire is None else fire.astimezone(asked)
        local, answer_in = self._located(after)
        if self._ahead.carried is not local.tzinfo:
            self._look_ahead(local.tzinfo)
        fire = self.next_fire(local)
        return fire if answer_in is None or fire is None else moved(fire, answer_in)

    def _prev_elsewhere(self, before: datetime) -> datetime | None:
        tz, asked = self._tz, before.tzinfo
        if asked is not None and asked is self._from and FIRST_YEAR < before.year < LAST_YEAR:
            fire = self.prev_fire(before.astimezone(tz))
            return None if fire is None else fire.astimezone(asked)
        local, answer_in = self._located(before)
        if self._behind.carried is not local.tzinfo:
            self._look_behind(local.tzinfo)
        fire = self.prev_fire(local)
        return fire if answer_in is None or fire is None else moved(fire, answer_in)

    def _matches_elsewhere(self, time: datetime) -> bool:
        local, _ = self._located(time)
        if self._ahead.carried is not local.tzinfo:
            self._look_ahead(local.tzinfo)
        return self.matches(local)

    def _located(self, time: datetime) -> tuple[datetime, Zone | None]:
        place = located(self._tz, time)
        if place[1] is not None and is_quick(self._tz, time.tzinfo):
            _put(self, "_from", time.tzinfo)
        return place

    def _tally_at(self, time: datetime) -> tuple[Tally, int]:
        """The tally of the fires in the zone in which the expression is read, and the instant of a time."""
        local = self._located(time)[0]
        zone = zone_of(local.tzinfo)
        known = self._tally
        if known is None or known.zone is not zone:
            from .tally import Tally

            known = Tally(self._pattern, zone, self._policy)
            _put(self, "_tally", known)
        return known, instant_of(zone, local)

    # -- in other languages --

    describe = conversions.describe
    excluding = conversions.excluding
    from_crontab = classmethod(conversions.from_crontab)
    from_eventbridge = classmethod(conversions.from_eventbridge)
    from_json = classmethod(conversions.from_json)
    from_oncalendar = classmethod(conversions.from_oncalendar)
    from_spring = classmethod(conversions.from_spring)
    hashed = classmethod(conversions.hashed)
    __get_pydantic_core_schema__ = classmethod(conversions.pydantic_core_schema)
    __get_pydantic_json_schema__ = classmethod(conversions.pydantic_json_schema)
    to_crontab = conversions.to_crontab
    to_eventbridge = conversions.to_eventbridge
    to_json = conversions.to_json
    to_oncalendar = conversions.to_oncalendar
    to_rrule = conversions.to_rrule
    to_spring = conversions.to_spring

    # -- a value among values --

    @property
    def _key(self) -> tuple[object, ...]:
        fields = self._fields
        return (
            *(() if self.never_fires else (fields.seconds, fields.minutes, fields.hours, fields.interval)),
            *self._pattern.days.key,
            zone_key(self._tz),
            self.dst,
        )

    def __eq__(self, other: object) -> bool:
        """Whether both fire at the same times in every year, in the same zone and under the same policy."""
        return self._key == other._key if isinstance(other, CronExpression) else NotImplemented

    def __hash__(self) -> int:
        *key, zone, dst = self._key
        return hash((*key, zone if isinstance(zone, str) else None, dst))

    def __repr__(self) -> str:
        zone = "" if self._tz is None else f", tz={zone_name(self._tz) or self._tz!r}"
        dst = "" if self.dst == VIXIE else f", dst={self.dst!r}"
        return f"CronExpression({self.text!r}{zone}{dst})"

    def __str__(self) -> str:
        return self.text

    def __format__(self, spec: str) -> str:
        return format(self.text, spec)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a CronExpression is immutable, {name!r} included")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a CronExpression is immutable, {name!r} included")

    def __copy__(self) -> CronExpression:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CronExpression:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (type(self), self.text, self._tz, self.dst)


_known: dict[str, CronExpression] = {}
_MINUTES = minute_deltas(0)


def _make_known(text: str) -> CronExpression:
    made = _make(CronExpression, text, None, VIXIE)
    if len(text) <= _KNOWN_LENGTH:
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[text] = made
    return made


def _make(cls: type[CronExpression], text: str, tz: tzinfo | None, dst: str) -> CronExpression:
    draft = _Slots()
    draft.text, draft.dst, draft._tz, draft._fields = text, dst, tz, parse(text)
    draft._walls = draft._tally = draft._from = None
    draft._first = draft._last = draft._clock = draft._clock_behind = _NOT_YET
    draft._ahead = draft._behind = _NOWHERE
    if cls is CronExpression:
        draft.__class__ = cls  # a quarter of the time that it takes to go round __setattr__ for each slot
        return draft  # type: ignore[return-value]
    self = object.__new__(cls)
    for name in _Slots.__slots__:
        _put(self, name, getattr(draft, name))
    return self


def _zone_argument(tz: object) -> tzinfo | None:
    if tz is None or isinstance(tz, tzinfo):
        return canonical(tz)
    if isinstance(tz, str):
        return named_zone(tz)
    raise TypeError(f"tz is a zone name or a tzinfo, not {type(tz).__name__}")
