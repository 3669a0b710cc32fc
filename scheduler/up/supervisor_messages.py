"""SupervisorMessages: handles the supervisor's messages in the process with the store: lines, declarations, calls."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.timer import Environment
from ..project.project import Project
from ..store.database import Store
from .call_log import CallLogWriter
from .declared_timers import apply_preview
from .handover import Channel
from .orders import Orders
from .served_functions import record

if TYPE_CHECKING:
    from ..metrics import Metrics

_LOOK_AGAIN_S = 0.02


class SupervisorMessages:
    """Handles messages of the supervisor, without waiting for the store."""

    def __init__(
        self, store: Store, project: Project, call_log: CallLogWriter, channel: Channel, metrics: Metrics | None
    ) -> None:
        self._store = store
        self._project = project
        self._call_log = call_log
        self._channel = channel
        self._metrics = metrics
        self._has_last_lines = False

    def take(self, message: Mapping[str, Any]) -> None:
        """Handle a message."""
        if "lines" in message:
            self._call_log.add(message["lines"], partial(self._channel.send, stored=message["number"]))
        if "last_lines" in message:
            self._has_last_lines = True
        if "preview" in message:
            preview = message["preview"]
            threading.Thread(target=self._declare, args=(preview,), name="declared-timers", daemon=True).start()
        if self._metrics:
            _count(self._metrics, message)

    def _declare(self, preview: Mapping[str, Any]) -> None:
        record(self._store, Environment.STAGE, preview["catalogue"])
        apply_preview(self._store, preview["declared"], self._project, preview["target"])()

    def wait_for_last_lines(self, orders: Orders) -> None:
        """Wait until the processes that answer HTTP have ended and sent all lines, unless another one has the store.

        The supervisor limits the time: it orders this process to end at once, and kills it.
        """
        while not (self._has_last_lines or orders.is_retiring or len(orders.received) > 1):
            time.sleep(_LOOK_AGAIN_S)


def _count(metrics: Metrics, message: Mapping[str, Any]) -> None:
    # Values from a web process are not trusted, because the user's code runs there.
    with contextlib.suppress(TypeError, ValueError):
        for endpoint, function, status, seconds in message.get("answered", ()):
            metrics.answered(str(endpoint), str(function), int(status), float(seconds))
    for process in message.get("replaced", ()):
        metrics.replaced(process)
