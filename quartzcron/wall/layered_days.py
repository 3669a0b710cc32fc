"""The days of an expression after calendars have changed them, layer by layer: a layer removes the days of a Calendar,
or moves the fires on days off by a Roll.

The masks are computed here; next_fire, count and the others read the resulting tables as fast as others.
"""

from __future__ import annotations

from ..errors import CronError
from ..fields import FIRST_YEAR, LAST_YEAR
from .days import SHAPES, YEARS_OF_SHAPE, DayRule, day_rule
from .rolls import Roll, line_of, mask_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from .days import Layer

    class ExcludedDays(Layer, Protocol):
        """Days that do not fire; a Calendar is one."""

        def mask(self, year: int) -> int:
            """The days of a year as a mask."""


_YEARS = range(FIRST_YEAR, LAST_YEAR + 1)
_RULES = 1024
MOST = 10


class LayeredRule(DayRule):
    """A DayRule with one more layer; its tables are stored by year, since holidays differ from year to year."""

    __slots__ = ("_before", "is_rolled", "layers")

    def __init__(self, before: DayRule, layer: Layer) -> None:
        super().__init__(before.fields, before.given_years)
        self._before = before
        self.layers: tuple[Layer, ...] = (*before.layers, layer)
        self.is_rolled = before.is_rolled or isinstance(layer, Roll)

    def _table_key(self, year: int) -> int:
        return year

    @property
    def firing_years(self) -> int:
        """The years in which some day fires, as a set."""
        if self._firing is None:
            self._firing = sum(1 << year - FIRST_YEAR for year in _YEARS if self.mask(year))
        return self._firing

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """The key of the plain DayRule of the same days if there can be one, else with the masks of all 130 years."""
        masks = [self.mask(year) for year in _YEARS]
        by_shape = [0] * len(YEARS_OF_SHAPE)
        for year, mask in zip(_YEARS, masks, strict=True):
            if mask and by_shape[SHAPES[year]] not in (0, mask):
                return self.firing_years, tuple(masks)
            by_shape[SHAPES[year]] |= mask
        return self.firing_years, tuple(by_shape)


class ExcludingRule(LayeredRule):
    """A DayRule without the days of a Calendar."""

    __slots__ = ("_excluded",)

    def __init__(self, before: DayRule, excluded: ExcludedDays) -> None:
        super().__init__(before, excluded)
        self._excluded = excluded

    def mask(self, year: int) -> int:
        """The days of a year that fire and are not excluded."""
        return self._before.mask(year) & ~self._excluded.mask(year)


class RolledRule(LayeredRule):
    """A DayRule whose fires on days off are moved, or left out."""

    __slots__ = ("_line", "_roll")

    def __init__(self, before: DayRule, roll: Roll) -> None:
        super().__init__(before, roll)
        self._roll, self._line = roll, -1

    def mask(self, year: int) -> int:
        """The days of a year that fire once those off have been moved."""
        mask = self._masks.get(year)
        if mask is None:
            if self._line < 0:
                self._line = self._roll.rolled(line_of(map(self._before.mask, _YEARS)))
            mask = self.keep("_masks", year, mask_of(self._line, year))
        return mask


def method_of(layer: Layer) -> str:
    """The method of an expression that adds such a layer."""
    return "on" if isinstance(layer, Roll) else "excluding"


_Key = tuple[object, int, tuple[object, ...], tuple[str | None, ...]]
_rules: dict[_Key, DayRule] = {}


def rule_with(rule: DayRule, layers: tuple[Layer, ...]) -> DayRule:
    """A rule's plain days with these layers in place of its own, shared by the expressions for which all are equal.

    Raises CronError if there are too many layers.
    """
    if not layers:
        return day_rule(rule.fields, rule.given_years)
    if len(layers) > MOST:
        raise CronError(f"an expression takes up to {MOST} calendars, one after the other")
    # Calendars with the same days are equal, but a description names its own.
    key: _Key = rule.fields, rule.given_years, layers, tuple([layer.name for layer in layers])
    layered = _rules.get(key)
    if layered is None:
        *earlier, last = layers
        layer: Any = last
        before = rule_with(rule, tuple(earlier))
        if len(_rules) >= _RULES:
            _rules.clear()
        layered = _rules[key] = (RolledRule if isinstance(layer, Roll) else ExcludingRule)(before, layer)
    return layered
