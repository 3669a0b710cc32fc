"""RunPings: reports the begins and ends of runs of timers with a ping address to the courier. Never blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..core.run import Ending, Task


class Messenger(Protocol):
    """The methods of the courier that a daemon calls."""

    def look(self) -> None:
        """Look for alerts, which the turn that has ended may have written."""

    def ping(self, report: Mapping[str, Any]) -> None:
        """Queue a ping."""


class RunPings:
    """The pings of a daemon; `addresses` are the ping addresses of timers by id, and change as timers are read."""

    def __init__(self, addresses: Mapping[int, str], courier: Messenger | None) -> None:
        #: Empty in a daemon without a courier.
        self.addresses = addresses if courier is not None else {}
        self._courier = courier

    def look(self) -> None:
        """Have the courier look for alerts, at the end of a turn."""
        if self._courier is not None:
            self._courier.look()

    def begun(self, tasks: Iterable[Task]) -> None:
        """Report that tasks are handed out."""
        if self.addresses:
            for task in tasks:
                self._report(task, "start")

    def ended(self, ended: Iterable[tuple[Task, Ending]]) -> None:
        """Report that runs have ended and are recorded."""
        if self.addresses:
            for task, ending in ended:
                self._report(task, ending.outcome.value)

    def _report(self, task: Task, what: str) -> None:
        if self._courier is not None and (url := self.addresses.get(task.timer_id or 0)) is not None:
            named = {"run_id": task.run_id, "request_id": task.request_id, "attempt": task.attempt}
            self._courier.ping({"url": url, "what": what, **named})
