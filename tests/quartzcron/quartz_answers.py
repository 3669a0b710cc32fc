"""The golden answers of Quartz, and the adapter with which they are compared with this implementation.

`fires_quartz`, `fires_vixie` and `satisfied` have the signature that the vectors' own scorer expects.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from quartzcron import CronExpression

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@cache
def _expression(text: str, zone: str, dst: str) -> CronExpression:
    return CronExpression(text, tz=zone, dst=dst)


def _fires(text: str, zone: str, start_ms: int, n: int, dst: str) -> list[int]:
    expression = _expression(text, zone, dst)
    fires = []
    fire = expression.next_fire((_EPOCH + start_ms * _MILLISECOND).astimezone(expression.tz))
    while fire is not None and len(fires) < n:
        fires.append((fire - _EPOCH) // _MILLISECOND)
        fire = expression.next_fire(fire)
    return fires


def fires_quartz(text: str, zone: str, start_ms: int, n: int) -> list[int]:
    """At most n fire times after the start, under the policy of Java's Quartz."""
    return _fires(text, zone, start_ms, n, "quartz")


def fires_vixie(text: str, zone: str, start_ms: int, n: int) -> list[int]:
    """At most n fire times after the start, under the default policy."""
    return _fires(text, zone, start_ms, n, "vixie")


def satisfied(text: str, zone: str, time_ms: int) -> bool:
    """Whether the second of this instant is a fire time."""
    expression = _expression(text, zone, "quartz")
    return expression.matches((_EPOCH + time_ms * _MILLISECOND).astimezone(expression.tz))
