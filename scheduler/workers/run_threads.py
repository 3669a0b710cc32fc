"""Which run a thread of a worker belongs to: the one in which it was started, also after that has ended.

Threads that were started while the functions were loaded serve every run.
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
        """Have every thread that is started from now on know its run."""
        FollowedThreads(_RUN, self.run_of_thread).follow()

    def is_main(self) -> bool:
        """Whether the calling thread is the one that runs the functions."""
        return threading.get_ident() == self._main

    def run_of_thread(self) -> int:
        """The run that the calling thread belongs to: the one in progress, unless it was started in an earlier one."""
        if self.is_main():
            return self._current()
        return getattr(threading.current_thread(), _RUN, 0) or self._current()
