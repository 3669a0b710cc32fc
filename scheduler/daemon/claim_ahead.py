"""ClaimAhead: claims timers shortly before they are due, so that the daemon only hands them out at the fire time.

A claim of a thousand timers takes a store ten to fifty milliseconds; at the fire time, that would be lateness.
Only timers whose run no rule can prevent are claimed ahead; all others are claimed when they are due. The claim is made
as late as possible, at most MAX_LEAD before the fire time: a timer that is changed after its claim fires unchanged.

With several daemons on a store, each claims its share, and shortly before the fire time the timers that others left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from operator import attrgetter

from ..claims.claims import AHEAD_LIMIT, Claims
from ..claims.due_timers import Upcoming
from ..clock import Clock
from ..core.misfire import GRACE
from ..core.run import Kind, Task
from ..core.timer import Environment

#: The shortest and the longest time from a claim to the fire times it is for.
MIN_LEAD, MAX_LEAD = timedelta(milliseconds=8), timedelta(milliseconds=250)
#: How long before the fire times to claim the timers that other daemons have left.
LEFTOVER_LEAD = timedelta(milliseconds=4)
#: The fewest tasks with the same fire time for which executors prepare.
MIN_CROWD = 20
#: More timers than this need the longest lead in any case, so they are not counted.
MOST_COUNTED = 20_000

_fire_time = attrgetter("fire_time")


class Lead:
    """Estimates from earlier claims how long before a fire time its claim has to begin."""

    #: The fixed seconds of a claim, and the seconds for each fire.
    fixed_s = 0.002
    per_fire_s = 0.00002
    #: Claims of at least so many fires update `per_fire_s`, others `fixed_s`.
    MANY = 100

    #: One stall of the machine must not lead to early claims for long.
    _MOST_FIXED_S, _MOST_PER_FIRE_S = 0.05, 0.0002

    def update(self, fires: int, took_s: float) -> None:
        """Take a claim of `fires` into account: the estimate rises at once, and falls by a tenth at most."""
        if fires >= self.MANY:
            per_fire_s = max((took_s - self.fixed_s) / fires, 0.9 * self.per_fire_s)
            self.per_fire_s = min(per_fire_s, self._MOST_PER_FIRE_S)
        else:
            self.fixed_s = min(max(took_s, 0.9 * self.fixed_s), self._MOST_FIXED_S)

    def of(self, fires: int) -> timedelta:
        """The lead for a claim of that many fires: twice the estimated time."""
        return min(MAX_LEAD, max(MIN_LEAD, timedelta(seconds=2 * (self.fixed_s + fires * self.per_fire_s))))


@dataclass(slots=True)
class _NextClaim:
    """The fire time of the next claim ahead."""

    due: datetime | None = None
    #: How long before it the claim begins.
    lead: timedelta = MIN_LEAD
    #: How many timers this daemon claims before it leaves the rest to others.
    share: int = MOST_COUNTED


class ClaimAhead:
    """The tasks that one daemon has claimed ahead, until they are due."""

    def __init__(self, claims: Claims, clock: Clock, *, grace: timedelta = GRACE) -> None:
        self._claims = claims
        self._clock = clock
        self._grace = grace
        self._lead = Lead()
        #: In the order of their fire times.
        self._tasks: list[Task] = []
        #: The fire time for which there is nothing more to claim ahead.
        self._done_for: datetime | None = None
        self._next = _NextClaim()
        #: Whether these tasks may have been released already.
        self._is_releasing = False

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def next_due(self) -> datetime | None:
        """When the first of these tasks is due."""
        return self._tasks[0].fire_time if self._tasks else None

    def add(self, tasks: Collection[Task]) -> None:
        """Add tasks whose runs are written."""
        self._tasks = sorted([*self._tasks, *tasks], key=_fire_time)

    def due(self, now: datetime) -> list[Task]:
        """Remove and return the tasks that are due, unless they may have been released already.

        Those that are late by more than the grace, because the machine slept, are checked by the claims instead: other
        daemons may have taken them over, and their misfire policies apply.
        """
        if self._is_releasing or not self._tasks or self._tasks[0].fire_time > now:
            return []
        count = bisect_right(self._tasks, now, key=_fire_time)
        due, self._tasks = self._tasks[:count], self._tasks[count:]
        if now - due[0].fire_time <= self._grace:
            return due
        late = bisect_left(due, now - self._grace, key=_fire_time)
        self._claims.recheck(due[:late])
        return due[late:]

    def due_meanwhile(self, now: datetime, *, without: Collection[str]) -> list[Task]:
        """Remove and return the tasks that are due and may begin while the store does not answer.

        Those that are late by more than the grace are left for `due`, and so are those of some environments, and those
        that are being released: the store may have them back already.
        """
        if self._is_releasing or not self._tasks or self._tasks[0].fire_time > now:
            return []
        latest = now - self._grace
        due = [task for task in self._tasks if latest <= task.fire_time <= now and task.environment not in without]
        if due:
            taken = {task.run_id for task in due}
            self._tasks = [task for task in self._tasks if task.run_id not in taken]
        return due

    @property
    def next_crowd(self) -> list[Task]:
        """The tasks that are due next, if there are at least MIN_CROWD of the same fire time."""
        count = bisect_right(self._tasks, self._tasks[0].fire_time, key=_fire_time) if self._tasks else 0
        return self._tasks[:count] if count >= MIN_CROWD else []

    def refresh(self) -> None:
        """Forget what is known of the next claim, because timers may have changed."""
        self._done_for, self._next = None, _NextClaim()

    def begins_at(
        self, upcoming: Upcoming, now: datetime, *, daemons: int = 1, is_busy: bool = False
    ) -> datetime | None:
        """When to claim the next timers ahead, or to call this again; None if there are none to claim ahead.

        `daemons` is how many share the store. A daemon that `is_busy` counts the timers later, if there is time.
        """
        due = upcoming.next_due
        if due is None or due == self._done_for:
            return None
        if self._next.due != due:
            if is_busy and due - now > MAX_LEAD:
                return due - MAX_LEAD
            share = ceil(self._claims.count_due(due, most=MOST_COUNTED) / daemons)
            self._next = _NextClaim(due, self._lead.of(share), max(1, share))
        return due - self._next.lead

    def claim(self, upcoming: Upcoming, now: datetime, *, without: Environment | None = None) -> Upcoming:
        """Claim the timers that are due next, from `begins_at` on; returns the upcoming ones after that."""
        due = upcoming.next_due or now
        began, limit = self._clock.monotonic(), min(AHEAD_LIMIT, self._next.share)
        tasks, after = self._claims.claim_ahead(now, until=due, without=without, limit=limit)
        self._lead.update(len(tasks), self._clock.monotonic() - began)
        self._next.share -= len(tasks)
        if after.next_due == due and len(tasks) < limit:
            # The other timers cannot be claimed ahead, or other daemons have them.
            self._done_for = due
        elif after.next_due == due and self._next.share <= 0:
            # Leave the rest to the other daemons until shortly before the fire time.
            self._next = _NextClaim(due, LEFTOVER_LEAD)
        self.add(tasks)
        return after

    def remove(self, run_ids: Collection[int]) -> list[Task]:
        """Remove and return those of these runs that are here: they are cancelled."""
        removed = [task for task in self._tasks if task.run_id in run_ids]
        if removed:
            self._tasks = [task for task in self._tasks if task.run_id not in run_ids]
        return removed

    def release(self, now: datetime) -> None:
        """Undo the claims of these tasks, as if they had never been made."""
        if self._tasks:
            self._is_releasing = True
            self._claims.release(self._tasks, now)
            self._tasks = []
        self._is_releasing = False

    def finish_release(self, now: datetime) -> None:
        """Release these tasks if an earlier call was not answered: its transaction may have been committed or not."""
        if self._is_releasing:
            self.release(now)

    def give_back(self, others: Sequence[Task], now: datetime) -> None:
        """Give back these tasks and others that have not begun, because the daemon stops."""
        if others or self._tasks or self._claims.has_unknown_claims:
            self._is_releasing = True
            self._claims.give_back([*self._tasks, *others], now)
            self._tasks = []
        self._is_releasing = False

    def forget(self) -> None:
        """Drop all tasks, because other daemons have taken them over."""
        self._tasks = []
        self._is_releasing = False
        self.refresh()


def is_ahead(task: Task, now: datetime) -> bool:
    """Whether a task was claimed ahead. A requested run begins at once, even if the requester's clock is ahead."""
    return task.fire_time > now and task.kind is Kind.SCHEDULED and task.attempt == 1
