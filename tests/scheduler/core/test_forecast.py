"""A forecast has the fire times of the triggers in a span of time, in order, no more and no fewer."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.forecast import forecast
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every
from tests.scheduler.scripted_service import START
from tests.strategies import timers


def brute_force(timer: Timer, seconds: int, start_s: int) -> list[int]:
    """The seconds of a span at which a timer's trigger fires, each computed on its own."""
    fires = []
    for second in range(start_s, start_s + seconds):
        at = START + timedelta(seconds=second)
        if timer.schedule.next_fire(at - timedelta(microseconds=1)) == at:
            fires.append(second)
    return fires


@given(st.lists(timers(), max_size=4), st.integers(-100, 100), st.integers(1, 300))
def test_a_forecast_has_the_fire_times_of_each_second(kept: list[Timer], start_s: int, seconds: int) -> None:
    """In the order of time, those of one instant in the order of the timers; and as many as the triggers count."""
    start = START + timedelta(seconds=start_s)
    end = start + timedelta(seconds=seconds)
    expected = sorted(
        (second, rank) for rank, timer in enumerate(kept) for second in brute_force(timer, seconds, start_s)
    )
    ranks = {id(timer): rank for rank, timer in enumerate(kept)}
    fires = [((fire_time - START).total_seconds(), ranks[id(timer)]) for fire_time, timer in forecast(kept, start, end)]
    assert fires == expected
    assert len(fires) == sum(timer.schedule.count(start, end) for timer in kept)


def test_a_forecast_of_a_very_long_span_is_computed_only_as_far_as_it_is_read() -> None:
    """The first fires of 130 years of seconds cost no more than those of a minute."""
    every_second = Timer(name="t", function="f", trigger=Cron("* * * * * ?"))
    fires = forecast([every_second] * 3, START, START + timedelta(days=25_000))
    assert [next(fires).fire_time for _ in range(4)] == [START, START, START, START + timedelta(seconds=1)]


def test_an_interval_has_no_fires_before_it_is_counted() -> None:
    """Nor at the instant from which it is counted."""
    timer = Timer(name="t", function="f", trigger=Every(60, anchor=START))
    fires = list(forecast([timer], START - timedelta(days=1), START + timedelta(seconds=61)))
    assert [fire.fire_time for fire in fires] == [START + timedelta(seconds=60)]
