"""Celery's consumer of messages: drops malformed messages, and reconnects soon to a broker that did not answer.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.worker import consumer, state  # type: ignore[import-untyped, import-not-found, unused-ignore]
from kombu.exceptions import OperationalError  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .broker_connection import SIGNAL_S, connect
from .message import MessageError, cleaned, dropped

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   celery.worker.consumer.Consumer.ensure_connected(conn)   called for every connection; sets first_connection_attempt
#   celery.worker.consumer.Consumer.register_with_event_loop(hub)   called once the event loop exists
#   celery.worker.consumer.Consumer.call_soon_ack(p, *args, **kwargs)   calls p at once without an event loop,
#       and logs the traceback of what it raises
#   celery.worker.state.maybe_shutdown()   raises where a signal has asked the worker to end
#   celery.worker.consumer.Consumer.create_task_handler()   returns what takes each message
#   celery.worker.consumer.Consumer.on_decode_error(message, exc)
#   kombu.Connection: transport_cls, the scheme; _transport, its transport, made when first used
#   kombu's hub: call_repeatedly, call_later, create_loop; the pool's register_with_event_loop(hub)

log = logging.getLogger("scheduler.worker")

#: How often to try a broker that does not answer; Celery's own consumer waits longer each time, up to half a minute.
RETRY_S = 0.5


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Enforces limits and reads from children while the broker does not answer; Celery's own consumer only sleeps."""

    def ensure_connected(self, conn: Any) -> Any:
        if conn.transport_cls in ("redis", "rediss"):
            # Imported here because Redis's client is installed only with that broker.
            from .redis_transport import RedisTransport

            transport: Any = RedisTransport
            conn._transport = transport(client=conn)
        logged = False
        while True:
            # Raises if a signal has asked the worker to end.
            state.maybe_shutdown()
            try:
                connect(conn)
                break
            except OperationalError as error:
                if not logged:
                    logged = True
                    log.error("the broker does not answer (%s); trying again every %g s", error, RETRY_S)
                    self._watch_children()
            self._wait()
        self.first_connection_attempt = False
        is_pgmq = self.app.conf.broker_url.startswith("pgmq:")
        log.info("connected to the broker %s", self.app.conf.broker_url if is_pgmq else conn.as_uri())
        return conn

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        # The loop checks for signals whenever it wakes up; by itself it wakes up every five seconds.
        hub.call_repeatedly(SIGNAL_S, int)

    def create_task_handler(self, *arguments: Any, **options: Any) -> Any:
        take = super().create_task_handler(*arguments, **options)

        def take_cleaned(message: Any) -> Any:
            try:
                cleaned(message)
            except MessageError as error:
                dropped.add(error)
                self.call_soon_ack(message.reject_log_error, log, self.connection_errors)
                return None
            return take(message)

        return take_cleaned

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Called instead of the handler, for a message that Kombu could not unpack."""
        dropped.add(f"it cannot be unpacked ({type(exc).__name__})")
        self.call_soon_ack(message.reject_log_error, log, self.connection_errors)

    def call_soon_ack(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        if self.hub is not None:
            return super().call_soon_ack(p, *args, **kwargs)
        try:
            return p(*args, **kwargs)
        except Exception as error:
            # The connection is lost. The broker delivers the message again, and the rows of its runs refuse it then.
            log.info("a message could not be acknowledged (%s)", error)
            return None

    def _watch_children(self) -> None:
        """Register the children with the event loop again, because Celery unregistered them with the connection."""
        if self.hub is not None and not self.first_connection_attempt:
            self.pool.register_with_event_loop(self.hub)

    def _wait(self) -> None:
        """Wait for RETRY_S, in which the event loop handles the children."""
        if self.hub is None or self.first_connection_attempt:
            # Without an event loop, threads of the pool handle them.
            time.sleep(RETRY_S)
            return
        is_over: list[bool] = []
        self.hub.call_later(RETRY_S, is_over.append, True)
        while not is_over:
            for _ in self.hub.create_loop():
                if is_over:
                    break
