"""The server of a process of `scheduler up`: waitress in the main thread, a background service in another."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, Protocol

from waitress.wasyncore import close_all, dispatcher, loop  # type: ignore[import-untyped]

from ..engine.http_server import Capacity, bounded_server

#: How long the loop of waitress sleeps at most; any event wakes it.
_SLEEP_S = 1.0
#: How long requests that had begun to arrive at an order to stop are read.
_LAST_READS_S = 0.5
#: A process that has fewer left can accept no connections, or its functions can open no files.
_SPARE_DESCRIPTORS = 8
#: For the second site: one request at a time, and only small bodies.
_ONE_AT_A_TIME = Capacity(threads=1, max_body_bytes=65_536)


class BackgroundService(Protocol):
    """Runs in a thread beside the server and ends with it."""

    def run(self) -> None:
        """Work until `stop` is called."""
        ...

    def stop(self) -> None:
        """Begin nothing more, and return from `run` when all in progress has ended; a second call returns at once."""
        ...

    def log_stopping(self, *, is_retiring: bool) -> None:
        """Log that it begins nothing more, and for what it waits."""
        ...

    def log_stopping_at_once(self) -> None:
        """Log that it stops waiting for work in progress."""
        ...


class Site(NamedTuple):
    """A WSGI app, and the socket on which it is served."""

    listener: socket.socket
    application: Callable[..., Any]


class Stops(Protocol):
    """The source of orders to stop: signals of this process, or its supervisor."""

    received: list[int]

    @property
    def is_retiring(self) -> bool:
        """Whether another process has replaced this one."""
        ...

    def passed_to(self, on_stop: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
        """Within the block, `on_stop` is called after each order to stop."""
        ...


class UpServer:
    """Serves no, one or two sites while a background service runs in a thread of its own.

    One thread serves the second site until the very end.
    """

    def __init__(
        self,
        stops: Stops,
        site: Site | None = None,
        *,
        capacity: Capacity | None = None,
        second_site: Site | None = None,
    ) -> None:
        self._map: dict[int, Any] = {}
        self._stops = stops
        self._server = site and self._made(site, capacity or _ONE_AT_A_TIME)
        self._second_server = second_site and self._made(second_site, _ONE_AT_A_TIME)
        #: Wakes a loop without a server; an object that a signal handler may use at any time.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._accepting = True
        #: Until when requests that had begun to arrive at an order to stop are read.
        self._reads_until = 0.0
        self._turned_at = time.monotonic()

    @property
    def can_accept(self) -> bool:
        """Whether the loop runs, can accept a connection, and has all its threads.

        A function may have used up all descriptors.
        """
        if time.monotonic() - self._turned_at >= 3 * _SLEEP_S:
            return False
        if self._server is None:
            return True
        if self._server.task_dispatcher.has_lost_threads:
            return False
        spare: list[int] = []
        try:
            for _ in range(_SPARE_DESCRIPTORS):
                spare.append(os.dup(self._server.socket.fileno()))
        except (OSError, ValueError):
            return False
        finally:
            for descriptor in spare:
                os.close(descriptor)
        return True

    def serve_own(self, connection: socket.socket) -> None:
        """Serve a connection on which this process checks itself; safe from any thread."""
        assert self._server is not None
        self._server.serve_own(connection)

    def _made(self, site: Site, capacity: Capacity) -> Any:
        return bounded_server(site.application, site.listener, capacity, of_loop=self._map)

    def stops_recorded(self) -> contextlib.AbstractContextManager[None]:
        """Within the block, record orders to stop, even before `serve` is called."""
        return self._stops.passed_to(self._wake)

    def serve(self, background: BackgroundService) -> int:
        """Serve until an order to stop; exit status 0, or 128 + the number of the second signal.

        Call it within `stops_recorded`.
        """
        errors: list[BaseException] = []
        ended = threading.Event()
        # The thread's name appears in dumps of stacks.
        thread = threading.Thread(target=self._run_background, args=(background, errors, ended), name="daemon")
        thread.start()
        handled = 0
        while not ended.is_set() or (self._is_answering() and handled < 2):
            self._turned_at = time.monotonic()
            self._wait()
            for _ in self._stops.received[handled:2]:
                handled += 1
                self._handle_stop(background, is_second=handled > 1)
        thread.join()
        if errors:
            raise errors[0]
        if handled > 1:
            return 128 + self._stops.received[1]
        for server in filter(None, (self._server, self._second_server)):
            server.task_dispatcher.shutdown(timeout=_SLEEP_S)
        close_all(self._map, ignore_all=True)
        return 0

    def _wait(self) -> None:
        if self._map:
            loop(timeout=_SLEEP_S, use_poll=True, map=self._map, count=1)
        else:
            with contextlib.suppress(Empty):
                self._woken.get(timeout=_SLEEP_S)

    def _wake(self) -> None:
        server = self._server or self._second_server
        if server:
            server.pull_trigger()
        else:
            self._woken.put(None)

    def _run_background(
        self, background: BackgroundService, errors: list[BaseException], ended: threading.Event
    ) -> None:
        try:
            background.run()
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()
            self._wake()

    def _handle_stop(self, background: BackgroundService, *, is_second: bool) -> None:
        if is_second:
            background.log_stopping_at_once()
        else:
            background.log_stopping(is_retiring=self._stops.is_retiring)
            self._stop_accepting()
        background.stop()

    def _stop_accepting(self) -> None:
        # Not server.close(), which also closes the trigger that wakes the loop when a response is ready.
        if self._accepting and self._server:
            self._accepting = False
            self._reads_until = time.monotonic() + _LAST_READS_S
            dispatcher.close(self._server)

    def _is_answering(self) -> bool:
        """Whether a request is in progress; idle kept-alive connections do not count."""
        if not self._server:
            return False
        channels = list(self._server.active_channels.values())
        if any(channel.requests or channel.total_outbufs_len for channel in channels):
            return True
        # Closing a connection that was accepted but not read would reset it, and its call would have no answer.
        return time.monotonic() < self._reads_until and any(
            channel.request is not None or channel.last_activity == channel.creation_time for channel in channels
        )
