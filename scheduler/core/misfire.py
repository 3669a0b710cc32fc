"""Misfire policies: which of a timer's due fire times run, and which are only recorded. Pure.

A fire time is *missed* when it is later than the grace: the daemon was down or too busy. The timer's misfire policy
decides about missed fire times; fire times within the grace always run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from .fire_times import FireTimes

#: A fire time up to this late is on time: a short stall of the machine is not a misfire.
GRACE = timedelta(seconds=5)
#: fire_all runs at most this many missed fire times, the latest ones; the others are recorded as misfired.
FIRE_ALL_CAP = 100


class MisfirePolicy(StrEnum):
    """How missed fire times, those that are late by more than `grace_s`, are handled.

    `fire_once`: the latest one runs; `fire_all`: the latest 100 run; `skip`: none runs. The others are recorded as
    misfired. `catch_up_s` limits all three.
    """

    FIRE_ONCE = "fire_once"
    FIRE_ALL = "fire_all"
    SKIP = "skip"


def runs_late(policy: MisfirePolicy, late: timedelta, catch_up: timedelta | None = None) -> bool:
    """Whether a fire time that was claimed in time, but is late by more than the grace, still runs."""
    return policy is not MisfirePolicy.SKIP and (catch_up is None or late <= catch_up)


@dataclass(frozen=True, slots=True)
class Misfired:
    """Missed fire times that do not run: the first, the last, and their number."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Due:
    """The due fire times at one instant: those that run, oldest first; the misfired ones; the next fire time."""

    fire_times: tuple[datetime, ...]
    misfired: Misfired | None
    next_fire: datetime | None


def due(
    schedule: FireTimes,
    since: datetime,
    now: datetime,
    policy: MisfirePolicy,
    *,
    grace: timedelta = GRACE,
    catch_up: timedelta | None = None,
    cap: int = FIRE_ALL_CAP,
) -> Due:
    """Divide the fire times in [since, now]; `since` is itself a fire time, the earliest that is not yet handled.

    Those that are later than `catch_up` do not run, whatever the policy.

    The work is bounded by `cap` and by the number of fire times within GRACE, however long the daemon was down.
    """
    next_fire = schedule.next_fire(now)
    start = max(since, now - grace)
    if grace > GRACE and schedule.count(start, now) > cap:
        # A long grace of a timer that fires often must not make a claim long.
        start = _latest(schedule, start, now + timedelta(microseconds=1), cap)[0]
    on_time = _fires_from(schedule, start, since, now)
    first_on_time = on_time[0] if on_time else None
    if first_on_time == since:
        return Due(on_time, None, next_fire)
    end = first_on_time if first_on_time is not None else now + timedelta(microseconds=1)
    # Since it was planned, a changed calendar may have taken `since` out of the schedule; what is due stays due.
    is_of_schedule = schedule.next_fire(since - timedelta(microseconds=1)) == since
    missed = schedule.count(since, end) + (not is_of_schedule)
    last = max(since, schedule.prev_fire(end) or since)
    caught_up = _caught_up(schedule, since, last, policy, cap=cap, fires_on_time=bool(on_time))
    if policy is MisfirePolicy.FIRE_ALL and not is_of_schedule and len(caught_up) < cap:
        caught_up = (since, *caught_up)
    if catch_up is not None:
        caught_up = tuple(fire_time for fire_time in caught_up if now - fire_time <= catch_up)
    misfired = _misfired(schedule, since, last, missed, caught_up)
    return Due(caught_up + on_time, misfired, next_fire)


def _fires_from(schedule: FireTimes, start: datetime, since: datetime, now: datetime) -> tuple[datetime, ...]:
    """The fire times in [start, now]."""
    fires = [since] if start == since else []
    fire = schedule.next_fire(start - timedelta(microseconds=1)) if not fires else schedule.next_fire(since)
    while fire is not None and fire <= now:
        fires.append(fire)
        fire = schedule.next_fire(fire)
    return tuple(fires)


def _caught_up(
    schedule: FireTimes, since: datetime, last: datetime, policy: MisfirePolicy, *, cap: int, fires_on_time: bool
) -> tuple[datetime, ...]:
    """The missed fire times that the policy still runs, oldest first."""
    if policy is MisfirePolicy.SKIP:
        return ()
    if policy is MisfirePolicy.FIRE_ONCE:
        # An on-time fire in this claim replaces the missed one.
        return () if fires_on_time else (last,)
    return _latest(schedule, since, last + timedelta(microseconds=1), cap)


def _latest(schedule: FireTimes, since: datetime, before: datetime, cap: int) -> tuple[datetime, ...]:
    """The latest fire times in [since, before), at most `cap`, oldest first."""
    latest: list[datetime] = []
    fire = schedule.prev_fire(before)
    while fire is not None and fire >= since and len(latest) < cap:
        latest.append(fire)
        fire = schedule.prev_fire(fire)
    return tuple(reversed(latest))


def _misfired(
    schedule: FireTimes, since: datetime, last: datetime, missed: int, caught_up: tuple[datetime, ...]
) -> Misfired | None:
    """The missed fire times before those that are caught up."""
    count = missed - len(caught_up)
    if count <= 0:
        return None
    last_misfired = schedule.prev_fire(caught_up[0]) if caught_up else last
    return Misfired(since, max(since, last_misfired or since), count)
