"""Executors run functions for the daemon. This file says what the daemon expects of one; each executor is a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from ..core.breaker import Verdict
from ..core.run import Ending, Line, Outcome, Task
from ..core.timestamps import instant


class EndedWell(NamedTuple):
    """Runs that succeeded with nothing to tell, as nearly all do; `times` says when each started and ended.

    To make an Ending of each takes longer than its function may have taken, so that is left to whoever has the time.
    """

    tasks: Sequence[Task]
    #: Microseconds since 1970.
    times: Sequence[tuple[int, int]]

    def endings(self) -> list[tuple[Task, Ending]]:
        """The same, one by one."""
        return [
            (task, Ending(Outcome.SUCCEEDED, Verdict.GOOD, instant(ended_at), instant(started_at)))
            for task, (started_at, ended_at) in zip(self.tasks, self.times, strict=True)
        ]


@dataclass(slots=True)
class Report:
    """What happened since the last report."""

    ended: list[tuple[Task, Ending]] = field(default_factory=list)
    #: Further runs that ended.
    well: list[EndedWell] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    #: What ended and was printed elsewhere, and is in the store already.
    recorded: list[tuple[Task, Ending]] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)

    def __len__(self) -> int:
        """How many runs ended that are to be recorded."""
        return len(self.ended) + sum(len(some.tasks) for some in self.well)

    def endings(self) -> list[tuple[Task, Ending]]:
        """All of those."""
        return self.ended + [pair for some in self.well for pair in some.endings()]


class Executor(Protocol):
    """Runs tasks within their limits and reports each exactly once; never blocks the daemon."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks over; each ends in a report, whatever becomes of its function."""
        ...

    def collect(self) -> Report:
        """What ended and what was printed since the last call; enforces the limits on the way."""
        ...

    def filenos(self) -> list[int]:
        """File descriptors that turn readable when there may be something to collect."""
        ...

    def next_check(self) -> float | None:
        """Seconds until `collect` must be called even if nothing turns readable; None = no need."""
        ...

    def stop(self) -> None:
        """End every run at once, with its children, and release everything."""
        ...


@runtime_checkable
class Queue(Protocol):
    """An executor in which tasks may wait for their turn."""

    @property
    def waiting(self) -> int:
        """How many tasks have not been begun, nor handed to whoever begins them."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """An executor that is quicker where it is told beforehand."""

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Make ready for tasks that will be submitted in a moment, if nothing comes between."""
        ...


@runtime_checkable
class FleetExecutor(Executor, Protocol):
    """Has tasks run elsewhere: they go on when the daemon ends, and the store hears of their end without it."""

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over tasks that another executor of this kind had handed out, or was about to."""
        ...
