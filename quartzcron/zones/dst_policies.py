"""The two policies for gaps and overlaps: which instants fire in a zone whose clocks change.

    case                                vixie                                   quartz (as Java does)
    gap, fixed time                     once, at the end of the gap             no fire
    gap, interval expression            no fire                                 no fire
    overlap, fixed time                 once, first pass                        once, second pass
    overlap, interval expression        both passes                             second pass only

Between two transitions the offset is constant, so the fires there are the wall times of a window, less the offset; the
bounds of the window exclude the passes of an overlap that do not count. Instants and wall times are ints, see zone.py.
"""

from __future__ import annotations

from datetime import date

from ..wall.pattern import FIRST_WALL, WallPattern
from ..wall.times import DAY
from .zone import NEAR, Transition, Zone

VIXIE = "vixie"
QUARTZ = "quartz"


class DstPolicy:
    """Which passes of an overlap fire, and whether wall times that a gap skips fire at its end."""

    __slots__ = ("after_gap", "first_pass", "second_pass")

    def __init__(self, *, first_pass: bool, second_pass: bool, after_gap: bool) -> None:
        self.first_pass, self.second_pass, self.after_gap = first_pass, second_pass, after_gap


_ONCE = DstPolicy(first_pass=True, second_pass=False, after_gap=True)
_BOTH = DstPolicy(first_pass=True, second_pass=True, after_gap=False)
_SECOND = DstPolicy(first_pass=False, second_pass=True, after_gap=False)

# (policy name, interval expression?)
POLICIES = {(VIXIE, False): _ONCE, (VIXIE, True): _BOTH, (QUARTZ, False): _SECOND, (QUARTZ, True): _SECOND}


class OffsetPeriod:
    """A period of constant offset: the wall times in it that count, and the gap before it if the gap's end may fire.

    `start` and `end` are instants, or None where no transition is near; `low` and `high` bound the wall times, None if
    they are unbounded.
    """

    __slots__ = ("end", "gap", "high", "low", "offset", "start")

    def __init__(self, zone: Zone, instant: int, policy: DstPolicy) -> None:
        earlier, later = _around(zone, instant)
        self.start: int | None = None
        self.end: int | None = None
        self.low: int | None = None
        self.high: int | None = None
        self.gap: tuple[int, int] | None = None
        self.offset = earlier[2] if earlier else later[1] if later else zone.offset(instant)
        if earlier:
            self.start, before, _ = earlier
            self.low = self.start + (self.offset if policy.second_pass else max(before, self.offset))
            if policy.after_gap and before < self.offset:
                self.gap = (self.start + before, self.start + self.offset)
        if later:
            self.end, _, after = later
            self.high = self.end + (self.offset if policy.first_pass else min(self.offset, after))


def at_or_after(pattern: WallPattern, zone: Zone, policy: DstPolicy, instant: int) -> int | None:
    """The first instant that fires and is not before this one.

    If the first pass of an overlap does not fire, a start within that pass is taken as its wall time, as Quartz does:
    earlier wall times do not fire in the second pass either.
    """
    period = OffsetPeriod(zone, instant, policy)
    started = FIRST_WALL if policy.first_pass else instant + period.offset
    while True:
        if instant == period.start and period.gap and any_within(pattern, *period.gap):
            return instant
        earliest = max(instant + period.offset, started)
        wall = pattern.at_or_after(earliest if period.low is None else max(earliest, period.low))
        if period.end is not None and period.high is not None:
            if wall is not None and wall < period.high:
                return wall - period.offset
            instant = period.end
            period = OffsetPeriod(zone, instant, policy)
        elif wall is None or wall - period.offset <= instant + NEAR:
            return None if wall is None else wall - period.offset
        else:  # far away: continue near that wall time, whose offset may be another
            instant = wall - period.offset - 2 * DAY
            period = OffsetPeriod(zone, instant, policy)


def at_or_before(pattern: WallPattern, zone: Zone, policy: DstPolicy, instant: int) -> int | None:
    """The last instant that fires and is not after this one."""
    while True:
        period = OffsetPeriod(zone, instant, policy)
        latest = instant + period.offset
        wall = pattern.at_or_before(latest if period.high is None else min(latest, period.high - 1))
        if period.start is not None and period.low is not None:
            if wall is not None and wall >= period.low:
                return wall - period.offset
            if period.gap and any_within(pattern, *period.gap):
                return period.start
            instant = period.start - 1
        elif wall is None or wall - period.offset > instant - NEAR:
            return None if wall is None else wall - period.offset
        else:
            instant = wall - period.offset + 2 * DAY


def fires_at(pattern: WallPattern, zone: Zone, policy: DstPolicy, instant: int) -> bool:
    """Whether this instant fires."""
    period = OffsetPeriod(zone, instant, policy)
    if instant == period.start and period.gap and any_within(pattern, *period.gap):
        return True
    wall = instant + period.offset
    passes = (period.low is None or wall >= period.low) and (period.high is None or wall < period.high)
    return passes and pattern.fires(wall)


def any_within(pattern: WallPattern, start: int, end: int) -> bool:
    """Whether a wall time in [start, end) fires."""
    wall = pattern.at_or_after(start)
    return wall is not None and wall < end


def _around(zone: Zone, instant: int) -> tuple[Transition | None, Transition | None]:
    """The last transition up to an instant and the first one after it; None for one that is not near."""
    earlier = later = None
    for year in {_year(instant - NEAR), _year(instant + NEAR)}:
        for transition in zone.transitions(year):
            if instant - NEAR < transition[0] <= instant and (earlier is None or transition > earlier):
                earlier = transition
            elif instant < transition[0] <= instant + NEAR and (later is None or transition < later):
                later = transition
    return earlier, later


def _year(instant: int) -> int:
    return date.fromordinal(instant // DAY).year
