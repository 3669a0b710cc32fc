"""What an expression holds, how that is filled in as questions come, and how an expression is a value among values.

Nothing here answers a question; expression.py does.
"""

from __future__ import annotations

from datetime import timedelta, tzinfo

from ..fields import Fields
from ..grammar.parser import parse
from ..lazy import Later
from ..wall.days import NOWHERE, DayRule
from ..wall.times import MINUTE_DELTAS, Leaps, TimeValues, minute_deltas, time_rule
from .year_rows import Rows, rows_ahead, rows_behind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from ..wall import pattern
    from ..wall.pattern import WallPattern
    from ..zones import dst_policies, lookup
    from ..zones.dst_policies import Policy
    from .rank import Tally
else:
    dst_policies, lookup, pattern = Later("zones.dst_policies"), Later("zones.lookup"), Later("wall.pattern")

# The tables of seconds (as times from the second at which the search comes into a minute), minutes and hours · the time
# from midnight to that second of each minute of the day · and the minute at which the search comes into an hour.
Clock = tuple[Leaps, tuple[int, ...], tuple[int, ...], tuple[timedelta, ...], int]

_NOT_YET: Any = None
VIXIE = "vixie"  # as policies.py has it, which is not imported before it is needed


class Draft:
    """What an expression holds. It is filled in here, and immutable from the moment it gets its own class."""

    __slots__ = (
        "_ahead",
        "_behind",
        "_clock",
        "_clock_behind",
        "_days",
        "_first",
        "_from",
        "_hours",
        "_last",
        "_minutes",
        "_seconds",
        "_tally",
        "_tz",
        "_walls",
        "dst",
        "text",
    )

    text: str
    dst: str
    _tz: tzinfo | None
    _seconds: TimeValues
    _minutes: TimeValues
    _hours: TimeValues
    _days: DayRule
    _walls: WallPattern | None
    _ahead: Rows
    _behind: Rows
    # The times from midnight to the first and the last fire of a day; None until there is an _ahead or a _behind.
    _first: timedelta
    _last: timedelta
    _clock: Clock | None  # None as well if there is but one fire a day
    _clock_behind: Clock | None
    _from: tzinfo | None
    _tally: Tally | None


put = object.__setattr__  # the class's own refuses
_set_ahead = vars(Draft)["_ahead"].__set__
_set_clock = vars(Draft)["_clock"].__set__
_set_first = vars(Draft)["_first"].__set__


def make(cls: type[Expression], text: str, tz: tzinfo | None, dst: str) -> Any:
    """Parse a text into an expression of this class. Raises CronSyntaxError."""
    draft = Draft()
    draft._seconds, draft._minutes, draft._hours, draft._days = parse(text)
    draft.text, draft.dst, draft._tz = text, dst, tz
    draft._walls = draft._tally = draft._from = None
    draft._first = draft._last = draft._clock = draft._clock_behind = _NOT_YET
    draft._ahead = draft._behind = NOWHERE
    try:
        draft.__class__ = cls  # a quarter of the time of going round __setattr__ for each slot
        return draft
    except TypeError:  # a subclass that holds more
        self = object.__new__(cls)
        for name in Draft.__slots__:
            put(self, name, getattr(draft, name))
        return self


class Expression(Draft):
    """An immutable value: equal to whatever fires at the same times, in the same zone and under the same policy."""

    __slots__ = ()

    @property
    def _interval(self) -> bool:
        return self._seconds.interval or self._minutes.interval or self._hours.interval

    @property
    def _fields(self) -> Fields:
        seconds, minutes, hours, days = self._seconds.mask, self._minutes.mask, self._hours.mask, self._days
        return Fields(seconds, minutes, hours, interval=self._interval, days=days.fields, years=days.given_years)

    @property
    def _pattern(self) -> WallPattern:
        walls = self._walls
        if walls is None:
            walls = pattern.WallPattern(self._days, time_rule(self._seconds.mask, self._minutes.mask, self._hours.mask))
            put(self, "_walls", walls)
        return walls

    @property
    def _policy(self) -> Policy:
        return dst_policies.POLICIES[self.dst, self._interval]

    def _look_ahead(self, carried: tzinfo | None) -> None:
        """Get ready for questions to next_fire about times that carry this very tzinfo."""
        rows = self._days.rows
        if rows.carried is not carried:
            rows = rows_ahead(self._days, carried)
        if self._ahead is NOWHERE:
            seconds, minutes, hours = self._seconds, self._minutes, self._hours
            deltas = MINUTE_DELTAS[seconds.first] or minute_deltas(seconds.first)
            if minutes.several or hours.several or seconds.several:
                clock = seconds.since_first(), minutes.ahead(), hours.ahead(), deltas, minutes.first
                _set_clock(self, clock)
            _set_first(self, deltas[hours.first * 60 + minutes.first])
        _set_ahead(self, rows)  # last, since other threads take it for a sign that all is there

    def _look_behind(self, carried: tzinfo | None) -> None:
        """Get ready for questions to prev_fire."""
        if self._behind is NOWHERE:
            seconds, minutes, hours = self._seconds, self._minutes, self._hours
            deltas = minute_deltas(seconds.last)
            if minutes.several or hours.several or seconds.several:
                clock = seconds.until_last(), minutes.behind(), hours.behind(), deltas, minutes.last
                put(self, "_clock_behind", clock)
            put(self, "_last", deltas[hours.last * 60 + minutes.last])
        put(self, "_behind", rows_behind(self._days, carried))

    @property
    def _key(self) -> tuple[object, ...]:
        times = (self._seconds.mask, self._minutes.mask, self._hours.mask, self._interval)
        return (*(times if self._days.firing_years else ()), *self._days.key, lookup.zone_key(self._tz), self.dst)

    def __eq__(self, other: object) -> bool:
        """Whether both fire at the same times in every year, in the same zone and under the same policy."""
        return self._key == other._key if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        *key, zone, dst = self._key
        return hash((*key, zone if isinstance(zone, str) else None, dst))

    def __repr__(self) -> str:
        zone = "" if self._tz is None else f", tz={lookup.zone_name(self._tz) or self._tz!r}"
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

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return make, (type(self), self.text, self._tz, self.dst)
