"""Ends a fleet's worker in bounded time, even if a function, the store or the broker hangs.

first signal      no further run begins; those in progress may end, within their limit and stop_timeout_s
second signal     or when that time has passed: the worker kills its children, abandons their runs, and ends
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

from billiard import active_children  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.signals import worker_shutting_down  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.worker import state  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .dead_children import EndingWriter

# What this relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   celery.signals.worker_shutting_down   sent in the handler of each signal that ends the worker, with sig="SIGTERM"
#   celery.worker.state.active_requests   the messages that children have accepted; time_limits[0] is their hard limit

log = logging.getLogger("scheduler.worker")

#: How long a worker may need to end, in addition to the functions in progress: a store or broker may not answer.
END_S = 10.0
#: How long it may take to write the endings of the runs whose children it has killed.
AT_ONCE_S = 2.0
_LOG_EVERY_S = 10.0
#: The file in the worker's folder that tells children to begin no run.
_STOPPING = "stopping"


def is_stopping(folder: Path) -> bool:
    """Whether the worker with this folder has been asked to end."""
    return (folder / _STOPPING).exists()


class WorkerStopping:
    """Ends the worker; its thread waits for the signals that Celery handles."""

    def __init__(self, writer: EndingWriter, folder: Path, timeout_s: float) -> None:
        self._writer = writer
        self._folder = folder
        self._timeout_s = timeout_s
        self._signals: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        # A strong reference. Celery calls it in a signal handler, so it only puts into a queue.
        worker_shutting_down.connect(self._signalled, weak=False)
        threading.Thread(target=self._watch, name="stopping", daemon=True).start()

    def _signalled(self, sender: str, sig: str, **_: Any) -> None:
        self._signals.put((sender, int(signal.Signals[sig])))

    def _watch(self) -> None:
        node, _ = self._signals.get()
        with contextlib.suppress(OSError):
            (self._folder / _STOPPING).touch()
        if state.active_requests:
            log.info("stopping: %s; a second signal ends it at once", _what_goes_on())
        give_up_at = time.monotonic() + self._longest_s() + END_S
        while (left_s := give_up_at - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                _, number = self._signals.get(timeout=min(left_s, _LOG_EVERY_S))
                self._end_at_once(node, 128 + number)
            log.info("stopping: %s", _what_goes_on())
        log.error("ending now; unfinished: %s", _what_goes_on())
        self._end_at_once(node, 0)

    def _longest_s(self) -> float:
        """How long the messages in progress may take."""
        try:
            limits = [float(request.time_limits[0] or 0.0) for request in list(state.active_requests)]
        except (RuntimeError, TypeError, ValueError):
            # The set changed while it was read.
            return self._timeout_s
        return min(self._timeout_s, max(limits, default=0.0))

    def _end_at_once(self, node: str, status: int) -> None:
        """Kill the children and their descendants, abandon their runs, and end without waiting for anything else."""
        try:
            self._writer.abandon_from_now_on()
            for child in active_children():
                self._writer.child_was_killed(child.pid, f"{node}/{child.pid}")
            self._writer.close(AT_ONCE_S)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            os._exit(status)


def _what_goes_on() -> str:
    count = len(state.active_requests)
    if count:
        return "1 message is in progress" if count == 1 else f"{count} messages are in progress"
    return "waiting for the store or the broker"
