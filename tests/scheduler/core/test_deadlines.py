"""Limits, deadlines and the seconds that are left of a call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.deadlines import FUNCTION_LIMIT_S, HOOK_LIMIT_S, deadline, left_s

seconds = st.floats(min_value=0, max_value=1e9)


@pytest.mark.parametrize(
    ("ran_s", "limit_s", "has_s"),
    [(0, HOOK_LIMIT_S, 3), (11, HOOK_LIMIT_S, 3), (13, HOOK_LIMIT_S, 2), (15, HOOK_LIMIT_S, 0), (5, 15.0, 10)],
)
def test_a_nested_call_has_its_own_limit_or_what_is_left(ran_s: float, limit_s: float, has_s: float) -> None:
    """A hook called by a function that has run 13 s has 2 s."""
    started = 1000.0
    outer = deadline(started, FUNCTION_LIMIT_S)
    now = started + ran_s
    assert left_s(now, deadline(now, limit_s, enclosing=outer)) == has_s


@given(now=seconds, limit_s=seconds, enclosing=st.none() | seconds)
def test_no_call_outlives_its_caller(now: float, limit_s: float, enclosing: float | None) -> None:
    """A deadline is never after the enclosing one, and never after the call's own limit."""
    at = deadline(now, limit_s, enclosing=enclosing)
    assert at <= now + limit_s
    assert enclosing is None or at <= enclosing
    assert left_s(now, at) >= 0
