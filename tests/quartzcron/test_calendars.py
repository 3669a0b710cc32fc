"""Calendars: the days that they exclude, and that nothing else changes."""

from __future__ import annotations

import pickle
import random
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression
from quartzcron.calendars import Calendar
from quartzcron.dialects import DialectError
from quartzcron.schedules import Union
from tests.example_counts import examples
from tests.strategies import expressions, sparse_expressions

NEW_YEAR = datetime(2026, 1, 1)
WEEKENDS = Calendar.weekly("SAT", "SUN", name="weekends")
HOLIDAYS = Calendar([date(2026, 1, 1), date(2026, 2, 17), date(2027, 1, 1)], name="public holidays")
DATES = st.dates(date(2025, 12, 20), date(2027, 1, 10))


# -- calendars as values --


def test_a_calendar_is_a_set_of_dates() -> None:
    """In order, united, tested, counted; dates outside 1970-2099 are left out."""
    assert list(HOLIDAYS) == [date(2026, 1, 1), date(2026, 2, 17), date(2027, 1, 1)]
    assert len(HOLIDAYS | HOLIDAYS) == 3
    assert date(2026, 2, 17) in HOLIDAYS
    assert date(2026, 2, 18) not in HOLIDAYS
    assert "2026-02-17" not in HOLIDAYS
    assert date(2150, 1, 1) not in Calendar([date(2150, 1, 1)])
    assert datetime(2026, 1, 3, 12) in WEEKENDS
    assert (HOLIDAYS | WEEKENDS).name == "public holidays and weekends"


@pytest.mark.parametrize("days", [(), ("MON 2026",), ("MON * ?", "TUE"), ("MONDAYS",), ("",)])
def test_a_weekly_calendar_takes_days_of_the_week_and_nothing_else(days: tuple[str, ...]) -> None:
    """Texts with other fields, or without a day, are refused."""
    with pytest.raises(CronError):
        Calendar.weekly(*days)


def test_taking_out_what_leaves_too_much_is_refused() -> None:
    """Each of these splits nearly every part that is left."""
    some = random.Random(3)
    taken = [
        CronExpression(
            " ".join(",".join(map(str, some.sample(range(high), high // 2))) for high in (60, 60, 24)) + " * * ?"
        )
        for _ in range(20)
    ]
    with pytest.raises(CronError, match="more than 1,000 expressions"):
        CronExpression("* * * * * ?").excluding(*taken)


def test_calendars_are_values() -> None:
    """Equal by their days, hashable, immutable, picklable."""
    assert Calendar([date(2026, 1, 1)]) == Calendar({date(2026, 1, 1): "New Year"})
    assert len({HOLIDAYS, HOLIDAYS | Calendar()}) == 1
    assert pickle.loads(pickle.dumps(HOLIDAYS)) == HOLIDAYS
    assert repr(HOLIDAYS) == "<Calendar public holidays: 3 days>"
    with pytest.raises(AttributeError, match="immutable"):
        HOLIDAYS.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError, match="each day of a calendar"):
        Calendar(["2026-01-01"])  # type: ignore[list-item]
    assert Calendar.of(CronExpression("0 0 0 1 1 ?")).inverted().inverted() == Calendar.of(
        CronExpression("9 9 9 1 1 ?")
    )


# -- expressions without the days of a calendar --


@given(text=expressions(with_years=False), dates=st.lists(DATES, max_size=40), back=st.booleans())
@settings(max_examples=examples(40), deadline=None)
def test_excluded_days_and_no_others_are_gone(text: str, dates: list[date], back: bool) -> None:
    """Both ways, every day of the year 2026."""
    whole, rest = CronExpression(text), CronExpression(text).excluding(dates)
    assert isinstance(rest, CronExpression)
    time = datetime(2027, 1, 1) if back else NEW_YEAR
    for _ in range(20):
        fire, expected = (rest.prev_fire(time), time) if back else (rest.next_fire(time), time)
        step = whole.prev_fire if back else whole.next_fire
        found = step(expected)
        while found is not None and found.date() in dates:
            midnight = datetime.combine(found.date(), datetime.min.time())
            edge = midnight if back else midnight + timedelta(days=1, seconds=-1)
            found = step(edge)
        assert fire == found
        if fire is None:
            break
        assert rest.matches(fire)
        time = fire


def test_all_methods_respect_the_calendar() -> None:
    """count, nth, fires, between, matches, gaps, in a zone as well."""
    daily = CronExpression("0 30 1,2 * * ?", tz="America/New_York").excluding(WEEKENDS | HOLIDAYS)
    assert isinstance(daily, CronExpression)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    fires = daily.between(start, end)
    assert daily.count(start, end) == len(fires)
    assert daily.nth(100, start) == fires[99]
    assert list(daily.fires(start, end)) == fires
    assert all(daily.matches(fire) for fire in fires)
    assert not daily.matches(datetime(2026, 1, 3, 6, 30, tzinfo=UTC))
    assert daily.max_gap == timedelta(days=4, hours=-1)
    assert daily.never_fires is False


def test_a_calendar_of_every_day_leaves_nothing() -> None:
    """Which is known without a search."""
    never = CronExpression("0 0 8 ? * SAT").excluding(WEEKENDS)
    assert isinstance(never, CronExpression)
    assert never.never_fires
    assert never.next_fire(NEW_YEAR) is None
    assert never.describe() == "Never"


def test_what_an_expression_can_express_is_equal_to_it() -> None:
    """Equality, normal form, description and dialects depend on the days alone."""
    weekdays = CronExpression("0 0 8 * * ?").excluding(WEEKENDS)
    assert weekdays == CronExpression("0 0 8 ? * MON-FRI")
    assert isinstance(weekdays, CronExpression)
    assert hash(weekdays) == hash(CronExpression("0 0 8 ? * MON-FRI"))
    assert weekdays.canonical == "0 0 8 ? * MON-FRI"
    assert weekdays.describe() == "At 08:00, Monday to Friday"
    assert weekdays.to_crontab() == "0 8 * * 1-5"


def test_days_that_no_expression_has_are_not_written_as_one() -> None:
    """Its text alone would be wrong."""
    rest = CronExpression("0 0 8 * * ?").excluding(HOLIDAYS)
    assert isinstance(rest, CronExpression)
    assert rest != CronExpression("0 0 8 * * ?")
    assert rest.describe() == "At 08:00 every day, except on public holidays"
    assert rest.describe("zh") == "每天 08:00（public holidays 除外）"
    with pytest.raises(CronError, match="without those of the calendar"):
        _ = rest.canonical
    for convert in (rest.to_crontab, rest.to_spring, rest.to_eventbridge, rest.to_oncalendar, rest.to_rrule):
        with pytest.raises(DialectError, match="leaves out the days of a calendar"):
            convert()


def test_they_pickle_and_name_their_calendar() -> None:
    """With their calendar; one after another adds up."""
    rest = CronExpression("0 0 8 * * ?", tz="Asia/Shanghai").excluding(HOLIDAYS)
    assert isinstance(rest, CronExpression)
    again = pickle.loads(pickle.dumps(rest))
    assert again == rest
    assert again.next_fire(NEW_YEAR) == rest.next_fire(NEW_YEAR)
    assert repr(rest).endswith("tz='Asia/Shanghai').excluding(<Calendar public holidays: 3 days>)")
    assert rest.excluding(WEEKENDS) == CronExpression("0 0 8 ? * MON-FRI", tz="Asia/Shanghai").excluding(HOLIDAYS)


# -- expressions without the fires of another one --


@given(text=sparse_expressions(), other=sparse_expressions())
@settings(max_examples=examples(40), deadline=None)
def test_the_fires_of_another_expression_are_taken_out(text: str, other: str) -> None:
    """Exactly these, second by second."""
    whole, taken = CronExpression(text), CronExpression(other)
    rest = whole.excluding(taken)
    expected = [fire for fire in islice(whole.fires(NEW_YEAR), 200) if not taken.matches(fire)]
    assert list(islice(rest.fires(NEW_YEAR), len(expected))) == expected


def test_a_lunch_break_on_fridays_leaves_a_union() -> None:
    """A break on every day leaves an expression; so does one that excludes every time of a day, or none."""
    working = CronExpression("0 0/30 9-17 ? * MON-FRI")
    rest = working.excluding(CronExpression("* * 12 * * ?"))
    assert rest == CronExpression("0 0/30 9-11,13-17 ? * MON-FRI")
    assert {fire.hour for fire in rest.between(datetime(2026, 1, 5, 11), datetime(2026, 1, 5, 13))} == {11, 13}
    assert isinstance(working.excluding(CronExpression("* * 12 ? * FRI")), Union)
    assert isinstance(working.excluding(CronExpression("* * * 25 12 ?")), CronExpression)
    assert working.excluding(CronExpression("* * 20 * * ?")) == working


def test_an_expression_that_excludes_has_no_other_zone() -> None:
    """Its wall times are those of the other one."""
    shanghai = CronExpression("0 0 8 * * ?", tz="Asia/Shanghai")
    assert shanghai.excluding(CronExpression("0 0 8 ? * SUN", tz="Asia/Shanghai")) is not None
    with pytest.raises(CronError, match="zone of the other one, or none"):
        shanghai.excluding(CronExpression("0 0 8 ? * SUN", tz="UTC"))
