"""WorkerLines: assigns the lines of a worker to runs, and limits them; on the daemon's side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ..clock import Clock
from ..core.log_limits import LineLimit
from ..core.run import Line, Task
from ..core.timestamps import instant
from .protocol import PackedLine
from .raw_output import RawOutput


class WorkerLines:
    """The lines of one worker; a line that belongs to no run in progress has the `run_id` 0.

    `current` returns the task that the worker runs, `has_left_over` whether earlier runs have left threads or
    processes behind, which may print.
    """

    def __init__(self, clock: Clock, current: Callable[[], Task | None], has_left_over: Callable[[], bool]) -> None:
        self.raw_output = RawOutput(self._add_raw)
        self._lines: list[Line] = []
        self._clock = clock
        self._current = current
        self._has_left_over = has_left_over
        #: The earliest instant that a line without a run may have, in monotonic microseconds.
        self._first_us = int(clock.monotonic() * 1_000_000)
        #: Limits raw lines: those of the run in progress, or of several if earlier runs left processes behind.
        self._limit = LineLimit()
        self._stray_limit = LineLimit()

    def taken(self) -> list[Line]:
        """The lines since the last call."""
        if not self._lines:
            return self._lines
        lines, self._lines = self._lines, []
        return lines

    def add(self, line: PackedLine, offset_us: int, *, is_ours: bool) -> None:
        """Add a line from the worker; `is_ours`: the worker has this run; `offset_us`: wall clock minus monotonic."""
        now_us = int(self._clock.monotonic() * 1_000_000)
        at = instant(min(max(line.at, self._first_us), now_us) + offset_us)
        if is_ours:
            self._lines.append(Line(line.run_id, at, line.level, line.text))
        elif line.run_id:
            self._add_stray(at, line.level, f"left over from run {line.run_id}: {line.text}")
        else:
            self._add_stray(at, line.level, line.text)

    def end_run(self) -> int:
        """End the run; returns how many of its raw lines were dropped."""
        dropped, self._limit.dropped = self._limit.dropped, 0
        if self._limit.used and not self._has_left_over():
            self._limit = LineLimit()
        return dropped

    def _add_raw(self, level: str, text: str) -> None:
        """Add a line of a child process or of C code to the run in progress."""
        current = self._current()
        if current is None:
            self._add_stray(self._clock.now(), level, text)
        elif self._limit.allows(self._clock.monotonic()):
            self._lines.append(Line(current.run_id, self._clock.now(), level, text))

    def _add_stray(self, at: datetime, level: str, text: str) -> None:
        """Add a line that belongs to no run in progress, up to the limit of a minute."""
        if not self._stray_limit.allows(self._clock.monotonic()):
            return
        if dropped := self._stray_limit.dropped:
            self._stray_limit.dropped = 0
            self._lines.append(Line(0, at, "warning", f"{dropped} more lines that belong to no run were dropped"))
        self._lines.append(Line(0, at, level, text))
