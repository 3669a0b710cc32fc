"""The slots of an expression, and its methods as a value: comparing, hashing, showing and copying.

The slots contain the compiled text. compiled.py fills them, and reads them for fire times.
"""

from __future__ import annotations

from datetime import timedelta, tzinfo

from ..lazy import Lazy
from ..wall.days import DayRule
from ..wall.times import Leaps, TimeValues, time_rule
from .year_rows import Rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from ..grammar import canonical
    from ..wall import layered_days, pattern
    from ..wall.pattern import WallPattern
    from ..zones import dst_policies, lookup
    from ..zones.dst_policies import DstPolicy
else:
    canonical, pattern = Lazy("grammar.canonical"), Lazy("wall.pattern")
    dst_policies, lookup = Lazy("zones.dst_policies"), Lazy("zones.lookup")
    layered_days = Lazy("wall.layered_days")

put = object.__setattr__  # bypasses the class's `__setattr__`

# The tables that find the next time within a day: of seconds (as timedeltas from the first second of a minute that
# fires), of minutes and of hours · for each minute of the day the timedelta from midnight to that first second · the
# first minute of an hour that fires. For prev_fire, read "last" for "first".
TimeTables = tuple[Leaps, tuple[int, ...], tuple[int, ...], tuple[timedelta, ...], int]

VIXIE = "vixie"  # as in dst_policies.py, which is imported when it is first needed


class ExpressionSlots:
    """The attributes of an expression. `make` sets them; after that CompiledExpression refuses every assignment."""

    __slots__ = (
        "_ahead",
        "_astimezone_tz",
        "_behind",
        "_days",
        "_first",
        "_hours",
        "_last",
        "_minutes",
        "_seconds",
        "_tally",
        "_times",
        "_times_behind",
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
    # The timedeltas from midnight to the first and the last fire of a day; None until `_ahead` or `_behind` is set.
    _first: timedelta
    _last: timedelta
    _times: TimeTables | None  # None as well if there is only one fire a day
    _times_behind: TimeTables | None
    _astimezone_tz: tzinfo | None  # the last foreign tzinfo with which astimezone is exact
    _tally: Any  # the Tally of rank.py, once it was needed


class ExpressionValue(ExpressionSlots):
    """An immutable value: equal to any expression with the same fire times, zone and policy."""

    __slots__ = ()

    # -- for other modules --

    @property
    def _interval(self) -> bool:
        """Whether seconds, minutes or hours were written with `*`, `-` or `/`; see dst_policies.py."""
        return self._seconds.interval or self._minutes.interval or self._hours.interval

    @property
    def _pattern(self) -> WallPattern:
        walls = self._walls
        if walls is None:
            walls = pattern.WallPattern(self._days, time_rule(self._seconds.mask, self._minutes.mask, self._hours.mask))
            put(self, "_walls", walls)
        return walls

    @property
    def _policy(self) -> DstPolicy:
        return dst_policies.POLICIES[self.dst, self._interval]

    # -- a value among values --

    @property
    def canonical(self) -> str:
        """The same expression in normal form: upper case, values sorted, weekdays by name, no year unless one is given.

        Raises CronError if calendars change the days and no expression without a calendar fires at the same times.

        >>> from quartzcron import CronExpression
        >>> CronExpression("0 */15 8-8,9,10 ? jan,2,3 6,2-4").canonical
        '0 0/15 8-10 ? 1-3 MON-WED,FRI'
        """
        return canonical.canonical_text(self._pattern, interval=self._interval)

    @property
    def _key(self) -> tuple[object, ...]:
        times = (self._seconds.mask, self._minutes.mask, self._hours.mask, self._interval)
        return (*(times if self._days.firing_years else ()), *self._days.key, self.dst)

    def __eq__(self, other: object) -> bool:
        """Whether both fire at the same times in every year, in the same zone and under the same policy."""
        if not isinstance(other, ExpressionValue):
            return NotImplemented
        return self._key == other._key and (self._tz is other._tz or lookup.same_zone(self._tz, other._tz))

    def __hash__(self) -> int:
        return hash((*self._key, None if self._tz is None else lookup.zone_hash(self._tz)))

    def __repr__(self) -> str:
        zone = "" if self._tz is None else f", tz={lookup.zone_name(self._tz) or self._tz!r}"
        dst = "" if self.dst == VIXIE else f", dst={self.dst!r}"
        layers = "".join([f".{layered_days.method_of(layer)}({layer!r})" for layer in self._days.layers])
        return f"CronExpression({self.text!r}{zone}{dst}){layers}"

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
