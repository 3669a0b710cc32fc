"""Drops malformed messages, on which Kombu's virtual transports would raise.

For Redis and PGMQ, whose messages are texts: any client of the broker may have written them. Kombu's own transports
raise, and the worker ends.
"""

from __future__ import annotations

import logging
from typing import Any

from .message import dropped, is_envelope

NO_ENVELOPE = "it is not an envelope of Kombu's"
#: The exceptions that Kombu raises for texts that it did not write.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


log = logging.getLogger("scheduler.worker")


class DropsMalformed:
    """A mix-in for transports: drops a message that is not an envelope of Kombu's."""

    def _deliver(self, message: Any, queue: str) -> None:
        if not is_envelope(message):
            dropped.add(NO_ENVELOPE)
            return
        try:
            super()._deliver(message, queue)  # type: ignore[misc]
        except MALFORMED as error:
            log.info("a message that cannot be read", exc_info=True)
            dropped.add(f"it cannot be read ({type(error).__name__})")
