"""ResultBuffer: endings of runs and printed lines that are not in the store yet. `now` is in monotonic seconds.

Results are written in batches, because a transaction for each run would cost more than the runs; claiming due timers
comes first, unless a result is older than LONGEST_S.
"""

from __future__ import annotations

from ..core.run import Ending, Line, Task
from ..executors import PlainSuccesses, Report

#: This many endings and lines, or results older than LONGEST_S, are recorded before anything else is claimed.
MAX_RESULTS, LONGEST_S = 20_000, 0.25
#: Otherwise endings are recorded when there is one ending per SHARE running runs.
SHARE = 8


class ResultBuffer:
    """Results to record (`ended`, `printed`), and results that a fleet has recorded, for the listener only."""

    def __init__(self) -> None:
        self._ended: list[tuple[Task, Ending]] = []
        #: Further endings, later than those.
        self._plain: list[PlainSuccesses] = []
        self._plain_count = 0
        self.printed: list[Line] = []
        self._recorded: list[tuple[Task, Ending]] = []
        self._recorded_lines: list[Line] = []
        self._since = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether there are endings to be recorded."""
        return bool(self._ended or self._plain)

    @property
    def ended(self) -> list[tuple[Task, Ending]]:
        """The endings to be recorded, oldest first."""
        if self._plain:
            self._ended += [pair for some in self._plain for pair in some.endings()]
            self._plain, self._plain_count = [], 0
        return self._ended

    def __len__(self) -> int:
        return (
            self._plain_count + len(self._ended) + len(self.printed) + len(self._recorded) + len(self._recorded_lines)
        )

    def add(self, report: Report, now: float) -> None:
        """Add the report of an executor."""
        if not self:
            self._since = now
        self._ended += report.ended
        self._plain += report.plain_successes
        self._plain_count += len(report) - len(report.ended)
        self.printed += report.lines
        self._recorded += report.recorded
        self._recorded_lines += report.recorded_lines

    def is_overdue(self, now: float) -> bool:
        """Whether these results must be recorded before anything else is claimed."""
        return bool(self) and (len(self) >= MAX_RESULTS or now - self._since >= LONGEST_S)

    def is_ripe(self, now: float, *, running: int) -> bool:
        """Whether these results are worth a transaction while `running` runs are in progress."""
        return bool(self) and (len(self) * SHARE >= running or self.is_overdue(now))

    def overdue_in_s(self, now: float) -> float | None:
        """Seconds until these results are overdue; None if there are none."""
        return max(0.0, self._since + LONGEST_S - now) if self else None

    def take_all(self) -> tuple[list[tuple[Task, Ending]], list[Line]]:
        """Empty the buffer; returns all endings and lines, for the listener."""
        ended, printed = self.ended + self._recorded, self.printed + self._recorded_lines
        self._ended, self.printed, self._recorded, self._recorded_lines = [], [], [], []
        return ended, printed

    def forget(self) -> None:
        """Drop the results that this daemon may no longer record; keep recorded ones for the listener."""
        self._ended, self._plain, self._plain_count, self.printed = [], [], 0, []
