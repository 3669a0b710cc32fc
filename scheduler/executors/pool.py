"""Celery's pool of child processes, where a connection that is lost may find one of them dead, and which ends soon.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import time
from typing import Any

from celery.concurrency import asynpool, prefork  # type: ignore[import-untyped, import-not-found, unused-ignore]

#: How long a child that ends waits for the main process to count its words, and how often it looks.
GOODBYE_S, LOOK_S = 1.0, 0.05


class _Child(asynpool.Worker):  # type: ignore[misc]
    def _ensure_messages_consumed(self, completed: int) -> bool:
        """Wait until all words were heard; what a run came to is in its row, or noted, so it need not be for long.

        Celery's own waits for half a minute, and in vain where a main process that ends counts one too few.
        """
        for _ in range(int(GOODBYE_S / LOOK_S)):
            if not self.on_ready_counter or self.on_ready_counter.value >= completed:
                return True
            time.sleep(LOOK_S)
        return False


class _Children(asynpool.AsynPool):  # type: ignore[misc]
    Worker = _Child

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watch a child, unless its end has been seen already and it only waits to be replaced.

        Celery's own fails on such a one when the broker is back, and the worker with it: `file descriptor is None`.
        """
        if getattr(proc, "_sentinel_poll", proc) is not None:
            super()._track_child_process(proc, hub)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    Pool = _Children
