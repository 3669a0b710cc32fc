"""At: fires at each of the given instants, and then no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.at import At
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.errors import TimerError
from scheduler.functions.registry import Registry
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
near = st.integers(0, 50).map(lambda seconds: NEW_YEAR + timedelta(seconds=seconds))


@given(st.lists(near, min_size=1, max_size=10), near, near)
def test_it_fires_at_its_instants_and_at_no_other(instants: list[datetime], one: datetime, other: datetime) -> None:
    """Next, previous and count agree with the list, in whatever order it was given."""
    trigger = At(*instants)
    assert trigger.next_fire(one) == min((at for at in instants if at > one), default=None)
    assert trigger.prev_fire(one) == max((at for at in instants if at < one), default=None)
    assert trigger.count(one, other) == len({at for at in instants if one <= at < other})


def test_a_text_is_an_instant_or_a_wall_time_of_the_zone() -> None:
    """It is shown in that zone."""
    trigger = At("2026-12-24 18:00", "2026-12-24T11:00:00+01:00", tz="Asia/Shanghai")
    assert trigger.instants == (datetime(2026, 12, 24, 10, tzinfo=UTC),)
    assert str(trigger) == "at 2026-12-24 18:00:00+08:00"
    assert trigger == At(datetime(2026, 12, 24, 10, tzinfo=UTC), tz="Asia/Shanghai")


@pytest.mark.parametrize(
    ("instants", "said"),
    [
        ([], "from 1 to 1,000 instants, got 0"),
        ([NEW_YEAR + timedelta(seconds=n) for n in range(1001)], "got 1,001"),
        (["soon"], "at: expected an instant as in"),
        ([5], "at: expected an instant as in"),
        ([""], "at: expected an instant as in"),
        (["1969-01-01T00:00Z"], "outside the years 1970 to 2099"),
    ],
)
def test_what_is_no_list_of_instants_is_refused(instants: list[object], said: str) -> None:
    """With what is wrong."""
    with pytest.raises(TimerError, match=said):
        At(*instants, tz="UTC")  # type: ignore[arg-type]


def test_a_timer_is_finished_after_its_last_instant() -> None:
    """Each instant has one run; another trigger has it fire again."""
    registry = Registry()
    registry.define(lambda: None, name="f")
    instants = [NEW_YEAR + timedelta(minutes=minutes) for minutes in (-5, 10, 30)]
    with ManualScheduler(registry, now=NEW_YEAR) as scheduler:
        scheduler.add(Timer(name="t", function="f", trigger=At(*instants), enabled=True))
        scheduler.advance(hours=1)
        assert [run.fire_time for run in scheduler.runs()] == instants[1:]
        timetable = TimerTable(scheduler.store)
        assert timetable.get("t").state == "finished"
        with pytest.raises(TimerError, match="never fires after"):
            timetable.add([Timer(name="u", function="f", trigger=At(NEW_YEAR))], now=scheduler.clock.now())
        timetable.edit("t", timetable.get("t").timer.environment, {"trigger": Every(60)}, now=scheduler.clock.now())
        assert timetable.get("t").state == "enabled"
