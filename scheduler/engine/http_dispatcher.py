"""The threads of our HTTP server: ping and the server's check of itself have their own, which are never busy.

Lives here: which thread answers a request; a site whose pages hang may hold every other thread. Never here: the
answer. It imports waitress, and is therefore imported only when a server starts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]

from .routes import PING, match

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# ThreadedTaskDispatcher   add_task, shutdown   overridden; also called by the server and by its channels
#                          start_new_thread     overridden; its number is in `threads` until the thread is told to end
#                          set_thread_count     starts the threads
#                          active_count         the threads that do not wait for a task
# HTTPChannel              requests             the task that is added is a channel; it answers `requests[0]` next
#                          addr                 the client's address and port
# HTTPRequestParser        path                 without the query, decoded

#: How long new threads may take until they wait for requests; a server starts then, whether they do or not.
_START_S = 5.0
#: The client's address of a connection on which the server checks itself; no client can have it.
OWN_ADDRESS = "self-check"


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Queues the next request of a connection for a thread."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._pings = ThreadedTaskDispatcher()
        self._checks = ThreadedTaskDispatcher()
        self._started: dict[int, threading.Thread] = {}
        _start(self, threads)
        _start(self._pings, 1)
        _start(self._checks, 1)

    def start_new_thread(self, target: Callable[[int], object], thread_no: int) -> None:
        thread = threading.Thread(target=target, name=f"waitress-{thread_no}", args=(thread_no,), daemon=True)
        self._started[thread_no] = thread
        thread.start()

    @property
    def has_lost_threads(self) -> bool:
        """Whether a thread has ended by an exception: a function has broken what the server is built on."""
        return any(not thread.is_alive() and number in self.threads for number, thread in self._started.items())

    def add_task(self, task: Any) -> None:
        """Queue a connection that has a request."""
        if task.addr[0] == OWN_ADDRESS:
            self._checks.add_task(task)
        elif _is_ping(task.requests[0].path):
            self._pings.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        """End the threads."""
        self._checks.shutdown(cancel_pending, timeout)
        self._pings.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


def _start(dispatcher: ThreadedTaskDispatcher, threads: int) -> None:
    """Start threads and wait until they are idle: waitress warns of a queue where a thread has not begun to wait."""
    dispatcher.set_thread_count(threads)
    give_up_at = time.monotonic() + _START_S
    while dispatcher.active_count and time.monotonic() < give_up_at:
        time.sleep(0.001)


def _is_ping(path: str) -> bool:
    matched = match(path) if "/ping" in path else None
    return matched is not None and matched.endpoint is PING
