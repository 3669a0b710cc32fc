"""Celery's pool of child processes, where a connection that is lost finds one of them dead.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

from typing import Any

from celery.concurrency import asynpool, prefork  # type: ignore[import-untyped, import-not-found, unused-ignore]


class _Children(asynpool.AsynPool):  # type: ignore[misc]
    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watch a child, unless its end has been seen already and it only waits to be replaced.

        Celery's own fails on such a one when the broker is back, and the worker with it: `file descriptor is None`.
        """
        if getattr(proc, "_sentinel_poll", proc) is not None:
            super()._track_child_process(proc, hub)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    Pool = _Children
