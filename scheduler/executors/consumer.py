"""Celery's consumer of messages, which finds a broker that was away soon after its return, and complains of it once.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.worker import consumer, state  # type: ignore[import-untyped, import-not-found, unused-ignore]
from kombu.exceptions import OperationalError  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .broker import connect

log = logging.getLogger("scheduler.worker")

#: How often to look for a broker that is away; Celery's own waits longer each time, up to half a minute.
RETRY_S = 0.5


class Consumer(consumer.Consumer):  # type: ignore[misc]
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
            time.sleep(RETRY_S)
        self.first_connection_attempt = False
        return conn
