"""How a daemon sleeps: until something turns readable, the time is up, or what makes no sound has changed.

The kernel wakes it for bells, news of workers and their ends. Nobody rings when the system clock is set, or when a
SQLite file is changed by someone who cannot ring here, from another container, say; for those it opens an eye now and
then, which costs next to nothing.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from .clock import Clock
from .store import Store

#: How long it sleeps with both eyes shut.
EYES_SHUT_S = 1.0
#: The system clock was set when it moved this much more, or less, than time has passed.
SET_S = 0.2


class Sleeper:
    """Sleeps for one daemon."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._clock = clock
        self._changes = _Changes(store)

    def sleep(self, seconds: float, filenos: Sequence[int]) -> bool:
        """Sleep for that long, or until one of the descriptors is readable; whether something changed silently."""
        poller = select.poll()
        for fileno in filenos:
            poller.register(fileno, select.POLLIN)
        if seconds > EYES_SHUT_S:
            skew_s, version = self._skew_s(), self._changes.version()
        while seconds > EYES_SHUT_S:
            if poller.poll(EYES_SHUT_S * 1000):
                return False
            if abs(self._skew_s() - skew_s) > SET_S or self._changes.version() != version:
                return True
            seconds -= EYES_SHUT_S
        if not poller.poll(int(seconds * 1000)):
            # It knows no part of a millisecond.
            time.sleep(seconds % 0.001)
        return False

    def close(self) -> None:
        self._changes.close()

    def _skew_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class _Changes:
    """The number of changes to a SQLite file that others made; PostgreSQL tells of them by itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._connection: Connection | None = None
        self._driver: Any = None

    def version(self) -> int:
        if not self._store.is_sqlite or self._store.in_memory:
            return 0
        if not self._store.is_in_place:
            return -1
        if self._connection is None:
            self._connection = self._store.own_connection()
            self._driver = self._connection.connection.dbapi_connection
        try:
            number: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        except self._store.driver_error:
            # Locked, or gone: whoever looks next will be told so.
            return -1
        return number

    def close(self) -> None:
        if self._connection is not None:
            self._driver.close()
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
