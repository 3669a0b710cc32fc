"""ProcessLock: a lock among the processes of a pool, which the kernel releases when its holder dies, however it dies.

A semaphore stays taken when the process that took it is killed, and does not show its holder. This is a record lock of
fcntl(2): it belongs to a process, not to a descriptor that a forked child inherits. Threads of one process share it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import tempfile
import time

#: How often a process with a time-out tries.
_TRY_EVERY_S = 0.01
#: Linux's `struct flock`: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"


class ProcessLock:
    """Replaces the locks of billiard's queues; made before the children are forked."""

    def __init__(self) -> None:
        # Open as long as this process and its children live, because closing it would release the lock.
        with tempfile.TemporaryFile() as file:
            self._fileno = os.dup(file.fileno())

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Take the lock; False if another process still has it after `timeout` seconds or, unless `block`, at once."""
        if block and timeout is None:
            fcntl.lockf(self._fileno, fcntl.LOCK_EX)
            return True
        give_up_at = time.monotonic() + (timeout or 0.0 if block else 0.0)
        while True:
            try:
                fcntl.lockf(self._fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(_TRY_EVERY_S)
            else:
                return True

    def release(self) -> None:
        """Give the lock back."""
        fcntl.lockf(self._fileno, fcntl.LOCK_UN)

    def holder(self) -> int | None:
        """The pid of another process that has the lock; None if there is none, or if it is unknown."""
        if sys.platform != "linux":
            return None
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(self._fileno, fcntl.F_GETLK, asked))
        return int(pid) if kind != fcntl.F_UNLCK and pid > 0 else None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
