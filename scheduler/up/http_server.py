"""The HTTP server of `scheduler up`: waitress in the main thread, a background service, the daemon, in another."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from waitress.wasyncore import close_all, dispatcher, loop  # type: ignore[import-untyped]

from ..engine.http_server import Capacity, bounded_server
from .stop_signals import SECOND_SIGNAL, StopSignals

log = logging.getLogger("scheduler.up")

#: How long the loop of waitress sleeps at most; any event wakes it.
_SLEEP_S = 1.0
#: Of the second site: one request at a time, and none with a body.
_ONE_AT_A_TIME = Capacity(threads=1, max_body_bytes=65_536)


class BackgroundService(Protocol):
    """Runs in a thread beside the server and ends with it."""

    @property
    def running(self) -> int:
        """How many runs are in progress."""
        ...

    def run(self) -> None:
        """Work until `stop` is called."""
        ...

    def stop(self) -> None:
        """Begin no further run, and return from `run` when those in progress have ended; called again, at once."""
        ...


class Site(NamedTuple):
    """A WSGI app, and the socket on which it is served."""

    listener: socket.socket
    application: Callable[..., Any]


class UpServer:
    """Serves one site or two while a background service runs in a thread of its own.

    `supervised`: another process started this one and sends it the stop signals.
    """

    def __init__(
        self, site: Site, *, capacity: Capacity, second_site: Site | None = None, supervised: bool = False
    ) -> None:
        self._map: dict[int, Any] = {}
        self._server = bounded_server(site.application, site.listener, capacity, of_loop=self._map)
        self._second_server = second_site and bounded_server(
            second_site.application, second_site.listener, _ONE_AT_A_TIME, of_loop=self._map
        )
        self._signals = StopSignals(self._server.pull_trigger)
        self._accepting = True
        self._supervised = supervised

    def signals_recorded(self) -> contextlib.AbstractContextManager[None]:
        """Within the block, stop signals are recorded, also before `serve` is called."""
        return self._signals.recorded()

    def serve(self, background: BackgroundService) -> int:
        """Serve until a stop signal; exit status 0, or 128 + the number of the second signal.

        To be called within `signals_recorded`. The second site is served to the very end.
        """
        errors: list[BaseException] = []
        ended = threading.Event()
        # The name of the thread in a dump of stacks.
        thread = threading.Thread(target=self._run_background, args=(background, errors, ended), name="daemon")
        thread.start()
        handled = 0
        while not ended.is_set() or (self._is_answering() and handled < 2):
            loop(timeout=_SLEEP_S, use_poll=True, map=self._map, count=1)
            for _ in self._signals.received[handled:2]:
                handled += 1
                self._handle_signal(background, is_second=handled > 1)
        thread.join()
        if errors:
            raise errors[0]
        if handled > 1:
            return 128 + self._signals.received[1]
        for server in filter(None, (self._server, self._second_server)):
            server.task_dispatcher.shutdown(timeout=_SLEEP_S)
        close_all(self._map, ignore_all=True)
        return 0

    def _run_background(
        self, background: BackgroundService, errors: list[BaseException], ended: threading.Event
    ) -> None:
        try:
            background.run()
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()
            self._server.pull_trigger()

    def _handle_signal(self, background: BackgroundService, *, is_second: bool) -> None:
        if is_second:
            log.info("stopping at once; runs in progress are killed and recorded as abandoned")
        else:
            self._log_stopping(background.running)
            self._stop_accepting()
        background.stop()

    def _log_stopping(self, running: int) -> None:
        waits = f"waiting for {running} in progress" if running else "none in progress"
        if not self._supervised:
            log.info("stopping: no further runs, %s; %s", waits, SECOND_SIGNAL)
        elif running:
            log.info("the previous version begins no further runs, %s", waits)

    def _stop_accepting(self) -> None:
        # Not server.close(): that also closes the trigger, which wakes the loop when a response is ready.
        if self._accepting:
            self._accepting = False
            dispatcher.close(self._server)

    def _is_answering(self) -> bool:
        """Whether a request is in progress; a connection that is only kept alive does not count."""
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)
