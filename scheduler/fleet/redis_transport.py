"""Kombu's transport for Redis, with two faults worked around: a malformed message ends the worker, and the event loop
keeps the transport of each connection that was lost.

Only workers, which receive messages, use it (celery_consumer.py); daemons send with Kombu's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from kombu.transport import redis  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .malformed_messages import MALFORMED, DropsMalformed
from .message import dropped

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   kombu.transport.redis.Channel._brpop_read(**options)   takes a text from a list and has it delivered; a text that
#       is not JSON raises ValueError, after it was taken
#   kombu.transport.virtual.base.Transport._deliver(message, queue)
#   kombu.transport.redis.Transport.register_with_event_loop(connection, loop)   called for each connection on which the
#       worker receives; adds a function to the set loop.on_tick, which is called in each turn of the loop


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

    #: What the event loop calls in each turn for the last connection.
    _on_tick: ClassVar[set[Any]] = set()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Take the place of the last connection in the event loop, from which Kombu removes none."""
        loop.on_tick -= self._on_tick
        others = set(loop.on_tick)
        super().register_with_event_loop(connection, loop)  # type: ignore[no-untyped-call, unused-ignore]
        RedisTransport._on_tick = loop.on_tick - others
