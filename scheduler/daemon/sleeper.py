"""Sleeper: sleeps until a descriptor becomes readable, the time is up, or a silent change has happened.

A silent change is one without a notification: the system clock was set, or a SQLite file was changed from another
container. Linux reports both by descriptors (linux_wakeups.py). On other systems, or if the daemon's clock is not the
kernel's, it polls for them every POLL_S.
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

#: How often to poll for silent changes where the kernel does not report them.
POLL_S = 1.0
#: The system clock was set if it moved by this much more or less than the monotonic clock.
SET_S = 0.2


class Sleeper:
    """Sleeps for one daemon."""

    def __init__(self, store: Store, clock: SteadyClock) -> None:
        self._clock = clock
        self._changes = _FileChanges(store)
        self._alarm = _alarm(clock)

    def sleep(self, seconds: float, filenos: Sequence[int]) -> bool:
        """Sleep for `seconds`, or until a descriptor is readable; returns whether there was a silent change.

        Sleeps ≤ POLL_S do not check for silent changes.
        """
        if seconds <= POLL_S:
            self._wait(seconds, filenos)
            return False
        ends_at = time.monotonic() + seconds
        watched = self._changes.watch() if self._alarm is not None else None
        skew_s, version = self._skew_s(), self._changes.version()
        if watched is not None and not self._wait(seconds, [*filenos, *watched]) & set(watched):
            return False
        # The kernel reports a change to a file before it is committed, so poll from now on until it is visible.
        while True:
            left_s = max(0.0, ends_at - time.monotonic())
            ready = self._wait(min(left_s, POLL_S), filenos)
            if abs(self._skew_s() - skew_s) > SET_S or self._changes.version() != version:
                return True
            if ready or left_s <= POLL_S:
                return False

    def close(self) -> None:
        self._changes.close()
        if self._alarm is not None:
            self._alarm.close()
            self._alarm = None

    def _wait(self, seconds: float, filenos: Sequence[int]) -> set[int]:
        """Wait for `seconds`; returns the descriptors that are readable. Ends early when the clock is set."""
        poller = select.poll()
        for fileno in filenos:
            poller.register(fileno, select.POLLIN)
        if self._alarm is not None and seconds > 0:
            self._alarm.set(seconds)
            poller.register(self._alarm.fileno(), select.POLLIN)
            ready = poller.poll()
        elif not (ready := poller.poll(int(seconds * 1000))):
            # poll(2) takes whole milliseconds.
            time.sleep(seconds % 0.001)
        return {fileno for fileno, _ in ready if fileno in filenos}

    def _skew_s(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


class _FileChanges:
    """Changes to a SQLite file by other programs; PostgreSQL notifies changes itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._has_file = store.must_be_polled
        self._files = store.files
        self._watch = _file_watch() if self._files else None
        self._connection: Connection | None = None
        self._driver: Any = None

    def watch(self) -> list[int] | None:
        """The descriptors that become readable at the next change; None if the daemon has to poll."""
        if not self._has_file:
            return []
        if self._watch is None:
            return None
        try:
            self._watch.watch(self._files)
        except OSError:
            # The journal does not exist yet, or there are too many watches.
            return None
        return [self._watch.fileno()]

    def version(self) -> int:
        """A number that changes when another program changes the file."""
        if not self._has_file:
            return 0
        with self._store.watch, self._store.own_statements:
            return self._version()

    def _version(self) -> int:
        if not self._store.is_in_place:
            return -1
        if self._connection is None:
            self._connection = self._store.own_connection()
            self._driver = self._connection.connection.dbapi_connection
        try:
            number: int = self._driver.execute("PRAGMA data_version").fetchone()[0]
        except self._store.driver_error:
            # The file is locked or gone: the daemon's next statement raises that. Or the store was reopened.
            self._disconnect()
            return -1
        return number

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._driver.close()
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        self._disconnect()
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _alarm(clock: SteadyClock) -> Alarm | None:
    """An alarm of the kernel's clock; None if there is none, or the daemon uses another clock."""
    if not clock.is_system or "faketime" in os.environ.get("LD_PRELOAD", ""):
        return None
    with contextlib.suppress(OSError):
        from .linux_wakeups import Alarm

        return Alarm()
    return None


def _file_watch() -> FileWatch | None:
    with contextlib.suppress(OSError):
        from .linux_wakeups import FileWatch

        return FileWatch()
    return None
