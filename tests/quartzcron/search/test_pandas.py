"""Timestamps of pandas, which have nanoseconds, with pandas itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from quartzcron import CronExpression
from quartzcron.schedules import overlap, union

pandas = pytest.importorskip("pandas")

QUARTERS = CronExpression("0 0/15 * * * ?")


@pytest.mark.parametrize("zone", [None, "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("day", ["2026-01-01", "2026-03-29", "2026-10-25"])
@pytest.mark.parametrize("own_zone", [None, "Asia/Shanghai"])
def test_nanoseconds_after_a_fire_it_is_the_last_one(zone: str | None, day: str, own_zone: str | None) -> None:
    """With one or many fires a day, where clocks change, in another zone, and in schedules."""
    fire = pandas.Timestamp(f"{day} 04:15", tz=zone)
    if zone is None and own_zone is not None:
        return
    for text in ("0 0/15 * * * ?", "0 15 * * * ?", "15/15 15 * * * ?"):
        expression = CronExpression(text, tz=own_zone)
        for schedule in (expression, overlap(expression), union(expression)):
            past = schedule.prev_fire(fire + pandas.Timedelta(500, "ns"))
            expected = schedule.prev_fire(fire + pandas.Timedelta(500, "us"))
            assert past == expected
            assert schedule.prev_fire(fire) < fire
    assert QUARTERS.prev_fire(fire + pandas.Timedelta(1, "ns")) == fire
    assert QUARTERS.next_fire(fire + pandas.Timedelta(1, "ns")) == fire + timedelta(minutes=15)


def calls(schedule: Any) -> list[Any]:
    """The methods that take a time, called with none."""
    nat, time = pandas.NaT, datetime(2026, 1, 1)
    return [
        lambda: schedule.next_fire(nat),
        lambda: schedule.prev_fire(nat),
        lambda: schedule.matches(nat),
        lambda: schedule.count(nat, time),
        lambda: schedule.count(time, nat),
        lambda: schedule.between(nat, time),
        lambda: schedule.between(time, nat),
        lambda: schedule.nth(3, nat),
    ]


@pytest.mark.parametrize("zone", [None, "Asia/Shanghai"])
def test_no_time_is_not_a_time(zone: str | None) -> None:
    """pandas.NaT, which is an instance of datetime."""
    expression = CronExpression("0 0 8 * * ?", tz=zone)
    for schedule in (expression, overlap(expression), union(expression, CronExpression("0 0 9 * * ?", tz=zone))):
        for call in calls(schedule):
            with pytest.raises(TypeError, match="a time must be a datetime"):
                call()
