"""Drops malformed messages, on which Kombu's virtual transports would raise.

For Redis and PGMQ, whose messages are texts that anybody may have written who can write to the broker. Kombu's own
transports raise, and the worker ends.
"""

from __future__ import annotations

import logging
from typing import Any

from .message import dropped, is_envelope

NO_ENVELOPE = "it is no envelope of Kombu's"
#: What Kombu raises for texts that are not what it has written itself.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


log = logging.getLogger("scheduler.worker")


class DropsMalformed:
    """Mixed into a transport: drops what is not an envelope."""

    def _deliver(self, message: Any, queue: str) -> None:
        if not is_envelope(message):
            dropped.add(NO_ENVELOPE)
            return
        try:
            super()._deliver(message, queue)  # type: ignore[misc]
        except MALFORMED as error:
            log.info("a message that cannot be read", exc_info=True)
            dropped.add(f"it cannot be read ({type(error).__name__})")
