"""FollowedThreads: maps a thread to the run or call that started it, even after that has ended.

A thread inherits the owner of the thread that starts it. Work for a thread pool belongs to the thread that submits it.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_POOL_MODULE: Final = "concurrent.futures.thread"


class FollowedThreads:
    """Sets the owner of each thread of this process as an attribute; `current` is that of the calling thread."""

    def __init__(self, attribute: str, current: Callable[[], Any]) -> None:
        self._attribute = attribute
        self._current = current
        self._follows = self._follows_pools = False

    def follow(self) -> None:
        """Set the owner of every thread that is started from now on."""
        if self._follows:
            return
        self._follows = True
        start = threading.Thread.start

        @functools.wraps(start)
        def start_within(thread: threading.Thread) -> None:
            setattr(thread, self._attribute, self._current())
            if not self._follows_pools and _POOL_MODULE in sys.modules:
                self._follow_pools()
            start(thread)

        threading.Thread.start = start_within  # type: ignore[assignment, method-assign]

    def _follow_pools(self) -> None:
        pool = getattr(sys.modules[_POOL_MODULE], "ThreadPoolExecutor", None)
        if pool is None:
            return
        self._follows_pools = True
        submit = pool.submit

        @functools.wraps(submit)
        def submit_within(executor: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return submit(executor, self._within, self._current(), function, *args, **kwargs)

        pool.submit = submit_within

    def _within(self, owner: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function in a thread that has this owner meanwhile."""
        thread = threading.current_thread()
        before = getattr(thread, self._attribute, None)
        setattr(thread, self._attribute, owner)
        try:
            return function(*args, **kwargs)
        finally:
            setattr(thread, self._attribute, before)
