"""How many fires lie up to an instant, and which is the n-th, without walking: the ranks of one expression in one zone.

Between two transitions the fires are the wall times of a window (see policies.py), so their number is a difference of
two ranks of the pattern. Those of the whole windows are added up once; a question looks at one window only.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from .fields import FIRST_YEAR, LAST_YEAR
from .policies import Policy
from .search import END_WALL, FIRST_WALL, WallPattern
from .times import DAY
from .zones import Transition, Zone

_START = FIRST_WALL - 8 * DAY
_END = END_WALL + 8 * DAY


class Tally:
    """The fires of a pattern in a zone, counted from 1970 on."""

    __slots__ = ("_base", "_carried", "_high", "_low", "_offset", "_pattern", "_starts", "_total", "zone")

    def __init__(self, pattern: WallPattern, zone: Zone, policy: Policy) -> None:
        self._pattern = pattern
        self.zone = zone
        transitions = [change for year in range(FIRST_YEAR - 1, LAST_YEAR + 2) for change in zone.transitions(year)]
        self._starts = [_START, *(change[0] for change in transitions)]
        self._offset = [transitions[0][1] if transitions else zone.offset(_START), *(c[2] for c in transitions)]
        self._low: list[int] = []
        self._high: list[int] = []
        self._base: list[int] = []
        self._carried: list[bool] = []
        self._total = [0]
        for place in range(len(self._starts)):
            self._add_window(policy, transitions[place - 1 : place] if place else [], transitions[place : place + 1])

    def _add_window(self, policy: Policy, earlier: list[Transition], later: list[Transition]) -> None:
        place = len(self._low)
        start, offset = self._starts[place], self._offset[place]
        before = earlier[0][1] if earlier else offset
        end, after = (later[0][0], later[0][2]) if later else (_END, offset)
        low = start + (offset if policy.second_pass else max(before, offset))
        high = end + (offset if policy.first_pass else min(offset, after))
        carried = False
        if policy.carries and before < offset:
            found = self._pattern.at_or_after(start + before)
            carried = found is not None and found < start + offset and not self._pattern.fires(start + offset)
        self._low.append(low)
        self._high.append(high)
        self._carried.append(carried)
        self._base.append(self._total[-1] + carried - self._pattern.before(low))
        self._total.append(self._base[-1] + self._pattern.before(max(low, high)))

    def up_to(self, instant: int) -> int:
        """How many fires are not after this instant."""
        place = bisect_right(self._starts, instant) - 1
        wall = max(self._low[place], min(self._high[place], instant + self._offset[place] + 1))
        return self._base[place] + self._pattern.before(wall)

    def nth(self, n: int) -> int | None:
        """The instant of the n-th fire, n from 1; None if there are not so many."""
        if n > self._total[-1]:
            return None
        place = bisect_left(self._total, n) - 1
        if self._carried[place] and n == self._total[place] + 1:
            return self._starts[place]
        wall = self._pattern.nth(n - self._base[place] - 1)
        return None if wall is None else wall - self._offset[place]
