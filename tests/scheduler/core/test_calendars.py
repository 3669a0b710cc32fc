"""Calendars of working days around triggers of every kind: which fires are left out, and which move where."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron.calendars import WorkingDays
from quartzcron.wall.rolls import CONVENTIONS
from scheduler.core.any_of import AnyOf
from scheduler.core.at import At
from scheduler.core.calendars import RollConvention, calendar_digest, calendar_of, calendar_text, on_working_days
from scheduler.core.calendrical import Calendrical
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every, Trigger
from scheduler.core.zone_names import zone
from scheduler.errors import TimerError
from tests.example_counts import examples

BERLIN = "Europe/Berlin"
BEGIN, END = date(2026, 1, 1), date(2026, 12, 31)
MICROSECOND = timedelta(microseconds=1)

days = st.dates(BEGIN, END)
working_days = st.builds(
    lambda off, on: WorkingDays(holidays=off - on, worked=on, known_until=END),
    st.sets(days, max_size=40),
    st.sets(days, max_size=20),
)
# At noon, which no clock change touches: the rules for those are tested with the calculator.
daily = st.one_of(
    st.builds(Cron, st.sampled_from(["0 0 12 * * ?", "0 0 12 L * ?", "0 30 12 ? * SAT"]), st.just(BERLIN)),
    st.builds(
        lambda number, start: Calendrical(days=number, at=time(12), start=start, tz=BERLIN),
        st.integers(1, 9),
        days,
    ),
    st.builds(
        lambda listed: At(*(datetime.combine(day, time(12)).isoformat() for day in listed), tz=BERLIN),
        st.sets(days, min_size=1, max_size=20),
    ),
)
triggers = daily | st.builds(lambda several: AnyOf(*several), st.lists(daily, min_size=1, max_size=3))


def test_a_timer_takes_the_roll_conventions_of_expressions() -> None:
    """All of them, by the same names."""
    assert {convention.value for convention in RollConvention} == set(CONVENTIONS)


def walls(trigger: Trigger) -> list[datetime]:
    """Its fires of the year, by wall clock."""
    found, at = [], datetime(2026, 1, 1, tzinfo=UTC) - MICROSECOND
    while (fire := trigger.next_fire(at)) is not None and fire.astimezone(zone(BERLIN)).year == 2026:
        at = fire
        found.append(fire.astimezone(zone(BERLIN)).replace(tzinfo=None))
    return found


@settings(max_examples=examples(120), deadline=None)
@given(triggers, working_days, st.sampled_from(RollConvention))
def test_every_fire_goes_where_the_convention_says(
    trigger: Trigger, calendar: WorkingDays, roll: RollConvention
) -> None:
    """Day by day, as the calendar moves a single day; fires that come together are one."""
    moved = {
        datetime.combine(day, wall.time(), tzinfo=zone(BERLIN)).astimezone(UTC)
        for wall in walls(trigger)
        if (day := calendar.rolled(wall.date(), roll)) is not None
    }
    # Fires of other years may move into this one, and out of it, so its ends are left out.
    start, end = datetime(2026, 1, 20, tzinfo=UTC), datetime(2026, 12, 10, tzinfo=UTC)
    expected = sorted(fire for fire in moved if start <= fire < end)
    schedule = on_working_days(trigger, "c", roll, calendar)
    found, at = [], start - MICROSECOND
    while (fire := schedule.next_fire(at)) is not None and fire < end:
        found.append(at := fire)
    assert found == expected
    assert schedule.count(start, end) == len(expected)
    back, at = [], end
    while (fire := schedule.prev_fire(at)) is not None and fire >= start:
        back.append(at := fire)
    assert back[::-1] == expected


def test_an_interval_of_seconds_has_no_days() -> None:
    """So it takes no calendar, alone or among other triggers."""
    for trigger in (Every(60), AnyOf(Cron("0 0 8 * * ?"), Every(60))):
        with pytest.raises(TimerError, match="a calendar goes with a trigger that fires on days") as error:
            Timer(name="t", function="f", trigger=trigger, calendar="cn")
        assert error.value.field == "calendar"


def test_a_timer_whose_calendar_is_not_known_here_does_not_fire() -> None:
    """The store alone has the calendar; an empty name is none."""
    timer = Timer(name="t", function="f", trigger=Cron("0 0 8 * * ?", "UTC"), calendar="cn", roll="preceding")
    assert timer.schedule.next_fire(datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert str(timer.schedule) == "0 0 8 * * ? (UTC), calendar cn, preceding"
    assert Timer(name="t", function="f", trigger=Every(60), calendar="").calendar is None
    for wrong in ({"roll": "nearest"}, {"calendar": "a\nb"}, {"calendar": 7}):
        with pytest.raises(TimerError):
            Timer(name="t", function="f", trigger=Cron("0 0 8 * * ?"), **wrong)  # type: ignore[arg-type]


def test_a_calendar_comes_back_from_its_text() -> None:
    """With the names of its days, by which two of the same days differ."""
    named = WorkingDays(holidays={date(2026, 5, 1): "Labour Day"}, name="firm")
    plain = WorkingDays(holidays=[date(2026, 5, 1)])
    again = calendar_of(calendar_text(named))
    assert (again, again.holidays) == (named, named.holidays)
    assert calendar_digest(again) == calendar_digest(named)
    assert named == plain
    assert calendar_digest(plain) != calendar_digest(named)
    with pytest.raises(TimerError, match="the calendar cannot be read"):
        calendar_of('{"weeks": 1}')
