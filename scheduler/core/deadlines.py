"""Limits and deadlines of calls, as plain numbers.

Lives here: the two limits of the protocol and the rule for nested calls. Never here: a clock; `now` is an argument,
in monotonic seconds, so that a jump of the system clock changes no limit.
"""

from __future__ import annotations

FUNCTION_LIMIT_S = 15.0
HOOK_LIMIT_S = 3.0


def deadline(now: float, limit_s: float, *, enclosing: float | None = None) -> float:
    """The instant at which a call that started at `now` reaches its limit, or the deadline of the enclosing call.

    All in monotonic seconds; `enclosing` is the deadline of the calling function, None for an outermost call
    (engine protocol § 4, nested limits).

    >>> deadline(113.0, HOOK_LIMIT_S, enclosing=115.0)
    115.0
    >>> deadline(100.0, FUNCTION_LIMIT_S)
    115.0
    """
    own = now + limit_s
    return own if enclosing is None else min(own, enclosing)


def left_s(now: float, deadline: float) -> float:
    """The seconds from `now` to a deadline, never below zero.

    >>> left_s(113.0, 115.0)
    2.0
    >>> left_s(120.0, 115.0)
    0.0
    """
    return max(0.0, deadline - now)
