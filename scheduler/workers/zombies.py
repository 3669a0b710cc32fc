"""The worker as a subreaper: descendants that lose their parent become its children, and it reaps the zombies.

So a kill of the worker finds a process that left the group and the session by forking twice, with an environment of
its own: the worker is its parent. In return the worker has to wait for those that end, as process 1 would.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
#: How often to look for ended children, in microseconds.
LOOK_EVERY_US: Final = 1_000_000
#: For how many looks an ended child is left to the function that started it, which may wait for it.
_LOOKS: Final = 10


def become_reaper() -> None:
    """Make this process the parent of descendants that lose theirs; does nothing if the kernel cannot."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Reaper:
    """Reaps ended children of the main thread that no other code waits for; `look` is called between runs."""

    def __init__(self, own: Callable[[], Collection[int]] = frozenset) -> None:
        """`own` are children that other code waits for, however long after their end."""
        self._own = own
        self._children = Path(f"/proc/self/task/{os.getpid()}/children")
        #: How often each ended child was seen.
        self._seen: dict[int, int] = {}
        #: Whether there were children at the last look.
        self.has_children = False

    def look(self) -> None:
        """Wait for the children that ended at least ten looks ago."""
        pids = self._pids()
        ended = [pid for pid in pids if _has_ended(pid)]
        self.has_children = len(pids) > len(ended)
        self._seen = {pid: self._seen.get(pid, 0) + 1 for pid in ended}
        for pid, looks in self._seen.items():
            if looks > _LOOKS and pid not in self._own():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _pids(self) -> list[int]:
        with contextlib.suppress(OSError, ValueError):
            return [int(pid) for pid in self._children.read_text().split()]
        return []


def _has_ended(pid: int) -> bool:
    """Whether a child is a zombie; does not reap it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False
