"""Executors run functions for the daemon. This file defines what the daemon expects of one.

Two kinds of executors are in this folder: threads of this process, and a remote engine. The other two have rooms of
their own: workers/ (worker processes) and fleet/ (Celery).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from ..core.breaker import Verdict
from ..core.run import Ending, Line, Outcome, Task
from ..core.timestamps import instant


class PlainSuccesses(NamedTuple):
    """Runs that succeeded, returned None and dropped no line, as nearly all do; `times` are their starts and ends.

    Making an Ending of each may take longer than its function took, so that is left until there is time for it.
    """

    tasks: Sequence[Task]
    #: Microseconds since 1970.
    times: Sequence[tuple[int, int]]

    def endings(self) -> list[tuple[Task, Ending]]:
        """The same runs, each with its Ending."""
        return [
            (task, Ending(Outcome.SUCCEEDED, Verdict.GOOD, instant(ended_at), instant(started_at)))
            for task, (started_at, ended_at) in zip(self.tasks, self.times, strict=True)
        ]


@dataclass(slots=True)
class Report:
    """What happened since the last report: what is to be recorded, and what is in the store already."""

    ended: list[tuple[Task, Ending]] = field(default_factory=list)
    #: Further runs that ended.
    plain_successes: list[PlainSuccesses] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    #: Runs that ended, and lines that were printed, which another process has written to the store.
    recorded: list[tuple[Task, Ending]] = field(default_factory=list)
    recorded_lines: list[Line] = field(default_factory=list)

    def __len__(self) -> int:
        """How many runs ended that are to be recorded."""
        return len(self.ended) + sum(len(some.tasks) for some in self.plain_successes)

    def endings(self) -> list[tuple[Task, Ending]]:
        """The runs that ended and are to be recorded."""
        return self.ended + [pair for some in self.plain_successes for pair in some.endings()]


class Executor(Protocol):
    """Runs tasks within their limits and reports each exactly once; never blocks the daemon."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take tasks over; each ends in a report, whatever its function does."""
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
        """End every run at once, with its child processes, and release everything."""
        ...


@runtime_checkable
class Starting(Protocol):
    """An executor that takes time to start, before its first task."""

    def start(self) -> None:
        """Start, and return when it can run tasks."""
        ...


@runtime_checkable
class Queue(Protocol):
    """An executor in which tasks may wait for a worker."""

    @property
    def waiting(self) -> int:
        """How many tasks have not been begun, nor handed to a worker that begins them."""
        ...


@runtime_checkable
class Handing(Protocol):
    """An executor that knows for how long tasks have been waiting to begin, in its queue or at a worker."""

    @property
    def oldest_unbegun_s(self) -> float:
        """Seconds since the oldest task came that has not begun; 0.0 where all have. Safe from any thread."""
        ...


@runtime_checkable
class Withdrawing(Protocol):
    """An executor that gives up tasks which have not begun, when its daemon stops."""

    def withdraw(self) -> list[Task]:
        """From now on begin no task; return those that have not begun, and are not reported.

        To be called again until every task has been returned or has ended: some may take a moment.
        """
        ...

    @property
    def begun(self) -> int:
        """How many tasks go on. Safe from any thread."""
        ...


@runtime_checkable
class Cancelling(Protocol):
    """An executor that can end single runs; any other one lets them go on to their end or their limit."""

    def cancel(self, run_ids: Collection[int]) -> None:
        """End those of these runs that it has, begun or not, and report them as cancelled; never blocks."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """An executor that starts tasks sooner when it was prepared for them."""

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Make ready for tasks that will probably be submitted in a moment."""
        ...


@runtime_checkable
class FleetExecutor(Executor, Protocol):
    """Has tasks run by other processes: they go on when the daemon ends, and write their ends to the store."""

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over tasks that another executor of this kind had handed out, or was about to."""
        ...
