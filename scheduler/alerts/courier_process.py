"""CourierProcess: the daemon's side of the courier. It starts the process when it is first needed, and restarts it
when it has ended.

A thread of its own talks to the process. The daemon's thread only appends to a queue, which is bounded.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..core.alerts import AlertRule
from ..own_programs import command
from ..store.database import Store

log = logging.getLogger("scheduler.alerts")

#: The most reports that wait for the process; further pings are dropped.
MAX_WAITING = 10_000
#: A process that gives no sign of life for this long is replaced.
SILENCE_S = 60.0
#: The pause before it is started again, doubled each time up to the second of these.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
#: How long it may take to end.
END_S = 5.0
_READ_SIZE = 65_536


class CourierProcess:
    """Delivers the alerts of a store by its rules, and sends pings. No method of the daemon's side blocks.

    A store in memory has no alerts to deliver, because another process cannot open it. Within the block of `starting`,
    the process is started, and added to the list that it yields.
    """

    def __init__(
        self,
        store: Store,
        rules: Iterable[AlertRule] = (),
        *,
        ping_private: bool = False,
        durability: str = "power",
        starting: Callable[[], AbstractContextManager[list[subprocess.Popen[bytes]]]] = lambda: nullcontext([]),
    ) -> None:
        self._starting = starting
        can_open = store.has_server or bool(store.files)
        self._rules = tuple(rules) if can_open else ()
        self._orders = {
            "store": _address(store) if can_open else None,
            "timeout_s": store.timeout_s,
            "durability": durability,
            "rules": [rule.as_values() for rule in self._rules],
            "ping_private": ping_private,
            "log_level": log.getEffectiveLevel(),
        }
        self._alerts = store.alerts
        self._written = self._alerts.written
        self._waiting: deque[bytes] = deque()
        #: How many pings were dropped.
        self.dropped = 0
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> CourierProcess:
        if self._rules:
            # Alerts that another daemon has left are delivered too.
            self._start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # The daemon's side

    def look(self) -> None:
        """Wake the courier if alerts were written since the last call."""
        if self._alerts.written != self._written:
            self._written = self._alerts.written
            if self._rules:
                self._send(b'{"wake":true}\n')

    def ping(self, report: Mapping[str, Any]) -> None:
        """Queue a ping; it is dropped if too many wait."""
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._send(json.dumps(report).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        self._waiting.append(line)
        self._start()
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"x")

    def _start(self) -> None:
        if self._thread is None and not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the process finish what it has begun, for some seconds."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"x")
        if self._thread is not None:
            self._thread.join(2 * END_S)
            if self._thread.is_alive():
                return
        os.close(self._woken)
        os.close(self._waker)

    # The thread's side

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                status: object = self._serve()
            except Exception as error:
                status = error
            if self._closing.is_set():
                return
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            log.error("the process that delivers alerts has ended (%s); starting it again in %g s", status, pause_s)
            if self._closing.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _serve(self) -> int | None:
        """Start a process and talk to it until it has ended; returns its status."""
        with self._starting() as started:
            process = subprocess.Popen(
                command("scheduler.alerts.courier"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            os.set_blocking(process.stdin.fileno(), False)
            self._talk(process.stdin.fileno(), process.stdout.fileno())
        finally:
            process.stdin.close()
            self._end(process)
            process.stdout.close()
        return process.returncode

    def _talk(self, stdin: int, stdout: int) -> None:
        """Send the queued lines, and log the courier's messages, until it is silent, ends, or the daemon ends."""
        unsent, unread = json.dumps(self._orders).encode() + b"\n", b""
        heard_at = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(stdout, selectors.EVENT_READ)
            while time.monotonic() - heard_at < SILENCE_S:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, _READ_SIZE)
                unsent = self._write(stdin, unsent)
                if self._closing.is_set() and not unsent:
                    return
                _also_writable(selector, stdin, is_wanted=bool(unsent))
                for key, _ in selector.select(1.0 if self._closing.is_set() else SILENCE_S / 4):
                    if key.fd == stdout:
                        piece = os.read(stdout, _READ_SIZE)
                        if not piece:
                            return
                        heard_at = time.monotonic()
                        *lines, unread = (unread + piece).split(b"\n")
                        for line in lines:
                            _log(line)

    def _write(self, stdin: int, unsent: bytes) -> bytes:
        """Write as much as the pipe takes; returns the rest, at most one line."""
        while unsent or self._waiting:
            unsent = unsent or self._waiting.popleft()
            try:
                unsent = unsent[os.write(stdin, unsent) :]
            except BlockingIOError:
                return unsent
        return b""

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """Wait for the process, whose stdin is closed, and kill it with its group if it takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_S)


def _address(store: Store) -> str:
    """The address of a store, for a process that may be started in another folder."""
    url = store.url
    if store.files:
        url = url.set(database=str(store.files[0]))
    return url.render_as_string(hide_password=False)


def _also_writable(selector: selectors.BaseSelector, stdin: int, *, is_wanted: bool) -> None:
    is_registered = stdin in selector.get_map()
    if is_wanted and not is_registered:
        selector.register(stdin, selectors.EVENT_WRITE)
    elif not is_wanted and is_registered:
        selector.unregister(stdin)


def _log(line: bytes) -> None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        message = json.loads(line)
        if "text" in message:
            log.log(int(message["level"]), "%s", str(message["text"])[:2_000])
