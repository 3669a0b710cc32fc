"""Kombu's way to PGMQ on one connection, so that its loss is seen at once, and without Kombu's locks and pauses.

Named in Celery's settings (broker.py); nothing else imports it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import Empty
from typing import Any

import psycopg
from kombu.transport import pgmq  # type: ignore[import-untyped, import-not-found, unused-ignore]
from pgmq import PGMQueue

from .broker_connection import SIGNAL_S

#: How often to look for messages where a notice was lost.
POLL_S = 1.0
#: How often a worker looks whether it may take messages again.
FULL_S = 0.002
#: Whoever makes a queue is alone at it. The number is ours: "queue" in ASCII.
_ALONE = "SELECT pg_advisory_xact_lock(487300887909)"
#: Whether a queue is there, and notices are given of its messages.
_IS_MADE = """
    SELECT EXISTS (
        SELECT FROM pg_trigger
        WHERE tgrelid = to_regclass(format('pgmq.%%I', 'q_' || %s::text))
        AND tgname = 'trigger_notify_queue_insert_listeners'
    )
"""


class Channel(pgmq.Channel):
    """Leaves a queue alone that is there, and listens to it for a consumer only.

    Kombu's own makes the trigger of the notices anew each time, under a lock for which workers that come back together
    wait in a circle with those who send; and it listens for those who only send, too, and never hear.
    """

    def basic_consume(self, queue: str, *words: Any, **more: Any) -> Any:
        self.connection._register_notify_queue(self._queue_name(queue))
        return super().basic_consume(queue, *words, **more)  # type: ignore[no-untyped-call, unused-ignore]

    def _new_queue(self, queue: str, **_: Any) -> None:
        name = self._queue_name(queue)
        pool: Any = self.pgmq.pool
        with pool.connection() as connection:
            if connection.execute(_IS_MADE, (name,)).fetchone() == (True,):
                return
            with connection.together():
                connection.execute(_ALONE)
                if connection.execute(_IS_MADE, (name,)).fetchone() == (False,):
                    self.pgmq.create_queue(name, conn=connection)
                    self.pgmq.enable_notify(name, throttle_interval_ms=0, conn=connection)

    def _size(self, queue: str) -> int:
        """How many messages wait to be taken; Kombu's own counts those too that a worker took, which may be no more."""
        size: int = self.pgmq.metrics(self._queue_name(queue)).queue_visible_length
        return size

    def _maybe_enable_notify(self, *_: Any, **__: Any) -> None:
        """It has been, when the queue was made."""


class Transport(pgmq.Transport):
    """Waits for a notice of a new message; Kombu's own does so too while it may take none, and misses its turn."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> Any:
        give_up_at = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self.cycle.get(self._deliver, timeout=timeout)  # type: ignore[union-attr]
            except Empty:
                left_s = POLL_S if give_up_at is None else min(POLL_S, give_up_at - time.monotonic())
            if left_s <= 0 or _is_to_end():
                raise TimeoutError
            if all(channel.qos.can_consume() for channel in connection.channels):
                self._await_notice(left_s)
            else:
                time.sleep(min(left_s, FULL_S))

    def _await_notice(self, seconds: float) -> None:
        """Wait for that long, or until there is a notice, or a signal has asked the worker to end."""
        give_up_at = time.monotonic() + seconds
        while (left_s := give_up_at - time.monotonic()) > 0 and not _is_to_end():
            if self._get_notify_waiter().wait(min(left_s, SIGNAL_S)):
                return

    def close_connection(self, connection: Any) -> None:
        pool: Any = self._pgmq_client and self._pgmq_client.pool
        super().close_connection(connection)
        if pool is not None:
            # Its client leaves it open, not having made it.
            pool.close()

    def _create_pgmq_client(self) -> PGMQueue:
        pool: Any = OneConnection(self._options["address"])
        return PGMQueue(vt=self._options["visibility_timeout"], init_extension=False, pool=pool)

    def _get_notify_waiter(self) -> Any:
        if self._notify_waiter is None:
            self._notify_waiter = pgmq._NotifyWaiter(self._options["address"])
        return self._notify_waiter

    @property
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.client.transport_options  # type: ignore[union-attr]
        return options


def _is_to_end() -> bool:
    """Whether a signal has asked this worker to end."""
    # Not for daemons, which only send.
    from celery.worker import state  # type: ignore[import-untyped, import-not-found, unused-ignore]

    return state.should_stop is not None


class OneConnection:
    """In place of a pool, which would go on with its dead connections, one after the other, and wait between them.

    `address` is in libpq's words. Opened when first used, and again after a loss, which its user is told of.
    """

    def __init__(self, address: str) -> None:
        self._address = address
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
        """End it."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _connected(self) -> _Statements:
        if self._connection is None:
            self._connection = _Statements.connect(self._address, autocommit=True)
        return self._connection


class _Statements(psycopg.Connection[Any]):
    """A connection in which each statement is a transaction: PGMQ's client never sends two in one."""

    def together(self) -> AbstractContextManager[Any]:
        """A transaction of several."""
        return super().transaction()

    def transaction(self, *_: Any, **__: Any) -> Any:
        return nullcontext()
