"""ClaimAhead: timers are claimed shortly before they are due, so that at the instant itself they are only handed out.

To claim a thousand fires takes a store some ten milliseconds, or fifty; done at the fire time, that would be lateness.
Claimed ahead is what nothing keeps from running; anything that has to be judged is claimed when it is due. The claim
comes no earlier than it must, at most a quarter of a second: a timer that is changed after it fires as it was.

Where several daemons have a store, each claims its share, and only shortly before the time what others have left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from operator import attrgetter

from ..claims.claims import AHEAD_LIMIT, Claims, Upcoming
from ..clock import Clock
from ..core.misfire import GRACE
from ..core.run import Task
from ..core.timer import Environment

#: The shortest and the longest time from a claim to the fire times it is for.
LEAST, MOST = timedelta(milliseconds=8), timedelta(milliseconds=250)
#: How long before the fire times to claim what other daemons were to claim and did not.
LAST = timedelta(milliseconds=4)
#: So many tasks that are due at the same time are worth some preparation.
CROWD = 20
#: So many timers that will be due need the longest lead in any case.
MOST_COUNTED = 20_000

_fire_time = attrgetter("fire_time")


class Lead:
    """How long before a fire time its claim has to begin, learnt from the claims so far."""

    #: Seconds that a claim takes whatever it finds, and for each fire.
    fixed_s = 0.002
    per_fire_s = 0.00002
    #: Claims of so many fires tell what one costs; the others, what a claim costs by itself.
    MANY = 100

    #: One stall of the machine must not lead to early claims ever after.
    _MOST_FIXED_S, _MOST_PER_FIRE_S = 0.05, 0.0002

    def learn(self, fires: int, took_s: float) -> None:
        """A claim has taken `took_s` for that many fires; a long one is believed at once, short ones by and by."""
        if fires >= self.MANY:
            per_fire_s = max((took_s - self.fixed_s) / fires, 0.9 * self.per_fire_s)
            self.per_fire_s = min(per_fire_s, self._MOST_PER_FIRE_S)
        else:
            self.fixed_s = min(max(took_s, 0.9 * self.fixed_s), self._MOST_FIXED_S)

    def of(self, fires: int) -> timedelta:
        """The lead for a claim of that many fires, with as much again to be safe."""
        return min(MOST, max(LEAST, timedelta(seconds=2 * (self.fixed_s + fires * self.per_fire_s))))


@dataclass(slots=True)
class _Next:
    """A fire time that is about to be claimed for."""

    due: datetime | None = None
    #: How long before it its claim is to begin.
    lead: timedelta = LEAST
    #: How many timers to claim before others have had their chance.
    share: int = MOST_COUNTED


class ClaimAhead:
    """The tasks of one daemon that stand by until they are due."""

    def __init__(self, claims: Claims, clock: Clock, *, grace: timedelta = GRACE) -> None:
        self._claims = claims
        self._clock = clock
        self._grace = grace
        self._lead = Lead()
        #: By their fire times.
        self._tasks: list[Task] = []
        #: The fire time that there is nothing more to claim for, until it comes.
        self._done_for: datetime | None = None
        self._next = _Next()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def next_due(self) -> datetime | None:
        """When the first of these tasks is due."""
        return self._tasks[0].fire_time if self._tasks else None

    def add(self, tasks: Collection[Task]) -> None:
        """Take tasks whose runs are written."""
        self._tasks = sorted([*self._tasks, *tasks], key=_fire_time)

    def due(self, now: datetime) -> list[Task]:
        """The tasks whose time has come, no more among these.

        Those that are late beyond the grace, the machine having slept, go back to the claims: they may not be ours any
        more, and are subject to their misfire policies.
        """
        if not self._tasks or self._tasks[0].fire_time > now:
            return []
        count = bisect_right(self._tasks, now, key=_fire_time)
        due, self._tasks = self._tasks[:count], self._tasks[count:]
        if now - due[0].fire_time <= self._grace:
            return due
        late = bisect_left(due, now - self._grace, key=_fire_time)
        self._claims.doubt(due[:late])
        return due[late:]

    @property
    def next_crowd(self) -> list[Task]:
        """Many tasks that are the next ones due, at the same time; nothing where it is only a few."""
        count = bisect_right(self._tasks, self._tasks[0].fire_time, key=_fire_time) if self._tasks else 0
        return self._tasks[:count] if count >= CROWD else []

    def look_again(self) -> None:
        """Timers may have changed: what there is to claim is to be found out anew."""
        self._done_for, self._next = None, _Next()

    def begins_at(self, agenda: Upcoming, now: datetime, *, daemons: int = 1, is_busy: bool = False) -> datetime | None:
        """When to claim ahead what is due next, or to ask again; None where there is nothing to claim so.

        The store has so many `daemons`. One that `is_busy` learns later how many timers will be due, if there is time.
        """
        due = agenda.next_due
        if due is None or due == self._done_for:
            return None
        if self._next.due != due:
            if is_busy and due - now > MOST:
                return due - MOST
            share = ceil(self._claims.count_due(due, most=MOST_COUNTED) / daemons)
            self._next = _Next(due, self._lead.of(share), max(1, share))
        return due - self._next.lead

    def claim(self, agenda: Upcoming, now: datetime, *, without: Environment | None = None) -> Upcoming:
        """Claim what is due next, from `begins_at` on; returns what there is to claim then."""
        due = agenda.next_due or now
        began, limit = self._clock.monotonic(), min(AHEAD_LIMIT, self._next.share)
        tasks, after = self._claims.claim_ahead(now, until=due, without=without, limit=limit)
        self._lead.learn(len(tasks), self._clock.monotonic() - began)
        self._next.share -= len(tasks)
        if after.next_due == due and len(tasks) < limit:
            # What is left has to be judged, or others have it.
            self._done_for = due
        elif after.next_due == due and self._next.share <= 0:
            # The others' turn, however fast or slow they are.
            self._next = _Next(due, LAST)
        self.add(tasks)
        return after

    def release(self) -> None:
        """Undo the claims of these tasks: they fire as if they had never been claimed."""
        if self._tasks:
            self._claims.release(self._tasks)
            self._tasks = []

    def forget(self) -> None:
        """Drop what others have taken over."""
        self._tasks = []
        self.look_again()
