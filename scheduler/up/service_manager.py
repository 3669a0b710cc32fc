"""Notifies a service manager that the service is ready, alive or stopping, by the protocol of systemd's sd_notify.

The variables NOTIFY_SOCKET and WATCHDOG_USEC contain its address, and how often to report. They are removed from the
environment, so that functions and the programs that they start send nothing in the name of the service.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: By how much each request extends the service manager's limit on a start or a stop, and how often to send one.
_EXTEND_S, _EXTEND_EVERY_S = 30, 5.0


class ServiceManager:
    """The service manager that started this process; without one, or if it does not listen, messages are dropped."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        usec, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        #: A name that begins with @ is in the abstract namespace, which has no file.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        is_watched = usec.isdecimal() and pid in ("", str(os.getpid()))
        #: How often a watchdog expects a sign of life, in seconds: twice in its time; None without one.
        self.alive_every_s = int(usec) / 2_000_000 if address and is_watched and int(usec) > 0 else None
        self._alive_at = self._extended_at = float("-inf")
        self._is_ready = False
        #: States that are still to be sent, because its queue was full.
        self._owed: list[tuple[str, ...]] = []
        self._lock = threading.Lock()

    def ready(self, status: str) -> None:
        """Report that the service is ready; `systemctl status` shows `status`."""
        self._is_ready = True
        self._report("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._report("STOPPING=1", "STATUS=waiting for what is in progress")
        self._extended_at = float("-inf")

    def alive(self, now: float) -> None:
        """Give a sign of life if one is due; `now` is in monotonic seconds. A watchdog waits for the first READY."""
        self._report()
        is_due = self.alive_every_s is not None and now >= self._alive_at + self.alive_every_s
        if is_due and self._is_ready:
            self._alive_at = now
            self._send("WATCHDOG=1")

    def takes_longer(self, now: float) -> None:
        """Extend the service manager's limit on a start or a stop, because both have bounds of their own."""
        if now >= self._extended_at + _EXTEND_EVERY_S:
            self._extended_at = now
            self._send(f"EXTEND_TIMEOUT_USEC={_EXTEND_S * 1_000_000}")

    @contextmanager
    def alive_meanwhile(self) -> Iterator[None]:
        """Within the block, a thread gives the signs of life: none comes while a function holds the interpreter."""
        if self.alive_every_s is None:
            yield
            return
        # Half of that, because it is late by as much as the wait.
        ended, every_s = threading.Event(), self.alive_every_s / 2

        def give() -> None:
            while not ended.wait(every_s):
                self.alive(time.monotonic())

        thread = threading.Thread(target=give, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _report(self, *lines: str) -> None:
        """Send a state, which must not be lost; if the manager's queue is full now, it is sent later."""
        with self._lock:
            if lines:
                self._owed.append(lines)
            while self._owed and self._send(*self._owed[0]):
                del self._owed[0]

    def _send(self, *lines: str) -> bool:
        """Send lines as one message; returns False if they are to be sent again later."""
        if not self._address:
            return True
        # A manager that does not listen must not keep the service from serving.
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except BlockingIOError:
                return False
        return True
