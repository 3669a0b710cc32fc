"""Processes that were killed and have not ended, because the kernel waits for a device: nobody waits for them."""

from __future__ import annotations

import logging
import subprocess
from typing import Final

log = logging.getLogger("scheduler.executor")

#: After how long the log says so.
SAY_AFTER_S: Final = 5.0


class KilledProcesses:
    """The killed processes that have not ended; `now` is in monotonic seconds."""

    def __init__(self) -> None:
        #: Each with when it was killed, or None after that was said.
        self._killed: dict[subprocess.Popen[bytes], float | None] = {}

    def __len__(self) -> int:
        return len(self._killed)

    def add(self, process: subprocess.Popen[bytes], now: float) -> None:
        """A process was killed."""
        self._killed.setdefault(process, now)

    def look(self, now: float) -> None:
        """Forget those that have ended; log once those that have not for SAY_AFTER_S."""
        for process, killed_at in list(self._killed.items()):
            if process.poll() is not None:
                del self._killed[process]
            elif killed_at is not None and now - killed_at >= SAY_AFTER_S:
                self._killed[process] = None
                text = (
                    "process %d was killed %.0f s ago and has not ended: the kernel waits for a device, perhaps a disk"
                )
                log.error(text, process.pid, now - killed_at)


#: Those of this program, whichever pool they belonged to.
killed_processes = KilledProcesses()
