"""RunThreads: maps a thread of a worker to the run that started it, even after that run has ended.

Threads that were started while the functions were loaded belong to the run in progress.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ..functions.followed_threads import FollowedThreads

#: The attribute of a thread that holds its run.
_RUN: Final = "_scheduler_run"


class RunThreads:
    """Follows the threads of this process; `current` returns the run in progress, 0 for none."""

    def __init__(self, current: Callable[[], int]) -> None:
        self._current = current
        self._main = threading.get_ident()

    def follow(self) -> None:
        """Record the run of every thread that is started from now on."""
        FollowedThreads(_RUN, self.run_of_thread).follow()

    def is_main(self) -> bool:
        """Whether the calling thread is the one that runs the functions."""
        return threading.get_ident() == self._main

    def run_of_thread(self) -> int:
        """The run of the calling thread: the one that started it, else the one in progress."""
        if self.is_main():
            return self._current()
        return getattr(threading.current_thread(), _RUN, 0) or self._current()
