"""How many workers a pool has, with a model of a pool whose workers start, hang and are stopped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.workers.pool_size import NEXT_S, SURPLUS_S, PoolSize

#: Phases: how many workers are blocked, how many of those that start get ready, and the length in seconds.
PHASES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(0.001, 100)), max_size=30)


@given(workers=st.integers(1, 8), more=st.integers(0, 24), phases=PHASES)
def test_a_pool_is_within_its_bounds_and_grows_by_doubling_at_most(
    workers: int, more: int, phases: list[tuple[int, int, float]]
) -> None:
    """However many hang: at most `most`, at least `workers`, and never more starting than others."""
    most = workers + more
    pool_size, count, starting, now = PoolSize(workers, most), workers, 0, 0.0
    for held_up, ready, lasts_s in phases:
        change = pool_size.change(count, starting=starting, held_up=held_up, now=now)
        assert workers <= count + change <= most
        assert starting + max(0, change) <= max(workers, count)
        if change > 0:
            count, starting = count + change, starting + change
            assert count <= workers + held_up
        if change < 0:
            assert count > workers + held_up
            count -= 1
            pool_size.tried_to_shrink(now)
        starting = max(0, starting - ready)
        now += lasts_s


@given(workers=st.integers(1, 8), surplus=st.integers(1, 24))
def test_surplus_workers_are_stopped_one_by_one(workers: int, surplus: int) -> None:
    """Not at once, because the burst may come again; and within a bounded time."""
    pool_size, count, now, stopped_at = PoolSize(workers, workers + surplus), workers + surplus, 0.0, []
    while count > workers:
        change = pool_size.change(count, starting=0, held_up=0, now=now)
        if change:
            count += change
            stopped_at.append(now)
            pool_size.tried_to_shrink(now)
        wait_s = pool_size.next_change_s(count, is_waited_for=False, now=now)
        assert wait_s is not None
        assert wait_s > 0
        now += wait_s
    assert stopped_at[0] >= SURPLUS_S
    assert stopped_at[-1] <= SURPLUS_S + surplus * (NEXT_S + 0.001)
    assert pool_size.change(count, starting=0, held_up=0, now=now) == 0


@given(count=st.integers(3, 30), at=st.floats(0.1, SURPLUS_S - 0.1))
def test_workers_that_are_needed_again_stay(count: int, at: float) -> None:
    """SURPLUS_S begins again."""
    pool_size = PoolSize(2, 32)
    assert pool_size.change(count, starting=0, held_up=0, now=0) == 0
    assert pool_size.change(count, starting=0, held_up=count - 2, now=at) == 0
    assert pool_size.next_change_s(count, is_waited_for=False, now=at) is None
    assert pool_size.change(count, starting=0, held_up=0, now=at) == 0
    assert pool_size.change(count, starting=0, held_up=0, now=SURPLUS_S) == 0
