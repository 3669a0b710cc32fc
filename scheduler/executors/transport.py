"""Kombu's way to PGMQ, without its pause: a worker that is full asks for messages again as soon as it is not.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

from kombu.transport import pgmq  # type: ignore[import-untyped, import-not-found, unused-ignore]

#: How often to look for messages where a notice was lost.
POLL_S = 1.0
#: How often a worker looks whether it may take messages again.
FULL_S = 0.002


class Transport(pgmq.Transport):
    """Waits for a notice of a new message; Kombu's own does so too while it may take none, and misses its turn."""

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> Any:
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self.cycle.get(self._deliver, timeout=timeout)  # type: ignore[union-attr]
            except Empty:
                left_s = POLL_S if give_up_at is None else min(POLL_S, give_up_at - time.monotonic())
            if left_s <= 0:
                raise TimeoutError
            if all(channel.qos.can_consume() for channel in connection.channels):
                self._get_notify_waiter().wait(left_s)
            else:
                time.sleep(min(left_s, FULL_S))
