"""An expression compiled to tables, and the methods that read them: next_fire, prev_fire, matches.

next_fire reads one row of a year (see year_rows.py) and adds a ready-made timedelta to a ready-made midnight. If no row
has the answer (a day with a gap or an overlap, a year outside 1970-2099), transition_days.py computes it, which is
exact everywhere and slower.

The other modules of this room, schedules, descriptions and dialects use CompiledExpression. Users hold a
CronExpression, which adds all other methods; see expression.py.
"""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo

from ..fields import FIRST_YEAR, LAST_YEAR
from ..grammar.parser import FieldFault, parse
from ..lazy import Lazy
from ..wall.days import NO_ROWS, NONE_LEFT
from ..wall.times import MINUTE_DELTAS, minute_deltas
from ..wall.times import NONE_LEFT as NO_TIME_LEFT
from .expression_value import ExpressionSlots, ExpressionValue, put
from .year_rows import NEVER, rows_ahead, rows_behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from ..grammar import diagnosis
    from ..wall import layered_days
    from ..wall.days import Layer
    from . import localize, transition_days

    Expression = TypeVar("Expression", bound="CompiledExpression")
else:
    diagnosis, layered_days = Lazy("grammar.diagnosis"), Lazy("wall.layered_days")
    localize, transition_days = Lazy("search.localize"), Lazy("search.transition_days")

# The users' class. expression.py sets it, for the rooms below it that make such objects.
users_class: Any = None

_NOT_YET: Any = None
_set_ahead = vars(ExpressionSlots)["_ahead"].__set__
_set_times = vars(ExpressionSlots)["_times"].__set__
_set_first = vars(ExpressionSlots)["_first"].__set__


def make(cls: type[Expression], text: str, tz: tzinfo | None, dst: str) -> Expression:
    """Parse a text into an expression of this class. Raises CronSyntaxError."""
    slots: Any = ExpressionSlots()
    try:
        slots._seconds, slots._minutes, slots._hours, slots._days = parse(text)
    except FieldFault:
        raise diagnosis.syntax_error(text) from None
    slots.text, slots.dst, slots._tz = text, dst, tz
    slots._walls = slots._tally = slots._astimezone_tz = None
    slots._first = slots._last = slots._times = slots._times_behind = _NOT_YET
    slots._ahead = slots._behind = NO_ROWS
    try:
        slots.__class__ = cls  # takes a quarter of the time of object.__setattr__ for each slot
        return slots  # type: ignore[no-any-return]
    except TypeError:  # a subclass that has more attributes
        self = object.__new__(cls)
        for name in ExpressionSlots.__slots__:
            put(self, name, getattr(slots, name))
        return self


def with_layers(expression: Expression, layers: tuple[Layer, ...]) -> Expression:
    """The same expression with these layers of calendars, which replace those that it had."""
    self = make(type(expression), expression.text, expression._tz, expression.dst)
    put(self, "_days", layered_days.rule_with(self._days, layers))
    return self


class CompiledExpression(ExpressionValue):
    """An expression that computes its fire times."""

    __slots__ = ()

    @property
    def tz(self) -> tzinfo | None:
        """The zone in which the expression is read; None if that is the zone of the time that is passed."""
        return self._tz

    # -- fire times --

    # A row, which has the data of one year for next_fire, is a tuple of five parts:
    #   new_year    the ordinal of 1 January, so that `after.toordinal() - new_year` is the index of a day
    #   days        for each day, itself if it fires, else the next day of the year that does, else NONE_LEFT
    #   plain       for each plain day on which times have the tzinfo of `after`, its midnight, else None
    #   midnights   for each plain day its midnight, to which the time of day of the answer is added, else None
    #   outside     the midnight of the first day that fires in a later year; NEVER if there is no such day, None if it
    #               is not a plain day or not yet computed
    # A day is plain unless a transition of the zone affects it; see ZoneYear. `plain` and `midnights` differ only for
    # pytz, whose zones have several tzinfo objects.
    def next_fire(self, after: datetime | None = None) -> datetime | None:  # noqa: PLR0912 - a call costs 50 ns
        """The first fire time strictly after `after`, or None if there is none up to the end of 2099.

        >>> from datetime import datetime
        >>> from quartzcron import CronExpression
        >>> CronExpression("0 30 9 L * ?").next_fire(datetime(2028, 2, 1))
        datetime.datetime(2028, 2, 29, 9, 30)
        """
        if after is None:
            after = localize.now_in(self._tz)
        rows = self._ahead
        try:
            if after.tzinfo is not rows.tzinfo:
                return self._next_in_other_zone(after)
            new_year, days, plain, midnights, outside = rows[after.year]
        except AttributeError:
            raise localize.not_a_datetime(after) from None
        today = after.toordinal() - new_year
        midnight = plain[today]
        if midnight is None:
            return transition_days.next_from(self._pattern, self._policy, today, after)
        day = days[today]
        if day == today:  # is there a later time today? first in this minute, then in this hour, then in a later hour
            times = self._times
            if times is None:
                fire = midnight + self._first
                if fire > after:
                    return fire
            else:
                seconds, minutes, hours, deltas, first_minute = times
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
                    return midnight + deltas[hour * 60 + first_minute]
            day = days[today + 1]
        midnight = midnights[day]
        if midnight is None:
            if day != NONE_LEFT:
                return transition_days.next_on(self._pattern, self._policy, day, after)
            midnight = rows.find_outside(after.year) if outside is None else outside
            if midnight is None:
                return transition_days.next_exactly(self._pattern, self._policy, after)
            if midnight is NEVER:
                return None
        return midnight + self._first

    # The mirror of next_fire, written out again: sharing the code would cost both a call.
    def prev_fire(self, before: datetime | None = None) -> datetime | None:  # noqa: PLR0912 - a call costs 50 ns
        """The last fire time strictly before `before`, or None if there is none from 1970 on.

        >>> from datetime import datetime
        >>> from quartzcron import CronExpression
        >>> CronExpression("0 30 9 L * ?").prev_fire(datetime(2028, 3, 1))
        datetime.datetime(2028, 2, 29, 9, 30)
        """
        if before is None:
            before = localize.now_in(self._tz)
        rows = self._behind
        try:
            if before.tzinfo is not rows.tzinfo:
                return self._prev_in_other_zone(before)
            new_year, days, plain, midnights, outside = rows[before.year]
        except AttributeError:
            raise localize.not_a_datetime(before) from None
        today = before.toordinal() - new_year
        midnight = plain[today]
        if midnight is None:
            return transition_days.prev_from(self._pattern, self._policy, today, before)
        day = days[today]
        if day == today:
            times = self._times_behind
            if times is None:
                fire = midnight + self._last
                if fire < before:
                    return fire
            else:
                seconds, minutes, hours, deltas, last_minute = times
                hour = before.hour
                if hours[hour] == hour:
                    minute = before.minute
                    if minutes[minute] == minute:
                        # A datetime has microseconds; a pandas.Timestamp also has nanoseconds.
                        whole = not before.microsecond and (
                            type(before) is datetime or transition_days.is_whole(before)
                        )
                        second = seconds[before.second - whole]
                        if second is not None:
                            return midnight + deltas[hour * 60 + minute] + second
                    minute = minutes[minute - 1]
                    if minute < NO_TIME_LEFT:
                        return midnight + deltas[hour * 60 + minute]
                hour = hours[hour - 1]
                if hour < NO_TIME_LEFT:
                    return midnight + deltas[hour * 60 + last_minute]
            day = days[today - 1]
        midnight = midnights[day]
        if midnight is None:
            if day != NONE_LEFT:
                return transition_days.prev_on(self._pattern, self._policy, day, before)
            midnight = rows.find_outside(before.year) if outside is None else outside
            if midnight is None:
                return transition_days.prev_exactly(self._pattern, self._policy, before)
            if midnight is NEVER:
                return None
        return midnight + self._last

    def matches(self, time: datetime) -> bool:
        """Whether the whole second of `time` is a fire time (Quartz: isSatisfiedBy).

        >>> from datetime import datetime
        >>> from quartzcron import CronExpression
        >>> CronExpression("0 0 8 ? * MON").matches(datetime(2026, 1, 5, 8, 0, 0, 999_999))
        True
        """
        rows = self._ahead
        try:
            if time.tzinfo is not rows.tzinfo:
                return self._matches_in_other_zone(time)
            new_year, days, plain, _, _ = rows[time.year]
        except AttributeError:
            raise localize.not_a_datetime(time) from None
        today = time.toordinal() - new_year
        if plain[today] is None:
            return transition_days.matches_exactly(self._pattern, self._policy, time)
        return days[today] == today and bool(
            self._hours.mask >> time.hour & self._minutes.mask >> time.minute & self._seconds.mask >> time.second & 1
        )

    @property
    def never_fires(self) -> bool:
        """Whether no day of the years 1970 to 2099 fires, as for 30 February.

        >>> from quartzcron import CronExpression
        >>> CronExpression("0 0 8 30 2 ?").never_fires
        True
        """
        return not self._days.firing_years

    # -- times with another tzinfo than those before: load its tables, or convert the time and the answer --

    def _next_in_other_zone(self, after: datetime) -> datetime | None:
        tz, given = self._tz, after.tzinfo
        if (tz is given or (tz is None and type(given) is not timezone)) and isinstance(after, datetime):
            self._load_ahead(given)
            return self.next_fire(after)
        if given is not None and given is self._astimezone_tz and FIRST_YEAR < after.year < LAST_YEAR:
            fire = self.next_fire(after.astimezone(tz))
            return None if fire is None else fire.astimezone(given)
        local, answer_in = localize.localized(tz, after)
        self._note_zone(given, converted=answer_in is not None)
        if self._ahead.tzinfo is not local.tzinfo:
            self._load_ahead(local.tzinfo)
        fire = self.next_fire(local)
        return fire if answer_in is None or fire is None else localize.in_zone(fire, answer_in)

    def _prev_in_other_zone(self, before: datetime) -> datetime | None:
        tz, given = self._tz, before.tzinfo
        if given is not None and given is self._astimezone_tz and FIRST_YEAR < before.year < LAST_YEAR:
            fire = self.prev_fire(before.astimezone(tz))
            return None if fire is None else fire.astimezone(given)
        local, answer_in = localize.localized(tz, before)
        self._note_zone(given, converted=answer_in is not None)
        if self._behind.tzinfo is not local.tzinfo:
            self._load_behind(local.tzinfo)
        fire = self.prev_fire(local)
        return fire if answer_in is None or fire is None else localize.in_zone(fire, answer_in)

    def _matches_in_other_zone(self, time: datetime) -> bool:
        local, answer_in = localize.localized(self._tz, time)
        self._note_zone(time.tzinfo, converted=answer_in is not None)
        if self._ahead.tzinfo is not local.tzinfo:
            self._load_ahead(local.tzinfo)
        return self.matches(local)

    def _note_zone(self, given: tzinfo | None, *, converted: bool) -> None:
        """After a conversion: note whether astimezone, which is faster, can convert the next time of this tzinfo."""
        if converted and localize.astimezone_is_exact(self._tz, given):
            put(self, "_astimezone_tz", given)

    def _load_ahead(self, given: tzinfo | None) -> None:
        """Set the tables with which next_fire answers times with this very tzinfo."""
        rows = self._days.last_rows
        if rows.tzinfo is not given:
            rows = rows_ahead(self._days, given)
        if self._ahead is NO_ROWS:
            seconds, minutes, hours = self._seconds, self._minutes, self._hours
            deltas = MINUTE_DELTAS[seconds.first] or minute_deltas(seconds.first)
            if minutes.several or hours.several or seconds.several:
                times = seconds.since_first(), minutes.ahead(), hours.ahead(), deltas, minutes.first
                _set_times(self, times)
            _set_first(self, deltas[hours.first * 60 + minutes.first])
        _set_ahead(self, rows)  # last: other threads rely on the other tables once it is set

    def _load_behind(self, given: tzinfo | None) -> None:
        """Set the tables of prev_fire."""
        if self._behind is NO_ROWS:
            seconds, minutes, hours = self._seconds, self._minutes, self._hours
            deltas = minute_deltas(seconds.last)
            if minutes.several or hours.several or seconds.several:
                times = seconds.until_last(), minutes.behind(), hours.behind(), deltas, minutes.last
                put(self, "_times_behind", times)
            put(self, "_last", deltas[hours.last * 60 + minutes.last])
        put(self, "_behind", rows_behind(self._days, given))
