"""Which run a thread belongs to: the one in which it was started, also after that has ended.

A thread inherits the run of the thread that starts it. What is submitted to a pool of threads belongs to the run that
submits it. Threads that were started while the functions were loaded serve every run.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

#: The attribute of a thread that holds its run.
_RUN: Final = "_scheduler_run"
_POOL_MODULE: Final = "concurrent.futures.thread"


class RunThreads:
    """Follows the threads of this process; `current` returns the run in progress, 0 for none."""

    def __init__(self, current: Callable[[], int]) -> None:
        self._current = current
        self._main = threading.get_ident()
        self._follows_pools = False

    def follow(self) -> None:
        """Have every thread that is started from now on know its run."""
        start = threading.Thread.start

        @functools.wraps(start)
        def start_in_run(thread: threading.Thread) -> None:
            setattr(thread, _RUN, self.run_of_thread())
            if not self._follows_pools and _POOL_MODULE in sys.modules:
                self._follow_pools()
            start(thread)

        threading.Thread.start = start_in_run  # type: ignore[assignment, method-assign]

    def is_main(self) -> bool:
        """Whether the calling thread is the one that runs the functions."""
        return threading.get_ident() == self._main

    def run_of_thread(self) -> int:
        """The run that the calling thread belongs to: the one in progress, unless it was started in an earlier one."""
        if self.is_main():
            return self._current()
        return getattr(threading.current_thread(), _RUN, 0) or self._current()

    def _follow_pools(self) -> None:
        self._follows_pools = True
        pool = getattr(sys.modules[_POOL_MODULE], "ThreadPoolExecutor", None)
        if pool is None:
            return
        submit = pool.submit

        @functools.wraps(submit)
        def submit_in_run(executor: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit(executor, _in_run, self.run_of_thread(), function, *args, **kwargs)

        pool.submit = submit_in_run


def _in_run(run_id: int, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in a thread that belongs to a run meanwhile."""
    thread = threading.current_thread()
    before = getattr(thread, _RUN, 0)
    setattr(thread, _RUN, run_id)
    try:
        return function(*args, **kwargs)
    finally:
        setattr(thread, _RUN, before)
