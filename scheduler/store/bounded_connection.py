"""A connection to PostgreSQL that waits for its server for a bounded time only; psycopg is imported here.

If a server hangs, or its packets are lost, the socket stays open, and libpq waits for hours. Here every wait is
bounded: for the answer to a statement and to a COMMIT, and for a notification in transit. `connect_timeout` bounds
connecting. As after every loss of a connection, the server may have executed what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from math import inf
from typing import Any

import psycopg

#: The event that psycopg's wait sends about ten times a second while the socket is neither readable nor writable.
_NOT_READY = 0


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that closes when its server has not answered for `timeout_s`; None waits without a bound."""

    timeout_s: float | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for an exchange with the server; OperationalError when it takes longer than `timeout_s`."""
        if self.timeout_s is not None:
            gen = self._bounded(gen)
        return super().wait(gen, *args, **kwargs)

    def _timeout_s_now(self) -> float:
        """The current bound of a wait in progress; called about ten times a second while the server is silent."""
        return inf if self.timeout_s is None else self.timeout_s

    def _bounded(self, exchange: Any) -> Generator[Any, Any, Any]:
        since = time.monotonic()
        try:
            awaited = next(exchange)
            while True:
                ready = yield awaited
                if ready == _NOT_READY and time.monotonic() - since >= (timeout_s := self._timeout_s_now()):
                    # Without the Terminate message, which the server would not read.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {timeout_s:g} s")
                awaited = exchange.send(ready)
        except StopIteration as end:
            return end.value
