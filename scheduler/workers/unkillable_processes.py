"""UnkillableProcesses: processes that the kernel has not ended after a kill, because it waits for a device."""

from __future__ import annotations

import logging
import subprocess
from typing import Final

log = logging.getLogger("scheduler.executor")

#: How long after the kill the log reports such a process.
LOG_AFTER_S: Final = 5.0


class UnkillableProcesses:
    """Tracks the killed processes that have not ended, which the pool does not wait for; `now` is monotonic seconds."""

    def __init__(self) -> None:
        #: The instant of each kill; None once it is logged.
        self._killed: dict[subprocess.Popen[bytes], float | None] = {}

    def __len__(self) -> int:
        return len(self._killed)

    def add(self, process: subprocess.Popen[bytes], now: float) -> None:
        """Track a process that was killed."""
        self._killed.setdefault(process, now)

    def look(self, now: float) -> None:
        """Forget the processes that have ended; log once each that has not ended within LOG_AFTER_S."""
        for process, killed_at in list(self._killed.items()):
            if process.poll() is not None:
                del self._killed[process]
            elif killed_at is not None and now - killed_at >= LOG_AFTER_S:
                self._killed[process] = None
                text = (
                    "process %d was killed %.0f s ago and has not ended: the kernel waits for a device, perhaps a disk"
                )
                log.error(text, process.pid, now - killed_at)


#: One for all pools of this program.
unkillable_processes = UnkillableProcesses()
