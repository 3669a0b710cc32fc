"""Executors run functions for the daemon. This file defines their protocols.

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

    Making an Ending for each may take longer than the function, so it is postponed until the daemon has time.
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
    """The endings and lines since the last report: those to record, and those in the store already."""

    ended: list[tuple[Task, Ending]] = field(default_factory=list)
    #: Further runs that ended.
    plain_successes: list[PlainSuccesses] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    #: Endings and lines that another process has written to the store.
    recorded: list[tuple[Task, Ending]] = field(default_factory=list)
    recorded_lines: list[Line] = field(default_factory=list)

    def __len__(self) -> int:
        """The number of endings to record."""
        return len(self.ended) + sum(len(some.tasks) for some in self.plain_successes)

    def endings(self) -> list[tuple[Task, Ending]]:
        """The endings to record."""
        return self.ended + [pair for some in self.plain_successes for pair in some.endings()]


class Executor(Protocol):
    """Runs tasks within their limits and reports each exactly once; never blocks the daemon."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Accept tasks; each ends in a report, whatever its function does."""
        ...

    def collect(self) -> Report:
        """Enforce the limits, and return the endings and lines since the last call."""
        ...

    def filenos(self) -> list[int]:
        """File descriptors that become readable when there may be something to collect."""
        ...

    def next_check(self) -> float | None:
        """Seconds until `collect` must be called even if no descriptor becomes readable; None = no need."""
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
        """The number of tasks that have not begun, and that no worker has."""
        ...


@runtime_checkable
class Handing(Protocol):
    """An executor that measures how long tasks have been waiting to begin, in its queue or at a worker."""

    @property
    def oldest_unbegun_s(self) -> float:
        """The age in seconds of the oldest task that has not begun; 0.0 if all have. Safe from any thread."""
        ...


@runtime_checkable
class Withdrawing(Protocol):
    """An executor that returns tasks that have not begun when its daemon stops."""

    def withdraw(self) -> list[Task]:
        """Begin no task from now on; return those that have not begun, which are not reported.

        Call it again until every task has been returned or has ended, because some may take a moment.
        """
        ...

    @property
    def begun(self) -> int:
        """The number of tasks in progress. Safe from any thread."""
        ...


@runtime_checkable
class Cancelling(Protocol):
    """An executor that can end single runs; with any other one, they run to their end or their limit."""

    def cancel(self, run_ids: Collection[int]) -> None:
        """End these runs, begun or not, as far as it has them, and report them as cancelled; never blocks."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """An executor that starts tasks sooner after it has prepared for them."""

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Prepare for tasks that will probably be submitted in a moment."""
        ...


@runtime_checkable
class FleetExecutor(Executor, Protocol):
    """Runs tasks in other processes, which continue when the daemon ends, and write the endings to the store."""

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over tasks of another executor of this kind, handed out or not."""
        ...
