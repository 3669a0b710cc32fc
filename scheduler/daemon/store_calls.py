"""StoreCalls: tracks when the daemon's loop waits for the store, and lends its lock to the watch meanwhile.

Only the loop's thread uses the store. It holds the lock at all times, except while it waits for the store or for a
listener: then the watch (watch.py) may take the lock and do the work that must not wait. A loop that the watch has
given up ends as soon as it comes back.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Iterator

from sqlalchemy import Connection

#: How long the loop may wait before the watch acts in its place.
ACT_AFTER_S = 0.05

monotonic = time.monotonic


class LoopGivenUp(BaseException):
    """Raised in the loop when it comes back from a call and the daemon has ended without it."""


class StoreCalls:
    """The calls of one loop: a context manager for each of them, and the `watch` of its view of the store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The loop holds it from the beginning.
        self._lock.acquire()
        self._depth = 0
        #: Whether the daemon has ended without its loop.
        self.is_given_up = False
        #: When the loop began to wait, in monotonic seconds; None while it does not.
        self.since: float | None = None
        #: What the loop waits for, if not the store.
        self.subject = ""
        #: The connection that the loop uses meanwhile.
        self.connection: Connection | None = None
        #: When the watch acts next; a call that begins long before that wakes it.
        self.looks_at = 0.0
        #: A pipe, because a signal handler may write to it; -1 without a watch.
        self._reader = self._writer = -1

    # The loop's side

    def __enter__(self) -> None:
        if self.is_given_up:
            raise LoopGivenUp
        self._depth += 1
        if self._depth == 1:
            self.since = now = monotonic()
            self._lock.release()
            if self.looks_at - now > 2 * ACT_AFTER_S:
                self.wake()

    def uses(self, connection: Connection) -> None:
        """Note the connection on which the loop runs statements until the call ends."""
        self.connection = connection

    def __exit__(self, *exc_info: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.connection = None
            self._lock.acquire()
            self.since = None
            if self.is_given_up:
                raise LoopGivenUp

    @contextlib.contextmanager
    def of(self, subject: str) -> Iterator[None]:
        """A call of something else that may block, named by `subject`."""
        self.subject = subject
        try:
            with self:
                yield
        finally:
            self.subject = ""

    # The watch's side

    def away_s(self) -> float:
        """How long the loop has been waiting; 0 while it is not."""
        since = self.since
        return 0.0 if since is None else monotonic() - since

    @contextlib.contextmanager
    def in_its_place(self) -> Iterator[bool]:
        """Take the lock for the length of the block if the loop waits, and yield True; else yield False."""
        has_lock = self._lock.acquire(blocking=False)
        try:
            yield has_lock
        finally:
            if has_lock:
                self._lock.release()

    def open(self) -> None:
        """Begin to watch."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def wake(self) -> None:
        """Wake the watch; safe from any thread and from a signal handler."""
        with contextlib.suppress(OSError):
            os.write(self._writer, b"!")

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until `wake` is called."""
        self.looks_at = monotonic() + seconds
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        # Whole milliseconds, rounded up.
        if poller.poll(int(seconds * 1000) + 1):
            os.read(self._reader, 4096)

    def close(self) -> None:
        self.looks_at = 0.0
        reader, writer, self._reader, self._writer = self._reader, self._writer, -1, -1
        os.close(reader)
        os.close(writer)
