"""Silence: measures how long a worker that could run has not answered, because it is stopped or a thread holds its GIL.

Time that the worker waits for a processor, or for its memory to be read back from disk, does not count: on a busy
machine every worker is slow.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

#: After this long without an answer, a worker is suspected: other workers get the tasks that it has not begun.
SUSPECT_S = 0.2
#: A suspected worker that could answer and has been silent for this long is killed.
ANSWER_S = 1.0
#: How often to check a suspected worker.
LOOK_EVERY_S = 0.1
#: The most that counts between two checks: the daemon itself may have been stopped, together with the worker.
_MOST_A_LOOK_S = 0.25
#: The most silence that is attributed to a busy machine.
_MOST_EXCUSED_S = 15.0


class Silence:
    """The silence of one suspected worker, from `now` on, in monotonic seconds."""

    def __init__(self, pid: int, now: float) -> None:
        self._pid = pid
        self._looked_at = now
        self._scheduled = _scheduled(pid)
        self._counted_s = 0.0
        self._excused_s = 0.0

    def counted_s(self, now: float) -> float:
        """How long the worker has been silent although it could have answered."""
        passed_s = min(now - self._looked_at, _MOST_A_LOOK_S)
        before, self._scheduled, self._looked_at = self._scheduled, _scheduled(self._pid), now
        excused_s = min(passed_s, self._excuse_s(before, passed_s), _MOST_EXCUSED_S - self._excused_s)
        self._excused_s += excused_s
        self._counted_s += passed_s - excused_s
        return self._counted_s

    def _excuse_s(self, before: _Scheduled | None, passed_s: float) -> float:
        after = self._scheduled
        if before is None or after is None:
            # Without /proc, use the load of the machine.
            busy = os.getloadavg()[0] / (os.cpu_count() or 1)
            return passed_s * (1 - 1 / max(1.0, busy))
        # The kernel adds the time that a process waits for a processor only when the process gets one.
        waits = after.state == "R" and after.ran_ns == before.ran_ns
        return passed_s if waits or after.state == "D" else (after.waited_ns - before.waited_ns) / 1e9


class _Scheduled(NamedTuple):
    """What the kernel's scheduler reports about a process, or about its main thread."""

    state: str
    ran_ns: int
    waited_ns: int


def _scheduled(pid: int) -> _Scheduled | None:
    with contextlib.suppress(OSError, ValueError):
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        ran_ns, waited_ns, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
        return _Scheduled(state, int(ran_ns), int(waited_ns))
    return None
