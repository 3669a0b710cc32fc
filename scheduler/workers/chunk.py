"""Chunk: tasks that were sent to a worker together, and when they ran by the clocks of the daemon."""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from ..core.run import Task
from ..core.timestamps import stamp
from .progress_cell import ProgressCell

#: After a chunk was revoked, the worker may begin one more task within this time.
SETTLED_S = 0.001


@dataclass(slots=True)
class Chunk:
    """Tasks that were sent together; the first `ended` of them have ended."""

    number: int
    tasks: list[Task]
    #: In monotonic seconds.
    sent_at: float
    ended: int = 0
    revoked_at: float | None = None

    @property
    def left(self) -> int:
        """The number of tasks that have not ended."""
        return len(self.tasks) - self.ended

    def revoke(self, cell: ProgressCell, now: float) -> list[Task]:
        """Revoke the chunk; a call SETTLED_S after the first one returns the tasks that the worker will never begin."""
        if self.revoked_at is None:
            cell.revoke(self.number)
            self.revoked_at = now
        if not self.is_settled(now):
            return []
        number, index, _ = cell.begun()
        first_left = index + 1 if number == self.number & 0xFFFF else 0
        back, self.tasks = self.tasks[first_left:], self.tasks[:first_left]
        return back

    def is_settled(self, now: float) -> bool:
        """Whether the chunk was revoked so long ago that the worker begins no more of its tasks."""
        return self.revoked_at is not None and now - self.revoked_at >= SETTLED_S

    def wall_times(self, times: list[tuple[int, int]], now_us: int, offset_us: int) -> list[tuple[int, int]]:
        """Convert the starts and ends that the worker reports from the monotonic clock to the wall clock.

        Each is clamped between the instant when the chunk was sent and now. `offset_us` is the wall clock minus the
        monotonic one.
        """
        sent_us = int(self.sent_at * 1_000_000)
        return [
            (start + offset_us, end + offset_us)
            if sent_us <= start <= end <= now_us
            else _clamped(start, end, sent_us, now_us, offset_us)
            for start, end in times
        ]


def _clamped(start: int, end: int, first: int, last: int, offset_us: int) -> tuple[int, int]:
    start = min(max(start, first), last)
    return start + offset_us, min(max(end, start), last) + offset_us


def wall_offset_us(clock: Clock) -> int:
    """The difference between the wall clock and the monotonic one, in microseconds."""
    return stamp(clock.now()) - int(clock.monotonic() * 1_000_000)
