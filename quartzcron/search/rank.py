"""The number of fires up to an instant, and the n-th fire, without iterating: the ranks of one expression in one zone.

Between two transitions the fires are the wall times of a window (see dst_policies.py), so their number is a difference
of two ranks of the pattern. The numbers of whole windows are added up once; after that a rank is computed from one
window, or, on a plain day, from one row of its year.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime

from ..errors import CronError, check_type, echoed
from ..fields import FIRST_YEAR, LAST_YEAR
from ..wall.days import FIRST_DAYS
from ..wall.pattern import END_WALL, FIRST_WALL, WallPattern
from ..wall.times import DAY, SECONDS, minute_deltas, ranks
from ..zones.dst_policies import DstPolicy, any_within
from ..zones.lookup import zone_of
from ..zones.zone import PytzZone, Transition, Zone
from .compiled import CompiledExpression
from .expression_value import put
from .localize import in_zone, localized, localized_instant, mixed_times, not_a_datetime, now_in
from .transition_days import bounded_instant

_START = FIRST_WALL - 8 * DAY
_END = END_WALL + 8 * DAY
_MINUTES = minute_deltas(0)
_NOTHING = object()

# The ranks of a year: the ordinal of 1 January · for each day, the number of earlier days that fire · the indices at
# which plain days or transition days begin · for each of these indices, the number of fires before the year, counted as
# if the window of these days extended to 1 January; None for transition days.
RankRow = tuple[int, tuple[int, ...], list[int], list[int | None]]


class Tally:
    """The number of fires of a pattern in a zone, counted from 1970 on.

    Window `i` begins at the instant `_starts[i]`, with the offset `_offset[i]`. Its fires are the wall times from
    `_low[i]` up to `_high[i]`, and, if `_gap_fires[i]`, one at its beginning, which is the end of a gap. `_total[i]`
    fires are before it. `_base[i]` plus the rank of a wall time in the pattern is the number of fires before that time.
    """

    __slots__ = (
        "_base",
        "_gap_fires",
        "_high",
        "_low",
        "_offset",
        "_pattern",
        "_per_day",
        "_per_hour",
        "_per_minute",
        "_ranks",
        "_rows",
        "_starts",
        "_total",
        "_tzinfo",
        "zone",
    )

    def __init__(self, pattern: WallPattern, zone: Zone, policy: DstPolicy) -> None:
        self._pattern = pattern
        self.zone = zone
        # The tzinfo of all times of the zone; a pytz zone has several.
        self._tzinfo: object = _NOTHING if isinstance(zone, PytzZone) else zone.tzinfo
        self._rows: dict[int, RankRow] = {}
        times = pattern.times
        self._per_minute = times.seconds.bit_count()
        self._per_hour = self._per_minute * times.minutes.bit_count()
        self._per_day = times.count
        self._ranks = ranks(times.seconds), ranks(times.minutes), ranks(times.hours)
        transitions = [change for year in range(FIRST_YEAR - 1, LAST_YEAR + 2) for change in zone.transitions(year)]
        self._starts = [_START, *(change[0] for change in transitions)]
        self._offset = [transitions[0][1] if transitions else zone.offset(_START), *(c[2] for c in transitions)]
        self._low: list[int] = []
        self._high: list[int] = []
        self._base: list[int] = []
        self._gap_fires: list[bool] = []
        self._total = [0]
        for place in range(len(self._starts)):
            self._add_window(policy, transitions[place - 1 : place] if place else [], transitions[place : place + 1])

    def _add_window(self, policy: DstPolicy, earlier: list[Transition], later: list[Transition]) -> None:
        place = len(self._low)
        start, offset = self._starts[place], self._offset[place]
        before = earlier[0][1] if earlier else offset
        end, after = (later[0][0], later[0][2]) if later else (_END, offset)
        low = start + (offset if policy.second_pass else max(before, offset))
        high = end + (offset if policy.first_pass else min(offset, after))
        gap_fires = False
        if policy.after_gap and before < offset:
            skipped = any_within(self._pattern, start + before, start + offset)
            gap_fires = skipped and not self._pattern.fires(start + offset)
        self._low.append(low)
        self._high.append(high)
        self._gap_fires.append(gap_fires)
        self._base.append(self._total[-1] + gap_fires - self._pattern.before(low))
        self._total.append(self._base[-1] + self._pattern.before(max(low, high)))

    def up_to(self, instant: int) -> int:
        """The number of fires up to and including this instant."""
        place = bisect_right(self._starts, instant) - 1
        wall = max(self._low[place], min(self._high[place], instant + self._offset[place] + 1))
        return self._base[place] + self._pattern.before(wall)

    def up_to_plain(self, time: datetime) -> int | None:
        """The same for a time; None if it is on a transition day, outside 1970-2099, or has another tzinfo."""
        try:
            if time.tzinfo is not self._tzinfo:
                return None
            year = time.year
        except AttributeError:
            raise not_a_datetime(time) from None
        row = self._rows.get(year) or self._add_row(year)
        if row is None:
            return None
        new_year, days, changes, bases = row
        today = time.toordinal() - new_year
        base = bases[bisect_right(changes, today) - 1]
        if base is None:
            return None
        day = days[today]
        count = base + day * self._per_day
        if days[today + 1] == day:
            return count
        seconds, minutes, hours = self._ranks
        hour, minute = time.hour, time.minute
        rank = hours[hour]
        count += rank * self._per_hour
        if hours[hour + 1] != rank:
            rank = minutes[minute]
            count += rank * self._per_minute
            if minutes[minute + 1] != rank:
                count += seconds[time.second + 1]
        return count

    def _add_row(self, year: int) -> RankRow | None:
        if not FIRST_YEAR <= year <= LAST_YEAR:
            return None
        new_year = FIRST_DAYS[year]
        before = self._pattern.before(new_year * DAY)
        changes: list[int] = []
        bases: list[int | None] = []
        plain = None
        for today, midnight in enumerate(self.zone.year(year).midnights[: FIRST_DAYS[year + 1] - new_year]):
            if plain is not (midnight is not None):
                plain = midnight is not None
                changes.append(today)
                bases.append(None if midnight is None else before + self._base_at(self.zone.instant(midnight)))
        row = self._rows[year] = new_year, self._pattern.days.ranks(year), changes, bases
        return row

    def _base_at(self, instant: int) -> int:
        return self._base[bisect_right(self._starts, instant) - 1]

    def nth(self, n: int) -> datetime | None:
        """The n-th fire, n from 1, in the zone; None if there are fewer."""
        if n > self._total[-1]:
            return None
        place = bisect_left(self._total, n) - 1
        if self._gap_fires[place] and n == self._total[place] + 1:
            return self.zone.at(self._starts[place])
        year, day, hour, minute, second = self._pattern.nth(n - self._base[place] - 1)
        midnight = self.zone.year(year).midnights[day]
        if midnight is not None:
            return midnight + _MINUTES[hour * 60 + minute] + SECONDS[second]
        wall = (FIRST_DAYS[year] + day) * DAY + hour * 3600 + minute * 60 + second
        return self.zone.at(wall - self._offset[place])


def count(expression: CompiledExpression, start: datetime, end: datetime) -> int:
    """The number of fires strictly after `start` up to and including `end`."""
    tally, after = _tally_at(expression, start)
    if not expression._policy.first_pass:  # next_fire may skip some fires then, see dst_policies.at_or_after
        first = expression.next_fire(start)
        if first is None:
            return 0
        after = _tally_at(expression, first)[1] - 1
    if expression.tz is None and (start.tzinfo is None) != (end.tzinfo is None):
        raise mixed_times()
    return max(0, tally.up_to(localized_instant(expression.tz, end)) - tally.up_to(after))


def nth(expression: CompiledExpression, n: int, after: datetime | None) -> datetime | None:
    """The n-th fire strictly after a time (default: now), n from 1; None if there are fewer."""
    check_type(n, int, "n must be an int")
    if n < 1:
        raise CronError(f"n must be at least 1, got {echoed(n)}")
    if after is None:
        after = now_in(expression.tz)
    tally: Tally | None = expression._tally
    earlier = None if tally is None else tally.up_to_plain(after)
    if tally is not None and earlier is not None:
        return tally.nth(earlier + n)
    first = expression.next_fire(after)
    if first is None or n == 1:
        return first
    tally, instant = _tally_at(expression, first)
    fire = tally.nth(tally.up_to(instant) + n - 1)
    return fire if fire is None or zone_of(first.tzinfo) is tally.zone else in_zone(fire, zone_of(first.tzinfo))


def _tally_at(expression: CompiledExpression, time: datetime) -> tuple[Tally, int]:
    """The tally in the zone in which the expression is read, and the instant of a time."""
    local = localized(expression.tz, time)[0]
    zone = zone_of(local.tzinfo)
    tally: Tally | None = expression._tally
    if tally is None or tally.zone is not zone:
        tally = Tally(expression._pattern, zone, expression._policy)
        put(expression, "_tally", tally)
    return tally, bounded_instant(zone, local)
