"""The console's process of `scheduler up`, which starts when a browser connects."""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace

from ..console.installed import is_installed
from ..errors import ConfigError
from ..project.settings import Settings
from .handover import Channel, Handover
from .options import UpOptions
from .orders import Orders
from .process import ChildProcess
from .sockets import listening_socket

log = logging.getLogger("scheduler.up")

#: How long the process waits for the next visitor before it ends.
IDLE_S = 900.0
#: The nice(2) increment of the process, so that timers come first.
_NICENESS = 10
#: How long it may leave pings unanswered.
_SILENCE_S = 30.0
#: The pause before it is started again after it has failed, doubled each time up to the second of these.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


def serve(handover: Handover, options: UpOptions, channel: Channel, orders: Orders) -> int:
    """Serve the console until an order to stop, or until no browser has connected for a while; the exit status."""
    from ..console.app import make_app
    from ..console.server import ConsoleServer

    os.nice(_NICENESS)
    project = options.project()
    settings = replace(project.settings, rules_because=options.rules_because)
    with ExitStack() as stack:
        assert handover.listener is not None
        listener = stack.enter_context(socket.socket(fileno=handover.listener))
        store = stack.enter_context(project.open_store())
        server = ConsoleServer(make_app(store, settings, served=options.engines), listener)
        stack.enter_context(orders.passed_to(server.stop))
        channel.send(ready={})
        if not orders.received:
            server.serve(idle_s=IDLE_S)
    return 0


def bind_console(settings: Settings, stack: ExitStack) -> socket.socket | None:
    """Listen on the console's port; None if it is off or not installed, or the port was not chosen and is in use."""
    if not settings.console or not is_installed():
        return None
    try:
        return stack.enter_context(
            listening_socket(settings.console_host, settings.console_port, option="console_port =")
        )
    except ConfigError as error:
        if any(settings.origin(name) != "the default" for name in ("console_port", "console_host")):
            raise
        log.warning("there is no console: %s", error)
        return None


class ConsolePlace:
    """The supervisor's side: a process while the console is in use, else none."""

    def __init__(self, listener: socket.socket, start: Callable[[], ChildProcess]) -> None:
        self._listener = listener
        self._start = start
        self._process: ChildProcess | None = None
        self._pause_s, self._start_at = _FIRST_PAUSE_S, float("-inf")

    @property
    def processes(self) -> list[ChildProcess]:
        """The running process."""
        return [self._process] if self._process else []

    def awaited(self, now: float) -> list[socket.socket]:
        """The socket on which the first visitor will connect."""
        return [self._listener] if self._process is None and now >= self._start_at else []

    def look(self, now: float) -> None:
        """Start the process if a browser has connected; forget one that has ended, and kill one that hangs."""
        if (process := self._process) is not None:
            if process.is_silent(_SILENCE_S):
                process.kill()
            if process.exit_status() is not None:
                self._forget(process, now)
            return
        if self.awaited(now) and _has_visitor(self._listener):
            try:
                self._process = self._start()
            except OSError as error:
                log.error("the console cannot be started (%s)", error)
                self._pause(now)

    def _forget(self, process: ChildProcess, now: float) -> None:
        self._process = None
        if process.exit_status() == 0:
            self._pause_s = _FIRST_PAUSE_S
            return
        log.error("the console ended with status %s; trying again in %g s", process.exit_status(), self._pause_s)
        self._pause(now)

    def _pause(self, now: float) -> None:
        self._start_at, self._pause_s = now + self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Accept no visitors any more."""
        self._listener.close()


def _has_visitor(listener: socket.socket) -> bool:
    with suppress(OSError, ValueError):
        return bool(select.select([listener], [], [], 0)[0])
    return False
