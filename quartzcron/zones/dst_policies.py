"""Which instants fire in a zone whose clocks change: the two policies for gaps and overlaps.

    case                                vixie                                   quartz (as Java does)
    gap, fixed time                     once, at the end of the gap             no fire
    gap, interval expression            no fire                                 no fire
    overlap, fixed time                 once, first pass                        once, second pass
    overlap, interval expression        both passes                             second pass only

Between two transitions the offset is constant, so the fires there are the wall times of a window, less the offset;
the window's ends say which passes of an overlap count. Instants and wall times are ints, as in zones.py and search.py.
"""

from __future__ import annotations

from datetime import date

from ..wall.pattern import FIRST_WALL, WallPattern
from ..wall.times import DAY
from .zone import NEAR, Transition, Zone

VIXIE = "vixie"
QUARTZ = "quartz"


class Policy:
    """Which passes of an overlap fire, and whether what a gap swallows fires at the gap's end."""

    __slots__ = ("carries", "first_pass", "second_pass")

    def __init__(self, *, first_pass: bool, second_pass: bool, carries: bool) -> None:
        self.first_pass, self.second_pass, self.carries = first_pass, second_pass, carries


_ONCE = Policy(first_pass=True, second_pass=False, carries=True)
_BOTH = Policy(first_pass=True, second_pass=True, carries=False)
_SECOND = Policy(first_pass=False, second_pass=True, carries=False)

# (policy name, interval expression?)
POLICIES = {(VIXIE, False): _ONCE, (VIXIE, True): _BOTH, (QUARTZ, False): _SECOND, (QUARTZ, True): _SECOND}


class _Stretch:
    """A stretch of constant offset: the wall times in it that count, and the gap before it if its end may fire.

    `start` and `end` are instants, or None where no transition is near.
    """

    __slots__ = ("end", "gap", "high", "low", "offset", "start")

    def __init__(self, zone: Zone, instant: int, policy: Policy) -> None:
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
            if policy.carries and before < self.offset:
                self.gap = (self.start + before, self.start + self.offset)
        if later:
            self.end, _, after = later
            self.high = self.end + (self.offset if policy.first_pass else min(self.offset, after))


def at_or_after(pattern: WallPattern, zone: Zone, policy: Policy, instant: int) -> int | None:
    """The first instant that fires and is not before this one.

    Where the first pass of an overlap does not fire, a start within it is taken for its wall time, as Quartz does: what
    the second pass repeats of the time before is over.
    """
    stretch = _Stretch(zone, instant, policy)
    started = FIRST_WALL if policy.first_pass else instant + stretch.offset
    while True:
        if instant == stretch.start and stretch.gap and _any_within(pattern, *stretch.gap):
            return instant
        wall = max(instant + stretch.offset, started)
        found = pattern.at_or_after(wall if stretch.low is None else max(wall, stretch.low))
        if stretch.end is not None and stretch.high is not None:
            if found is not None and found < stretch.high:
                return found - stretch.offset
            instant = stretch.end
            stretch = _Stretch(zone, instant, policy)
        elif found is None or found - stretch.offset <= instant + NEAR:
            return None if found is None else found - stretch.offset
        else:
            instant = found - stretch.offset - 2 * DAY
            stretch = _Stretch(zone, instant, policy)


def at_or_before(pattern: WallPattern, zone: Zone, policy: Policy, instant: int) -> int | None:
    """The last instant that fires and is not after this one."""
    while True:
        stretch = _Stretch(zone, instant, policy)
        wall = instant + stretch.offset
        found = pattern.at_or_before(wall if stretch.high is None else min(wall, stretch.high - 1))
        if stretch.start is not None and stretch.low is not None:
            if found is not None and found >= stretch.low:
                return found - stretch.offset
            if stretch.gap and _any_within(pattern, *stretch.gap):
                return stretch.start
            instant = stretch.start - 1
        elif found is None or found - stretch.offset > instant - NEAR:
            return None if found is None else found - stretch.offset
        else:
            instant = found - stretch.offset + 2 * DAY


def fires_at(pattern: WallPattern, zone: Zone, policy: Policy, instant: int) -> bool:
    """Whether this instant fires."""
    stretch = _Stretch(zone, instant, policy)
    if instant == stretch.start and stretch.gap and _any_within(pattern, *stretch.gap):
        return True
    wall = instant + stretch.offset
    passes = (stretch.low is None or wall >= stretch.low) and (stretch.high is None or wall < stretch.high)
    return passes and pattern.fires(wall)


def _any_within(pattern: WallPattern, start: int, end: int) -> bool:
    found = pattern.at_or_after(start)
    return found is not None and found < end


def _around(zone: Zone, instant: int) -> tuple[Transition | None, Transition | None]:
    """The last transition up to an instant and the first one after it, as far as they are near."""
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
