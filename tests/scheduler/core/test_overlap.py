"""plan_claim, in every combination of policies: each due fire time is in exactly one run or row, within all bounds."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core import breaker
from scheduler.core.breaker import Breaker, BreakerState
from scheduler.core.misfire import MisfirePolicy, due
from scheduler.core.overlap import MAX_QUEUED, OverlapPolicy, plan_claim
from scheduler.core.run import Outcome
from scheduler.core.triggers import Every

START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = Every(1, anchor=START)
OPEN = Breaker(BreakerState.OPEN, 5, 1, START, START + timedelta(seconds=3))


@given(
    late_s=st.integers(0, 300),
    misfire=st.sampled_from(MisfirePolicy),
    grace_s=st.sampled_from([0.0, 2.0, 5.0, 60.0, 100_000.0]),
    catch_up_s=st.sampled_from([None, 60.0, 100_000.0]),
    overlap=st.sampled_from(OverlapPolicy),
    state=st.sampled_from([breaker.CLOSED, OPEN]),
    open_runs=st.sampled_from([0, 1, 2, MAX_QUEUED, MAX_QUEUED + 1]),
    max_concurrent=st.sampled_from([0, 1, 2, 3]),
    runs_left=st.sampled_from([None, 0, 1, 3]),
)
def test_each_due_fire_time_is_in_one_row(
    late_s: int,
    misfire: MisfirePolicy,
    grace_s: float,
    catch_up_s: float | None,
    overlap: OverlapPolicy,
    state: Breaker,
    open_runs: int,
    max_concurrent: int,
    runs_left: int | None,
) -> None:
    """Where no more runs are left, the timer is finished, and what comes after its last run is no longer due."""
    since, now = START + timedelta(seconds=1), START + timedelta(seconds=1 + late_s)
    grace = timedelta(seconds=grace_s)
    catch_up = None if catch_up_s is None else max(grace, timedelta(seconds=catch_up_s))
    what = due(EVERY, since, now, misfire, grace=grace, catch_up=catch_up)
    plan = plan_claim(overlap, state, what, open_runs=open_runs, max_concurrent=max_concurrent, runs_left=runs_left)
    seconds = [
        START + timedelta(seconds=second)
        for run in plan.runs
        for second in range(
            round((run.fire_time - START).total_seconds()), round((run.last_fire_time - START).total_seconds()) + 1
        )
    ]
    assert sum(run.count for run in plan.runs) == len(seconds)
    all_due = [since + timedelta(seconds=second) for second in range(late_s + 1)]
    if plan.entered == runs_left:
        assert plan.next_fire is None
        assert seconds == all_due[: len(seconds)]
    else:
        assert plan.next_fire == now + timedelta(seconds=1)
        assert seconds == all_due
    entered = [run for run in plan.runs if run.outcome is None]
    assert len(entered) == plan.entered <= (len(all_due) if runs_left is None else runs_left)
    begun = [run for run in entered if not run.waits]
    if overlap is not OverlapPolicy.ALLOW:
        assert len(begun) <= (open_runs == 0)
    elif max_concurrent:
        assert len(begun) <= max(0, max_concurrent - open_runs)
    if catch_up is not None:
        on_time = [run for run in entered if now - run.fire_time <= max(grace, catch_up)]
        assert on_time == entered


@given(late_s=st.integers(0, 100_000_000), grace_s=st.integers(0, 31_536_000))
def test_a_long_grace_makes_no_long_claim(late_s: int, grace_s: int) -> None:
    """A timer that fires each second runs a hundred fire times at most; the others are counted as misfired."""
    since = START + timedelta(seconds=1)
    now = since + timedelta(seconds=late_s)
    what = due(EVERY, since, now, MisfirePolicy.FIRE_ONCE, grace=timedelta(seconds=grace_s))
    assert len(what.fire_times) <= 101
    missed = 0 if what.misfired is None else what.misfired.count
    assert len(what.fire_times) + missed == late_s + 1


def test_under_queue_all_a_thousand_runs_wait() -> None:
    """Further fire times are skipped, and counted."""
    what = due(EVERY, START + timedelta(seconds=1), START + timedelta(seconds=1), MisfirePolicy.FIRE_ONCE)
    (waits,) = plan_claim(OverlapPolicy.QUEUE_ALL, breaker.CLOSED, what, open_runs=MAX_QUEUED).runs
    (skipped,) = plan_claim(OverlapPolicy.QUEUE_ALL, breaker.CLOSED, what, open_runs=MAX_QUEUED + 1).runs
    assert (waits.waits, skipped.outcome) == (True, Outcome.SKIPPED_OVERLAP)
