"""A connection to PostgreSQL that waits for its server for a bounded time only; psycopg is imported here.

A server that stands still, or whose packets are lost, keeps its socket open, and libpq waits for it for hours. Here
every wait ends: for the answer to a statement and to a COMMIT, and for a notification that is under way. Connecting is
bounded by `connect_timeout`. What was sent may have been done all the same, as after every loss of a connection.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from math import inf
from typing import Any

import psycopg

#: What a wait of psycopg receives when neither reading nor writing is possible yet, some ten times a second.
_NOT_READY = 0


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when its server has not answered for `timeout_s`; None waits without a bound."""

    timeout_s: float | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for an exchange with the server; OperationalError when it takes longer than `timeout_s`."""
        if self.timeout_s is not None:
            gen = self._bounded(gen)
        return super().wait(gen, *args, **kwargs)

    def _timeout_s_now(self) -> float:
        """How long a wait may take that goes on; asked some ten times a second while nothing comes."""
        return inf if self.timeout_s is None else self.timeout_s

    def _bounded(self, exchange: Any) -> Generator[Any, Any, Any]:
        since = time.monotonic()
        try:
            awaited = next(exchange)
            while True:
                ready = yield awaited
                if ready == _NOT_READY and time.monotonic() - since >= (timeout_s := self._timeout_s_now()):
                    # Without a farewell, which the server would not read.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no answer within {timeout_s:g} s")
                awaited = exchange.send(ready)
        except StopIteration as end:
            return end.value
