"""forecast: the fire times of several timers in a span of time; nothing runs. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from .timer import Timer

_MICROSECOND = timedelta(microseconds=1)


class Firing(NamedTuple):
    """A fire time, and its timer."""

    fire_time: datetime
    timer: Timer


def forecast(timers: Sequence[Timer], start: datetime, end: datetime) -> Iterator[Firing]:
    """The fire times in [start, end), oldest first; those of one instant in the order of the timers.

    They are computed one by one as the iterator advances, so a span may contain any number of them.

    >>> from datetime import UTC
    >>> from scheduler.timer import Cron
    >>> report = Timer(name="report", function="send", trigger=Cron("0 0 8 ? * MON"))
    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> [str(fire.fire_time) for fire in forecast([report], start, start + timedelta(days=7))]
    ['2026-01-05 00:00:00+00:00']
    """
    coming = [
        (fire_time, rank)
        for rank, timer in enumerate(timers)
        if (fire_time := timer.schedule.next_fire(start - _MICROSECOND)) is not None and fire_time < end
    ]
    heapq.heapify(coming)
    while coming:
        fire_time, rank = coming[0]
        yield Firing(fire_time, timers[rank])
        following = timers[rank].schedule.next_fire(fire_time)
        if following is None or following >= end:
            heapq.heappop(coming)
        else:
            heapq.heapreplace(coming, (following, rank))
