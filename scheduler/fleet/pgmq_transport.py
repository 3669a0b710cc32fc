"""Kombu's transport for PGMQ on one connection: it detects a loss at once, without Kombu's locks and pauses.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import Empty
from typing import Any, TypeVar

import psycopg
from kombu.transport import pgmq  # type: ignore[import-untyped, import-not-found, unused-ignore]
from pgmq import PGMQueue

from ..store.bounded_connection import BoundedConnection
from .broker_connection import SIGNAL_S
from .malformed_messages import NO_ENVELOPE, DropsMalformed
from .message import dropped, is_envelope

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   kombu.transport.pgmq.Channel: basic_consume(queue, …), _new_queue(queue, **kwargs), _size(queue),
#       _maybe_enable_notify(queue, queue_name), _pgmq_messages_to_python(messages, queue); relies on _queue_name, pgmq
#       and connection (the Transport); marks properties.delivery_info with pgmq_queue and pgmq_msg_id
#   kombu.transport.pgmq.Transport: drain_events(connection, timeout), close_connection(connection),
#       _create_pgmq_client(), _get_notify_waiter(); relies on _register_notify_queue, _deliver, cycle, _pgmq_client,
#       _notify_waiter, client.transport_options, and a channel's qos.can_consume()
#   kombu.transport.pgmq._NotifyWaiter(dsn): wait(timeout)
#   pgmq.PGMQueue(vt, init_extension, pool): create_queue, enable_notify, metrics; takes connections from
#       pool.connection() alone, and has each statement in a transaction of its own; logs to its attribute logger
#   kombu.transport.pgmq._NotifyWaiter(dsn): _ensure_conn() sets _conn, listening on _channels by _listen(conn, channel)

#: How often to poll for messages, in case a notification was lost.
POLL_S = 1.0
#: How often a worker that has enough messages checks whether it may fetch more.
FULL_S = 0.002
#: How long a worker that ends waits for an answer from the server.
END_S = 1.0
#: Lets one process at a time create queues. The number spells "queue" in ASCII.
_LOCK = "SELECT pg_advisory_xact_lock(487300887909)"
#: Whether a queue exists and sends notifications of its messages.
_EXISTS = """
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = to_regclass(format('pgmq.%%I', 'q_' || %s::text))
        AND tgname = 'trigger_notify_queue_insert_listeners'
    )
"""


_Connection = TypeVar("_Connection", bound="_BrokerConnection")


class PgmqChannel(pgmq.Channel):
    """Leaves an existing queue as it is, and listens for notifications only if it consumes messages.

    Kombu's own creates the trigger of the notifications again for each channel, under a lock on which workers that
    reconnect deadlock with senders; and it listens in programs that only send, too.
    """

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        self.connection._register_notify_queue(self._queue_name(queue))
        return super().basic_consume(queue, *arguments, **options)  # type: ignore[no-untyped-call, unused-ignore]

    def _new_queue(self, queue: str, **_: Any) -> None:
        name = self._queue_name(queue)
        pool: Any = self.pgmq.pool
        with pool.connection() as connection:
            if connection.execute(_EXISTS, (name,)).fetchone() == (True,):
                return
            with connection.multi_statement_transaction():
                connection.execute(_LOCK)
                if connection.execute(_EXISTS, (name,)).fetchone() == (False,):
                    self.pgmq.create_queue(name, conn=connection)
                    self.pgmq.enable_notify(name, throttle_interval_ms=0, conn=connection)

    def _size(self, queue: str) -> int:
        """The number of messages that wait; Kombu's own method also counts those that workers have fetched."""
        size: int = self.pgmq.metrics(self._queue_name(queue)).queue_visible_length
        return size

    def _pgmq_messages_to_python(self, messages: Any, queue: str) -> list[Any]:
        """The payloads that are envelopes; removes others from the queue, which would be delivered again and again."""
        envelopes = [message for message in messages if is_envelope(message.message)]
        for message in messages:
            if not is_envelope(message.message):
                dropped.add(NO_ENVELOPE)
                self.pgmq.delete(self._queue_name(queue), message.msg_id)
        return super()._pgmq_messages_to_python(envelopes, queue)  # type: ignore[no-untyped-call, no-any-return, unused-ignore]

    def _maybe_enable_notify(self, *_: Any, **__: Any) -> None:
        """Do nothing, because `_new_queue` has enabled notifications."""


class PgmqTransport(DropsMalformed, pgmq.Transport):
    """Waits for a notification only while it may fetch a message; Kombu's own transport always waits, and too long."""

    Channel = PgmqChannel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> Any:
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self.cycle.get(self._deliver, timeout=timeout)  # type: ignore[union-attr]
            except Empty:
                left_s = POLL_S if give_up_at is None else min(POLL_S, give_up_at - time.monotonic())
            if left_s <= 0 or _is_shutting_down():
                raise TimeoutError
            if all(channel.qos.can_consume() for channel in connection.channels):
                self._wait_for_message(left_s)
            else:
                time.sleep(min(left_s, FULL_S))

    def _wait_for_message(self, seconds: float) -> None:
        """Wait for `seconds`, for a notification, or for a signal to end."""
        give_up_at = time.monotonic() + seconds
        while (left_s := give_up_at - time.monotonic()) > 0 and not _is_shutting_down():
            if self._get_notify_waiter().wait(min(left_s, SIGNAL_S)):
                return

    def close_connection(self, connection: Any) -> None:
        pool: Any = self._pgmq_client and self._pgmq_client.pool
        super().close_connection(connection)
        if pool is not None:
            # The client does not close a pool that was passed to it.
            pool.close()

    def _create_pgmq_client(self) -> PGMQueue:
        pool: Any = OneConnection(self._options["address"], self._options["timeout_s"])
        return _Client(vt=self._options["visibility_timeout"], init_extension=False, pool=pool)

    def _get_notify_waiter(self) -> Any:
        if self._notify_waiter is None:
            self._notify_waiter = _NotificationWaiter(self._options["address"], self._options["timeout_s"])
        return self._notify_waiter

    @property
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.client.transport_options  # type: ignore[union-attr]
        return options


class _Client(PGMQueue):  # type: ignore[no-untyped-call, unused-ignore]
    """A client that logs to the logging module even where loguru is installed, which would show each message."""

    @property
    def logger(self) -> logging.Logger:
        return logging.getLogger(PGMQueue.__module__)

    @logger.setter
    def logger(self, _: Any) -> None:
        """Do nothing: the client sets one of loguru, where that is installed."""


def _is_shutting_down() -> bool:
    """Whether a signal has asked this worker to end."""
    # Not imported, because daemons, which only send, do not need it.
    state = sys.modules.get("celery.worker.state")
    return state is not None and state.should_stop is not None


class OneConnection:
    """Replaces psycopg's pool, which after a loss would retry its dead connections one by one, with pauses.

    `address` is a connection string of libpq; a server that does not answer a statement within `timeout_s` counts as
    lost. It opens the connection at once, and again after it has raised a loss, unless the worker is ending.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._connection: _Statements | None = None
        self._lock = threading.RLock()
        self._connected()

    @contextmanager
    def connection(self) -> Iterator[_Statements]:
        """The connection, for one thread at a time."""
        with self._lock:
            connection = self._connected()
            try:
                yield connection
            finally:
                if connection.broken:
                    self.close()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _connected(self) -> _Statements:
        if self._connection is None:
            self._connection = _connected(_Statements, self._address, self._timeout_s)
        return self._connection


class _BrokerConnection(BoundedConnection):
    """A connection that waits at most END_S for each answer once the worker has been asked to end."""

    def _timeout_s_now(self) -> float:
        timeout_s = super()._timeout_s_now()
        return min(timeout_s, END_S) if _is_shutting_down() else timeout_s


class _Statements(_BrokerConnection):
    """A connection in autocommit mode whose `transaction` does nothing: PGMQ's client sends one statement in each."""

    def multi_statement_transaction(self) -> AbstractContextManager[Any]:
        """A transaction of several statements."""
        return super().transaction()

    def transaction(self, *_: Any, **__: Any) -> Any:
        return nullcontext()


class _NotificationWaiter(pgmq._NotifyWaiter):
    """Listens on a connection with bounded waits; Kombu's own may wait for LISTEN for hours."""

    _conn: Any

    def __init__(self, address: str, timeout_s: float) -> None:
        super().__init__(address)
        self._timeout_s = timeout_s

    def _ensure_conn(self) -> None:
        if self._conn is not None:
            return
        connection = _connected(_BrokerConnection, self._dsn, self._timeout_s)
        try:
            for channel in self._channels:
                self._listen(connection, channel)
        except BaseException:
            connection.close()
            raise
        self._conn = connection


def _connected(kind: type[_Connection], address: str, timeout_s: float) -> _Connection:
    """A new connection in autocommit mode; OperationalError if the worker is ending."""
    if _is_shutting_down():
        raise psycopg.OperationalError("the connection is lost, and the worker is ending")
    connection = kind.connect(address, autocommit=True)
    connection.timeout_s = timeout_s
    return connection
