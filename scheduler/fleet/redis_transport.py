"""Kombu's transport for Redis, which drops malformed messages; Kombu's own raises, and the worker ends.

Only workers, which receive messages, use it (celery_consumer.py); daemons send with Kombu's own.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .malformed_messages import MALFORMED, DropsMalformed
from .message import dropped

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   kombu.transport.redis.Channel._brpop_read(**options)   takes a text from a list and has it delivered; a text that
#       is not JSON raises ValueError, after it was taken
#   kombu.transport.virtual.base.Transport._deliver(message, queue)


class RedisChannel(redis.Channel):
    """Drops texts that are not JSON."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call, unused-ignore]
        except MALFORMED as error:
            dropped.add(f"it is not JSON ({type(error).__name__})")
            return True


class RedisTransport(DropsMalformed, redis.Transport):
    """Receives messages through these channels."""

    Channel = RedisChannel
