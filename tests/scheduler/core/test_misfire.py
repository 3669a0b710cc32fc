"""Due fire times are divided by the misfire policy; none is lost or doubled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.misfire import Misfired, MisfirePolicy, due
from scheduler.core.triggers import Cron, Every
from tests.scheduler.scripted_service import START

SECOND = timedelta(seconds=1)
EVERY_SECOND = Every(1, anchor=START)


def at(seconds: float) -> object:
    return START + timedelta(seconds=seconds)


@given(
    period=st.integers(1, 30),
    late=st.integers(0, 3000),
    policy=st.sampled_from(MisfirePolicy),
    grace=st.integers(0, 60),
    cap=st.integers(1, 50),
)
def test_every_due_fire_time_runs_or_is_misfired_exactly_once(
    period: int, late: int, policy: MisfirePolicy, grace: int, cap: int
) -> None:
    """The fire times that run and those that are misfired are together all from the first due one to now."""
    trigger = Every(period, anchor=START)
    since = START + period * SECOND
    now = since + late * SECOND
    divided = due(trigger, since, now, policy, grace=grace * SECOND, cap=cap)
    every = [since + period * SECOND * rank for rank in range(late // period + 1)]
    runs = list(divided.fire_times)
    misfired = (
        [] if divided.misfired is None else [t for t in every if divided.misfired.first <= t <= divided.misfired.last]
    )
    assert sorted(runs + [t for t in misfired if t not in runs]) == every
    assert (divided.misfired.count if divided.misfired else 0) == len(every) - len(runs)
    assert divided.next_fire == every[-1] + period * SECOND


@given(period=st.integers(1, 30), late=st.integers(0, 300), policy=st.sampled_from(MisfirePolicy))
def test_what_is_on_time_always_runs(period: int, late: int, policy: MisfirePolicy) -> None:
    """No policy touches a fire time within the grace."""
    trigger = Every(period, anchor=START)
    since = START + period * SECOND
    now = since + late * SECOND
    divided = due(trigger, since, now, policy, grace=5 * SECOND)
    on_time = [since + period * SECOND * rank for rank in range(late // period + 1)]
    assert [t for t in on_time if now - t <= 5 * SECOND] == [t for t in divided.fire_times if now - t <= 5 * SECOND]


@pytest.mark.parametrize(
    ("policy", "runs", "misfired"),
    [
        (MisfirePolicy.FIRE_ONCE, [at(30)], Misfired(at(10), at(20), 2)),
        (MisfirePolicy.FIRE_ALL, [at(10), at(20), at(30)], None),
        (MisfirePolicy.SKIP, [], Misfired(at(10), at(30), 3)),
    ],
)
def test_what_was_missed_goes_by_the_policy(
    policy: MisfirePolicy, runs: list[object], misfired: Misfired | None
) -> None:
    """A timer with a period of 10 s after 39 s without a daemon."""
    divided = due(Every(10, anchor=START), at(10), at(39), policy)
    assert (list(divided.fire_times), divided.misfired, divided.next_fire) == (runs, misfired, at(40))


def test_fire_once_lets_a_fire_on_time_stand_in_for_the_missed_ones() -> None:
    """Yesterday's report is not sent a moment before today's."""
    divided = due(Every(10, anchor=START), at(10), at(31), MisfirePolicy.FIRE_ONCE)
    assert list(divided.fire_times) == [at(30)]
    assert divided.misfired == Misfired(at(10), at(20), 2)


def test_fire_all_is_capped_at_the_latest() -> None:
    """After a year without a daemon, the latest few run."""
    divided = due(EVERY_SECOND, at(1), at(86_400 * 365), MisfirePolicy.FIRE_ALL, grace=timedelta(0), cap=3)
    assert len(divided.fire_times) == 4  # three missed ones, and the one on time
    assert divided.misfired is not None
    assert divided.misfired.count == 86_400 * 365 - 4


@given(
    expression=st.sampled_from(["0/20 * * * * ?", "0 30 1-3 * * ?", "0 0/7 * * * ?", "0 30 2 * * ?"]),
    days=st.integers(60, 320),
    late=st.integers(0, 40_000),
    policy=st.sampled_from(MisfirePolicy),
)
def test_cron_fire_times_are_divided_without_loss_across_dst(
    expression: str, days: int, late: int, policy: MisfirePolicy
) -> None:
    """The same for expressions, in a zone whose clock jumps."""
    trigger = Cron(expression, "America/New_York")
    since = trigger.next_fire(START + timedelta(days=days))
    assert since is not None
    now = since + late * SECOND
    divided = due(trigger, since, now, policy)
    walked, fire = [], since
    while fire <= now:
        walked.append(fire)
        fire = trigger.next_fire(fire)  # type: ignore[assignment]
    count = divided.misfired.count if divided.misfired else 0
    assert len(divided.fire_times) + count == len(walked)
    assert set(divided.fire_times) <= set(walked)
    if divided.misfired is not None:
        assert divided.misfired.first == walked[0]
        assert divided.misfired.last in walked
    assert divided.next_fire == fire


@pytest.mark.parametrize("policy", MisfirePolicy)
def test_a_fire_time_that_the_schedule_no_longer_has_stays_due(policy: MisfirePolicy) -> None:
    """A changed calendar has taken it out after it was planned; it is counted in one row, or runs."""
    hourly = Cron("0 0 * * * ?", "UTC")
    since = datetime(2026, 1, 1, 8, 30, tzinfo=UTC)
    for hours in (0.2, 3):
        now = since + timedelta(hours=hours)
        found = due(hourly, since, now, policy)
        later = [] if hours < 1 else [since + timedelta(hours=number, minutes=30) for number in range(3)]
        runs = {
            MisfirePolicy.SKIP: [],
            MisfirePolicy.FIRE_ONCE: [(later or [since])[-1]],
            MisfirePolicy.FIRE_ALL: [since, *later],
        }[policy]
        assert list(found.fire_times) == runs
        counted = 0 if found.misfired is None else found.misfired.count
        assert counted + len(runs) == 1 + len(later)
        if found.misfired is not None:
            assert found.misfired.first == since
