"""How many workers a pool has, by the model of a pool whose workers start, hang and are let go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.workers.pool_size import NEXT_S, SURPLUS_S, PoolSize

#: How many workers are blocked, how many of those that start are ready by then, and how long it lasts.
PHASES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.floats(0.001, 100)), max_size=30)


@given(workers=st.integers(1, 8), more=st.integers(0, 24), phases=PHASES)
def test_a_pool_is_within_its_bounds_and_grows_by_doubling_at_most(
    workers: int, more: int, phases: list[tuple[int, int, float]]
) -> None:
    """Whatever hangs: never more than `most`, never fewer than asked for, never more starting than there are others."""
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
def test_a_surplus_is_let_go_one_by_one_though_everybody_gets_work_now_and_then(workers: int, surplus: int) -> None:
    """Not at once, for the burst may come again; and at the latest after so many seconds."""
    pool_size, count, now, gone_at = PoolSize(workers, workers + surplus), workers + surplus, 0.0, []
    while count > workers:
        change = pool_size.change(count, starting=0, held_up=0, now=now)
        if change:
            count += change
            gone_at.append(now)
            pool_size.tried_to_shrink(now)
        wait_s = pool_size.next_change_s(count, is_waited_for=False, now=now)
        assert wait_s is not None
        assert wait_s > 0
        now += wait_s
    assert gone_at[0] >= SURPLUS_S
    assert gone_at[-1] <= SURPLUS_S + surplus * (NEXT_S + 0.001)
    assert pool_size.change(count, starting=0, held_up=0, now=now) == 0


@given(count=st.integers(3, 30), at=st.floats(0.1, SURPLUS_S - 0.1))
def test_workers_that_are_wanted_again_stay(count: int, at: float) -> None:
    """The half minute begins anew."""
    pool_size = PoolSize(2, 32)
    assert pool_size.change(count, starting=0, held_up=0, now=0) == 0
    assert pool_size.change(count, starting=0, held_up=count - 2, now=at) == 0
    assert pool_size.next_change_s(count, is_waited_for=False, now=at) is None
    assert pool_size.change(count, starting=0, held_up=0, now=at) == 0
    assert pool_size.change(count, starting=0, held_up=0, now=SURPLUS_S) == 0
