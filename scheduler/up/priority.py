"""The priority of processes that answer HTTP: low while functions there compute, so that timers are on time.

A priority is lowered only where it can be restored (scheduler/workers/niceness.py). A process that mostly waits for
something, as most do, keeps its priority.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..workers import niceness
from .process import ChildProcess

#: How often is measured what a process computes.
LOOK_EVERY_S = 1.0
#: A process that wants more of a processor than the first of these gets low priority; below the second it is restored.
BUSY, CALM = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen of a process."""

    at: float
    wanted_s: float
    is_low: bool


class Priorities:
    """Keeps the priority of processes by what they compute."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}
        self._look_at = 0.0

    def look(self, now: float, processes: Iterable[ChildProcess]) -> None:
        """Measure, now and then, and set the priorities."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_S
        pids = [process.pid for process in processes]
        self._seen = {pid: _look_at(pid, self._seen.get(pid), now) for pid in pids}


def _look_at(pid: int, seen: _Seen | None, now: float) -> _Seen:
    """Measure one process, and change its priority if need be."""
    wanted_s = _wanted_s(pid)
    if seen is None:
        return _Seen(now, wanted_s, is_low=False)
    is_low, share = seen.is_low, (wanted_s - seen.wanted_s) / max(now - seen.at, LOOK_EVERY_S)
    if share > BUSY and not is_low:
        is_low = niceness.lower(pid)
    elif share < CALM and is_low:
        is_low = not niceness.restore(pid)
    return _Seen(now, wanted_s, is_low)


def _wanted_s(pid: int) -> float:
    """The seconds that the threads of a process have computed, or waited for a processor, which others may have taken.

    0 where that cannot be told.
    """
    with contextlib.suppress(OSError, ValueError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(sum(map(int, (thread / "schedstat").read_text().split()[:2])) for thread in threads) / 1e9
    return 0.0
