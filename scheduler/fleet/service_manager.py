"""Reports to the service manager of a fleet's worker that it is ready, alive and stopping; a thread sends the messages.

Celery's signals say when: a worker is ready when it takes messages, and stopping from the first signal to end.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

#: How often to send a sign of life, at least.
EVERY_S = 1.0
#: For how long a start may take longer than the service manager allows: a broker may be away.
START_S = 300.0


class Manager(Protocol):
    """The worker's reports to its service manager."""

    @property
    def alive_every_s(self) -> float | None: ...
    def ready(self, status: str) -> None: ...
    def stopping(self) -> None: ...
    def alive(self, now: float) -> None: ...
    def takes_longer(self, now: float) -> None: ...


class WorkerReports:
    """Sends the reports of this process, from its start until it ends; `status` is shown when it is ready."""

    status = "serving"

    def __init__(self, manager: Manager) -> None:
        from celery.signals import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
            worker_ready,
            worker_shutting_down,
        )

        self._manager = manager
        #: A signal handler may put into it at any moment.
        self._changes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_serving = False
        worker_ready.connect(self._on_ready, weak=False)
        worker_shutting_down.connect(self._on_stopping, weak=False)
        threading.Thread(target=self._report, name="service manager", daemon=True).start()

    def _on_ready(self, **_: Any) -> None:
        self._changes.put(self._ready)

    def _on_stopping(self, **_: Any) -> None:
        self._changes.put(self._stopping)

    def _ready(self) -> None:
        self._is_serving = True
        self._manager.ready(self.status)

    def _stopping(self) -> None:
        self._is_serving = False
        self._manager.stopping()

    def _report(self) -> None:
        every_s = min(EVERY_S, (self._manager.alive_every_s or EVERY_S) / 2)
        give_up_at = time.monotonic() + START_S
        while True:
            with contextlib.suppress(queue.Empty):
                self._changes.get(timeout=every_s)()
                # A stop is bounded (stopping.py).
                give_up_at = float("inf")
            now = time.monotonic()
            self._manager.alive(now)
            if not self._is_serving and now < give_up_at:
                self._manager.takes_longer(now)
