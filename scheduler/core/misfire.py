"""Which of a timer's due fire times run, and which are only accounted for. Pure.

A fire time is *missed* when it is later than the grace allows: the daemon was down, or too busy. What was missed goes
by the timer's misfire policy; what is on time always runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .timer import MisfirePolicy
from .triggers import Trigger

#: A fire time up to this late is on time: a hiccup of the machine is no misfire.
GRACE = timedelta(seconds=5)
#: fire_all runs at most this many missed fire times, the latest ones; the rest is accounted for.
FIRE_ALL_CAP = 100


@dataclass(frozen=True, slots=True)
class Missed:
    """Missed fire times that will not run: the first, the last, and how many."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Due:
    """What a claim at one instant finds: fire times to run, oldest first; what is misfired; the next fire time."""

    fire_times: tuple[datetime, ...]
    misfired: Missed | None
    next_fire: datetime | None


def due(
    trigger: Trigger,
    since: datetime,
    now: datetime,
    policy: MisfirePolicy,
    *,
    grace: timedelta = GRACE,
    cap: int = FIRE_ALL_CAP,
) -> Due:
    """Divide the fire times in [since, now]; `since` is itself a fire time, the earliest not yet handled.

    The work is bounded by `cap` and by what fits into `grace`, however long the daemon was down.
    """
    next_fire = trigger.next_fire(now)
    on_time = _fires_from(trigger, max(since, now - grace), since, now)
    first_on_time = on_time[0] if on_time else None
    if first_on_time == since:
        return Due(on_time, None, next_fire)
    end = first_on_time if first_on_time is not None else now + timedelta(microseconds=1)
    missed = trigger.count(since, end)
    last = trigger.prev_fire(end)
    if missed == 0 or last is None:
        # `since` is no fire time of this trigger (its rule was edited behind the store's back): nothing is due before.
        return Due(on_time, None, next_fire)
    caught_up = _caught_up(trigger, since, last, policy, cap=cap, fires_on_time=bool(on_time))
    misfired = _rest(trigger, since, last, missed, caught_up)
    return Due(caught_up + on_time, misfired, next_fire)


def _fires_from(trigger: Trigger, start: datetime, since: datetime, now: datetime) -> tuple[datetime, ...]:
    """The fire times in [start, now]."""
    fires = [since] if start == since else []
    fire = trigger.next_fire(start - timedelta(microseconds=1)) if not fires else trigger.next_fire(since)
    while fire is not None and fire <= now:
        fires.append(fire)
        fire = trigger.next_fire(fire)
    return tuple(fires)


def _caught_up(
    trigger: Trigger, since: datetime, last: datetime, policy: MisfirePolicy, *, cap: int, fires_on_time: bool
) -> tuple[datetime, ...]:
    """The missed fire times that run all the same, oldest first."""
    if policy is MisfirePolicy.SKIP:
        return ()
    if policy is MisfirePolicy.FIRE_ONCE:
        # A fire on time in the same claim does what the one made up for would have done.
        return () if fires_on_time else (last,)
    latest: list[datetime] = []
    fire: datetime | None = last
    while fire is not None and fire >= since and len(latest) < cap:
        latest.append(fire)
        fire = trigger.prev_fire(fire)
    return tuple(reversed(latest))


def _rest(
    trigger: Trigger, since: datetime, last: datetime, missed: int, caught_up: tuple[datetime, ...]
) -> Missed | None:
    count = missed - len(caught_up)
    if count <= 0:
        return None
    last_left = trigger.prev_fire(caught_up[0]) if caught_up else last
    return Missed(since, last_left if last_left is not None else since, count)
