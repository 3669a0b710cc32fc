"""The breaker of a timer: while a function keeps failing, its timer is short-circuited. Pure.

    state      event                          next state   what else
    closed     failure, fewer than threshold  closed       consecutive_failures + 1
    closed     failure, the threshold's       open         openings + 1, cool-down begins
    closed     good                           closed       consecutive_failures = 0
    open       fire before next_probe_at      open         short-circuited
    open       fire at or after next_probe_at half-open    that fire is the single probe
    open       good (a manual run)            closed       everything reset
    half-open  fire                           half-open    short-circuited
    half-open  good                           closed       everything reset
    half-open  failure                        open         openings + 1, a longer cool-down begins
    half-open  lost (the daemon died)         open         the next fire is the probe; the same after a cancelled one

A fire time whose failed run is tried again counts once, when its last attempt has failed; backfilled runs do not count.
Cool-down: 60 s × 2^(openings − 1), at most 900 s, counted from the scheduled fire time of the failed run, so that a
timer with a period of 15 minutes or more is never short-circuited (engine protocol, section 6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether calls pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """The effect of a run's ending on the breaker."""

    GOOD = "good"
    FAILURE = "failure"
    #: The function answered in time with an error for its caller, which is neither a success nor a failure.
    NEUTRAL = "neutral"
    #: The outcome is unknown: the daemon died, the run never began, or it was cancelled.
    LOST = "lost"


class Admission(StrEnum):
    """The decision of the breaker about a fire time."""

    PASS = "pass"
    PROBE = "probe"
    SHORT_CIRCUIT = "short_circuit"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long; `threshold` 0 means never."""

    threshold: int = 5
    cool_down: timedelta = timedelta(seconds=60)
    max_cool_down: timedelta = timedelta(seconds=900)

    def cool_down_after(self, openings: int) -> timedelta:
        """How long the breaker stays open after its `openings`-th opening in a row."""
        # The exponent is bounded, so that a million openings do not make a number of a million bits.
        factor: int = 2 ** min(openings - 1, 30)
        return min(self.cool_down * factor, self.max_cool_down)


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one timer's breaker; the store keeps it, so it survives a restart."""

    state: BreakerState = BreakerState.CLOSED
    consecutive_failures: int = 0
    openings: int = 0
    opened_at: datetime | None = None
    next_probe_at: datetime | None = None
    last_error: str | None = None


CLOSED = Breaker()
DEFAULT_POLICY = BreakerPolicy()


def admit(breaker: Breaker, fire_time: datetime) -> tuple[Breaker, Admission]:
    """Decide whether a scheduled fire passes, is the probe, or is short-circuited; with the breaker after it."""
    if breaker.state is BreakerState.CLOSED:
        return breaker, Admission.PASS
    if breaker.state is BreakerState.OPEN and breaker.next_probe_at is not None and fire_time >= breaker.next_probe_at:
        return replace(breaker, state=BreakerState.HALF_OPEN), Admission.PROBE
    return breaker, Admission.SHORT_CIRCUIT


def after(
    breaker: Breaker,
    verdict: Verdict,
    fire_time: datetime,
    *,
    error: str | None = None,
    policy: BreakerPolicy = DEFAULT_POLICY,
) -> Breaker:
    """The breaker after a run of `fire_time` ended with `verdict`."""
    match breaker.state, verdict:
        case _, Verdict.GOOD:
            return CLOSED
        case BreakerState.CLOSED, Verdict.FAILURE:
            return _count(breaker, fire_time, error, policy)
        case BreakerState.HALF_OPEN, Verdict.FAILURE:
            return _open(replace(breaker, last_error=error), fire_time, policy)
        case BreakerState.HALF_OPEN, Verdict.NEUTRAL:
            # The probe tests whether the function answers, and it did.
            return CLOSED
        case BreakerState.HALF_OPEN, Verdict.LOST:
            return lose_probe(breaker, fire_time)
        case BreakerState.OPEN, Verdict.FAILURE:
            return replace(breaker, last_error=error)
        case _:
            return breaker


def lose_probe(breaker: Breaker, now: datetime) -> Breaker:
    """The breaker after its probe was lost with a daemon: open, and the next fire from `now` on is the probe."""
    if breaker.state is not BreakerState.HALF_OPEN:
        return breaker
    return replace(breaker, state=BreakerState.OPEN, next_probe_at=now)


def _count(breaker: Breaker, fire_time: datetime, error: str | None, policy: BreakerPolicy) -> Breaker:
    counted = replace(breaker, consecutive_failures=breaker.consecutive_failures + 1, last_error=error)
    if policy.threshold and counted.consecutive_failures >= policy.threshold:
        return _open(counted, fire_time, policy)
    return counted


def _open(breaker: Breaker, fire_time: datetime, policy: BreakerPolicy) -> Breaker:
    openings = breaker.openings + 1
    return replace(
        breaker,
        state=BreakerState.OPEN,
        openings=openings,
        opened_at=fire_time,
        next_probe_at=fire_time + policy.cool_down_after(openings),
    )
