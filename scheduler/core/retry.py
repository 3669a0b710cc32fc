"""Retries: when a failed run is attempted again. Pure.

Only runs that no user requested, and whose breaker verdict is a failure, are tried again, if their timer has `retries`:
a time-out, an unexpected exception, an unreachable engine. A LeanEngineError is an answer in time, not a failure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .timer import Timer

#: The longest pause between two attempts.
MAX_PAUSE_S = 86_400.0


def retry_at(timer: Timer, fire_time: datetime, attempt: int, ended_at: datetime) -> datetime | None:
    """When a fire time that failed at its `attempt`-th attempt is tried again; None if that was the last one.

    The pauses are `retry_backoff_s`, then twice as long, and so on. No attempt begins at or after the next fire time.

    >>> from datetime import UTC
    >>> from scheduler.timer import Every
    >>> eight = datetime(2026, 1, 1, 8, tzinfo=UTC)
    >>> timer = Timer(name="t", function="f", trigger=Every(60, anchor=eight), retries=3, retry_backoff_s=10)
    >>> [str(retry_at(timer, eight, attempt, eight)) for attempt in (1, 2, 3, 4)]
    ['2026-01-01 08:00:10+00:00', '2026-01-01 08:00:20+00:00', '2026-01-01 08:00:40+00:00', 'None']
    """
    at = after_pause(timer, attempt, ended_at)
    return None if at is None or is_past(timer, fire_time, at) else at


def after_pause(timer: Timer, attempt: int, ended_at: datetime) -> datetime | None:
    """The same whatever the next fire time: for a run that is not of the schedule."""
    if attempt > timer.retries:
        return None
    return ended_at + timedelta(seconds=min(timer.retry_backoff_s * 2.0 ** (attempt - 1), MAX_PAUSE_S))


def is_past(timer: Timer, fire_time: datetime, now: datetime) -> bool:
    """Whether the next fire time has come, so that no further attempt at this one may begin."""
    next_fire = timer.schedule.next_fire(fire_time)
    return next_fire is not None and next_fire <= now
