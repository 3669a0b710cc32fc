"""Celery's consumer of messages, which finds a broker that was away soon after its return, and complains of it once.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.worker import consumer, state  # type: ignore[import-untyped, import-not-found, unused-ignore]
from kombu.exceptions import OperationalError  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .broker_connection import SIGNAL_S, connect

log = logging.getLogger("scheduler.worker")

#: How often to look for a broker that is away; Celery's own waits longer each time, up to half a minute.
RETRY_S = 0.5


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """While the broker is away, limits are kept and children are heard; Celery's own only sleeps then."""

    def ensure_connected(self, conn: Any) -> Any:
        complaint = ""
        while True:
            # A signal may ask the worker to end.
            state.maybe_shutdown()
            try:
                connect(conn)
                break
            except OperationalError as error:
                if not complaint:
                    complaint = str(error)
                    log.error("the broker does not answer (%s); trying again every %g s", complaint, RETRY_S)
                    self._go_on()
            self._wait()
        self.first_connection_attempt = False
        return conn

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        # What wakes the loop has it look; Celery's own looks every five seconds.
        hub.call_repeatedly(SIGNAL_S, int)

    def _go_on(self) -> None:
        """Have the event loop see to the children again, which it was cut off from with the broker."""
        if self.hub is not None and not self.first_connection_attempt:
            self.pool.register_with_event_loop(self.hub)

    def _wait(self) -> None:
        if self.hub is None or self.first_connection_attempt:
            # Without an event loop, the pool has threads to do the same.
            time.sleep(RETRY_S)
            return
        over: list[bool] = []
        self.hub.call_later(RETRY_S, over.append, True)
        while not over:
            for _ in self.hub.create_loop():
                if over:
                    break
