"""How a daemon sleeps: until something turns readable, the time is up, or what makes no sound has changed.

The kernel wakes it for bells, news of workers and their ends. Nobody rings when the system clock is set, or when a
SQLite file is changed by someone who cannot ring here, from another container, say; Linux tells of these as well
(kernel.py). Elsewhere, or where the clock is not the kernel's, the daemon opens an eye once a second and looks.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from ..clock import SteadyClock
from ..store.database import Store

if TYPE_CHECKING:
    from .linux_wakeups import Alarm, FileWatch

#: How long it sleeps with both eyes shut where nobody tells it everything.
EYES_SHUT_S = 1.0
#: The system clock was set when it moved this much more, or less, than time has passed.
SET_S = 0.2


class Sleeper:
    """Sleeps for one daemon."""

    def __init__(self, store: Store, clock: SteadyClock) -> None:
        self._clock = clock
        self._changes = _Changes(store)
        self._alarm = _alarm(clock)

    def sleep(self, seconds: float, filenos: Sequence[int]) -> bool:
        """Sleep for that long, or until one of the descriptors is readable; whether something changed silently."""
        if seconds <= EYES_SHUT_S:
            self._wait(seconds, filenos)
            return False
        ends_at = time.monotonic() + seconds
        told_by = self._changes.told_by() if self._alarm is not None else None
        skew_s, version = self._skew_s(), self._changes.version()
        if told_by is not None and not self._wait(seconds, [*filenos, *told_by]) & set(told_by):
            return False
        # A change is told of while it is being made, so it may not be seen before the next look.
        while True:
            left_s = max(0.0, ends_at - time.monotonic())
            ready = self._wait(min(left_s, EYES_SHUT_S), filenos)
            if abs(self._skew_s() - skew_s) > SET_S or self._changes.version() != version:
                return True
            if ready or left_s <= EYES_SHUT_S:
                return False

    def close(self) -> None:
        self._changes.close()
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None

    def _wait(self, seconds: float, filenos: Sequence[int]) -> set[int]:
        """Wait for that long; which of the descriptors are readable. The alarm ends it early when the clock is set."""
        poller = select.poll()
        for fileno in filenos:
            poller.register(fileno, select.POLLIN)
        if self._alarm is not None and seconds > 0:
            self._alarm.set(seconds)
            poller.register(self._alarm.fileno(), select.POLLIN)
            ready = poller.poll()
        elif not (ready := poller.poll(int(seconds * 1000))):
            # It knows no part of a millisecond.
            time.sleep(seconds % 0.001)
        return {fileno for fileno, _ in ready if fileno in filenos}

    def _skew_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class _Changes:
    """Changes to a SQLite file that others made; PostgreSQL tells of them by itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._has_file = store.must_be_polled
        self._files = store.files
        self._watch = _watch() if self._files else None
        self._connection: Connection | None = None
        self._driver: Any = None

    def told_by(self) -> list[int] | None:
        """The descriptors that are going to tell of the next change; None where it has to be looked for."""
        if not self._has_file:
            return []
        if self._watch is None:
            return None
        try:
            self._watch.watch(self._files)
        except OSError:
            # A journal that is not there yet, or the limit of what may be watched.
            return None
        return [self._watch.fileno()]

    def version(self) -> int:
        """The number of changes; not all of them are others'."""
        if not self._has_file:
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
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _alarm(clock: SteadyClock) -> Alarm | None:
    """An alarm by the kernel's clock; None where that cannot be had, or is not the clock that the daemon goes by."""
    if not clock.is_system or "faketime" in os.environ.get("LD_PRELOAD", ""):
        return None
    with contextlib.suppress(OSError):
        from .linux_wakeups import Alarm

        return Alarm()
    return None


def _watch() -> FileWatch | None:
    with contextlib.suppress(OSError):
        from .linux_wakeups import FileWatch

        return FileWatch()
    return None
