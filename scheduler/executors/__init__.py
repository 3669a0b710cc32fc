"""Executors run functions for the daemon. This file says what the daemon expects of one; each executor is a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from ..run import Ending, Line, Task


@dataclass(slots=True)
class Report:
    """What happened since the last report."""

    ended: list[tuple[Task, Ending]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    #: What ended and was printed elsewhere, and is in the store already.
    recorded: list[tuple[Task, Ending]] = field(default_factory=list)
    kept: list[Line] = field(default_factory=list)


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
