"""CronExpression, the immutable value that users hold.

next_fire, prev_fire and matches read one row of the almanac, and add a ready-made timedelta to a ready-made midnight.
What no row answers (a day that a gap or an overlap touches, a year outside 1970-2099) goes to policies.py, which is
exact everywhere and takes its time. What an expression holds, and how it is a value, stands in value.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from . import conversions
from .lazy import Later
from .search.compiled import VIXIE, Expression, make
from .search.year_rows import NEVER
from .wall.days import NONE_LEFT
from .wall.times import NONE_LEFT as NO_TIME_LEFT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import errors
    from .grammar import canonical
    from .search import iterate, localize, rank, transition_days
    from .wall import pattern
    from .zones import dst_policies, lookup
else:
    canonical, errors, dst_policies = Later("grammar.canonical"), Later("errors"), Later("zones.dst_policies")
    iterate, localize, lookup = Later("search.iterate"), Later("search.localize"), Later("zones.lookup")
    pattern, rank = Later("wall.pattern"), Later("search.rank")
    transition_days = Later("search.transition_days")

_KNOWN = 512
_KNOWN_LENGTH = 256


class CronExpression(Expression):
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
        return make(cls, text, _zone_argument(tz), _policy_argument(dst))  # type: ignore[no-any-return]

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
            after = localize.now_in(self._tz)
        rows = self._ahead
        try:
            if after.tzinfo is not rows.carried:
                return self._next_elsewhere(after)
            new_year, days, here, midnights, beyond = rows[after.year]
        except AttributeError:
            raise localize.no_datetime(after) from None
        today = after.toordinal() - new_year
        midnight = here[today]
        if midnight is None:
            return transition_days.next_from(self._pattern, self._policy, today, after)
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
                        if second is not None:
                            return midnight + deltas[hour * 60 + minute] + second
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
                return transition_days.next_on(self._pattern, self._policy, day, after)
            midnight = rows.look_beyond(after.year) if beyond is None else beyond
            if midnight is None:
                return transition_days.next_exactly(self._pattern, self._policy, after)
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
            before = localize.now_in(self._tz)
        rows = self._behind
        try:
            if before.tzinfo is not rows.carried:
                return self._prev_elsewhere(before)
            new_year, days, here, midnights, beyond = rows[before.year]
        except AttributeError:
            raise localize.no_datetime(before) from None
        today = before.toordinal() - new_year
        midnight = here[today]
        if midnight is None:
            return transition_days.prev_from(self._pattern, self._policy, today, before)
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
                        if second is not None:
                            return midnight + deltas[hour * 60 + minute] + second
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
                return transition_days.prev_on(self._pattern, self._policy, day, before)
            midnight = rows.look_beyond(before.year) if beyond is None else beyond
            if midnight is None:
                return transition_days.prev_exactly(self._pattern, self._policy, before)
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
            raise localize.no_datetime(time) from None
        today = time.toordinal() - new_year
        if here[today] is None:
            return transition_days.matches_exactly(self._pattern, self._policy, time)
        return days[today] == today and bool(
            self._hours.mask >> time.hour & self._minutes.mask >> time.minute & self._seconds.mask >> time.second & 1
        )

    def fires(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[datetime]:
        """The fire times strictly after `start` (now, if not given) up to and including `end` (2099, if not given).

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
        return rank.count(self, start, end)

    def nth(self, n: int, after: datetime | None = None) -> datetime | None:
        """The n-th fire time strictly after `after`, n from 1, without walking; None if there are not so many.

        >>> from datetime import datetime
        >>> CronExpression("0 0 8 ? * MON").nth(100, datetime(2026, 1, 1))
        datetime.datetime(2027, 11, 29, 8, 0)
        """
        return rank.nth(self, n, after)

    @property
    def never_fires(self) -> bool:
        """Whether no day of the years 1970 to 2099 fires, as for 30 February.

        >>> CronExpression("0 0 8 30 2 ?").never_fires
        True
        """
        return not self._days.firing_years

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

    @property
    def canonical(self) -> str:
        """The same expression in normal form: upper case, values sorted, weekdays by name, no needless year.

        >>> CronExpression("0 */15 8-8,9,10 ? jan,2,3 6,2-4").canonical
        '0 0/15 8-10 ? 1-3 MON-WED,FRI'
        """
        return canonical.canonical_text(self._pattern, interval=self._interval)

    # -- times that carry another tzinfo than the ones before --

    def _next_elsewhere(self, after: datetime) -> datetime | None:
        tz, asked = self._tz, after.tzinfo
        if (tz is asked or (tz is None and type(asked) is not timezone)) and isinstance(after, datetime):
            self._look_ahead(asked)
            return self.next_fire(after)
        return localize.next_elsewhere(self, after)

    def _prev_elsewhere(self, before: datetime) -> datetime | None:
        return localize.prev_elsewhere(self, before)

    def _matches_elsewhere(self, time: datetime) -> bool:
        return localize.matches_elsewhere(self, time)

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


_known: dict[str, CronExpression] = {}
_make = make  # what pickles of 0.1.0 call


def _make_known(text: str) -> CronExpression:
    made: CronExpression = make(CronExpression, text, None, VIXIE)
    if len(text) <= _KNOWN_LENGTH:
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[text] = made
    return made


def _zone_argument(tz: object) -> tzinfo | None:
    if tz is None:
        return None
    if isinstance(tz, tzinfo):
        return lookup.canonical(tz)
    if isinstance(tz, str):
        return lookup.named_zone(tz)
    raise TypeError(f"tz is a zone name or a tzinfo, not {type(tz).__name__}")


def _policy_argument(dst: str) -> str:
    if dst is not VIXIE:
        if not isinstance(dst, str):
            raise TypeError(f"dst is {VIXIE!r} or {dst_policies.QUARTZ!r}, not {type(dst).__name__}")
        if (dst, False) not in dst_policies.POLICIES:
            raise errors.PolicyError(dst)
    return dst
