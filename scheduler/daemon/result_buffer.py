"""ResultBuffer: how runs ended and what they printed, kept until the store has it. `now` is monotonic seconds.

What is due goes before it, and small change is gathered: a transaction for each run that ends would cost more than the
runs. But nothing waits here for long, or in great number.
"""

from __future__ import annotations

from ..core.run import Ending, Line, Task
from ..executors import PlainSuccesses, Report

#: So many outcomes and lines, or such old ones, are recorded before anything else is claimed.
MOST, LONGEST_S = 20_000, 0.25
#: Outcomes are recorded when they are one in so many of the runs that go on.
SHARE = 8


class ResultBuffer:
    """What is to be recorded (`ended`, `printed`), and what a fleet has recorded that is only to be told."""

    def __init__(self) -> None:
        self._ended: list[tuple[Task, Ending]] = []
        #: What comes after that.
        self._plain: list[PlainSuccesses] = []
        self._plain_count = 0
        self.printed: list[Line] = []
        self._recorded: list[tuple[Task, Ending]] = []
        self._kept: list[Line] = []
        self._since = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether there are runs that ended."""
        return bool(self._ended or self._plain)

    @property
    def ended(self) -> list[tuple[Task, Ending]]:
        """How runs ended."""
        if self._plain:
            self._ended += [pair for some in self._plain for pair in some.endings()]
            self._plain, self._plain_count = [], 0
        return self._ended

    def __len__(self) -> int:
        return self._plain_count + len(self._ended) + len(self.printed) + len(self._recorded) + len(self._kept)

    def add(self, report: Report, now: float) -> None:
        """Take what an executor reports."""
        if not self:
            self._since = now
        self._ended += report.ended
        self._plain += report.plain_successes
        self._plain_count += len(report) - len(report.ended)
        self.printed += report.lines
        self._recorded += report.recorded
        self._kept += report.recorded_lines

    def is_overdue(self, now: float) -> bool:
        """Whether what is here can wait no longer."""
        return bool(self) and (len(self) >= MOST or now - self._since >= LONGEST_S)

    def is_ripe(self, now: float, *, running: int) -> bool:
        """Whether it is worth a transaction, while `running` runs go on that will end as well."""
        return bool(self) and (len(self) * SHARE >= running or self.is_overdue(now))

    def overdue_in_s(self, now: float) -> float | None:
        """Seconds until what is here can wait no longer; None where there is nothing."""
        return max(0.0, self._since + LONGEST_S - now) if self else None

    def emptied(self) -> tuple[list[tuple[Task, Ending]], list[Line]]:
        """Everything that was here, to be told of: what ended, and what was printed."""
        ended, printed = self.ended + self._recorded, self.printed + self._kept
        self._ended, self.printed, self._recorded, self._kept = [], [], [], []
        return ended, printed

    def forget(self) -> None:
        """Drop what is no longer this daemon's to record; what is recorded is still to be told of."""
        self._ended, self._plain, self._plain_count, self.printed = [], [], 0, []
