"""Times of a day: the tables against brute force."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quartzcron.wall.times import DAY, TimeRule, ahead, behind, members


def sets(high: int) -> st.SearchStrategy[int]:
    return st.sets(st.integers(0, high), min_size=1, max_size=4).map(lambda values: sum(1 << v for v in values))


rules = st.builds(TimeRule, sets(59), sets(59), sets(23))


def all_times(rule: TimeRule) -> list[int]:
    return [
        hour * 3600 + minute * 60 + second
        for hour in members(rule.hours)
        for minute in members(rule.minutes)
        for second in members(rule.seconds)
    ]


@given(rules, st.integers(0, DAY - 1))
def test_the_neighbours_of_a_time(rule: TimeRule, time: int) -> None:
    """At or after, at or before, whether, and how many before."""
    times = all_times(rule)
    assert rule.at_or_after(time) == min((t for t in times if t >= time), default=None)
    assert rule.at_or_before(time) == max((t for t in times if t <= time), default=None)
    assert rule.fires(time) == (time in times)
    assert rule.before(time) == sum(t < time for t in times)


@given(rules)
def test_the_times_in_order(rule: TimeRule) -> None:
    """First, last, count, the n-th, and the gaps between them."""
    times = all_times(rule)
    assert (rule.first, rule.last, rule.count) == (times[0], times[-1], len(times))
    assert [rule.nth(n) for n in range(len(times))] == times
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert rule.gaps() == ((min(gaps), max(gaps)) if gaps else None)


@given(sets(59))
def test_tables_answer_for_every_value(values: int) -> None:
    """60 stands for none left; one entry more than there are values, on either side."""
    inside = members(values)
    assert list(ahead(values)) == [min((v for v in inside if v >= n), default=60) for n in range(61)]
    assert list(behind(values))[:60] == [max((v for v in inside if v <= n), default=60) for n in range(60)]
    assert behind(values)[-1] == 60
