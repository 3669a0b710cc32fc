"""Days of a year: masks and tables against the oracle."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from quartzcron.fields import FIRST_YEAR, LAST_YEAR
from quartzcron.grammar.parser import parse
from quartzcron.wall.days import FIRST_DAYS, NONE_LEFT, SHAPES, YEARS_OF_SHAPE
from tests.quartzcron.oracle import Oracle
from tests.strategies import expressions

years = st.integers(FIRST_YEAR, LAST_YEAR)


def test_fourteen_shapes_make_up_all_years() -> None:
    """Each year has one shape, and years of one shape have the same weekdays and the same length."""
    assert sorted(set(SHAPES.values())) == list(range(14))
    assert sum(YEARS_OF_SHAPE) == (1 << 130) - 1
    for year, shape in SHAPES.items():
        assert shape == date(year, 1, 1).isoweekday() % 7 + 7 * (date(year, 12, 31).timetuple().tm_yday == 366)


@given(expressions(), years)
def test_a_mask_has_the_days_that_fire(text: str, year: int) -> None:
    """Bit 0 is 1 January."""
    *_, rule = parse(text)
    days = Oracle(text).days(date(year, 1, 1), date(year, 12, 31))
    assert rule.mask(year) == sum(1 << day.timetuple().tm_yday - 1 for day in days)


@given(expressions(), years)
def test_tables_lead_to_the_next_and_the_latest_day(text: str, year: int) -> None:
    """For every day of the year, and for the entries beyond its ends."""
    *_, rule = parse(text)
    mask, ahead, behind = rule.mask(year), rule.ahead(year), rule.behind(year)
    days = [index for index in range(366) if mask >> index & 1]
    assert len(ahead) == len(behind) == 368
    assert ahead[366:] == (NONE_LEFT, NONE_LEFT)
    assert behind[-1] == NONE_LEFT
    for index in range(0, 366, 7):
        assert ahead[index] == min((day for day in days if day >= index), default=NONE_LEFT)
        assert behind[index] == max((day for day in days if day <= index), default=NONE_LEFT)


@given(expressions(), years)
def test_the_search_crosses_years(text: str, year: int) -> None:
    """day_at_or_after skips the years without a fire; day_at_or_before is its mirror."""
    *_, rule = parse(text)
    found = rule.day_at_or_after(FIRST_DAYS[year])
    if found is None:
        assert rule.firing_years >> (year - FIRST_YEAR) == 0
        return
    there = date.fromordinal(found)
    assert Oracle(text).is_day(there)
    assert not any(rule.mask(between) for between in range(year, there.year))
    assert rule.day_at_or_before(found) == found
