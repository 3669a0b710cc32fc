"""The days of an expression less those of a calendar.

The masks of both are combined here; next_fire, count and the others read the resulting tables as fast as any.
"""

from __future__ import annotations

from ..fields import FIRST_YEAR, LAST_YEAR, DayFields
from .days import SHAPES, YEARS_OF_SHAPE, DayRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .days import ExcludedDays

_YEARS = range(FIRST_YEAR, LAST_YEAR + 1)
_RULES = 1024


class ExcludingRule(DayRule):
    """A DayRule without some days; its tables are stored by year, since holidays differ from year to year."""

    __slots__ = ("excluded",)

    def __init__(self, fields: DayFields, years: int, excluded: ExcludedDays) -> None:
        super().__init__(fields, years)
        self.excluded: ExcludedDays = excluded

    def mask(self, year: int) -> int:
        """The days of a year that fire and are not excluded."""
        return super().mask(year) & ~self.excluded.mask(year)

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


_rules: dict[tuple[DayFields, int, ExcludedDays], ExcludingRule] = {}


def rule_without(rule: DayRule, excluded: ExcludedDays) -> ExcludingRule:
    """A plain rule less the excluded days, shared by the expressions for which both are equal."""
    key = rule.fields, rule.given_years, excluded
    excluding = _rules.get(key)
    if excluding is None:
        if len(_rules) >= _RULES:
            _rules.clear()
        excluding = _rules[key] = ExcludingRule(*key)
    return excluding
