"""Finds attributes that a timer has and that do nothing, because of its other attributes. Pure.

They are allowed, so that a policy can be changed back without giving them again; whoever sets one is told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from .misfire import MisfirePolicy
from .overlap import OverlapPolicy
from .timer import Timer

#: A trigger that fires after this instant has no end.
_FAR = datetime(2090, 1, 1, tzinfo=UTC)


class WithoutEffect(NamedTuple):
    """An attribute that does nothing, and the reason."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field} has no effect: {self.reason}"


def without_effect(timer: Timer) -> list[WithoutEffect]:
    """The attributes that differ from their defaults, and that do nothing.

    >>> from .triggers import Every
    >>> [str(each) for each in without_effect(Timer(name="t", function="f", trigger=Every(60), max_concurrent=2))]
    ['max_concurrent has no effect: it goes with overlap = allow, and overlap is skip']
    """
    return [
        WithoutEffect(name, reason(timer))
        for name, is_idle, reason in _RULES
        if getattr(timer, name) != _default(name) and is_idle(timer)
    ]


def _default(name: str) -> object:
    return Timer.__dataclass_fields__[name].default


def _has_no_end(timer: Timer) -> bool:
    has_bound = timer.max_runs or timer.ends_at is not None
    return not has_bound and timer.trigger.next_fire(_FAR) is not None


_RULES: tuple[tuple[str, Callable[[Timer], object], Callable[[Timer], str]], ...] = (
    (
        "max_concurrent",
        lambda timer: timer.overlap is not OverlapPolicy.ALLOW,
        lambda timer: f"it goes with overlap = allow, and overlap is {timer.overlap}",
    ),
    (
        "catch_up_s",
        lambda timer: timer.misfire is MisfirePolicy.SKIP,
        lambda _: "with misfire = skip, no missed fire runs",
    ),
    ("retry_backoff_s", lambda timer: not timer.retries, lambda _: "retries is 0"),
    ("then_on", lambda timer: not timer.then, lambda _: "then names no timers"),
    (
        "remove_when_finished",
        _has_no_end,
        lambda _: "the timer is never finished; max_runs or ends_at gives it an end",
    ),
)
