"""Which thread of our HTTP server answers a request: ping has one of its own, so that nothing keeps it out.

Lives here: that choice. Never here: what is answered. A site whose pages hang may hold every other thread.
"""

from __future__ import annotations

from typing import Any

from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from .routes import PING, match


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Hands the first request of a connection to a thread."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.set_thread_count(threads)
        self._pings = ThreadedTaskDispatcher()
        self._pings.set_thread_count(1)

    def add_task(self, task: Any) -> None:
        """Queue a connection that has a request."""
        if _is_ping(task.requests[0].path):
            self._pings.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads."""
        self._pings.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


def _is_ping(path: str) -> bool:
    matched = match(path) if "/ping" in path else None
    return matched is not None and matched.endpoint is PING
