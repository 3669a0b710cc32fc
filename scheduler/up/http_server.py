"""The HTTP side of `scheduler up`: one listening socket, waitress in the main thread, the daemon beside it.

The first signal stops the beginning of runs and of requests and waits for those going on; the second ends at once.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from waitress.wasyncore import close_all, dispatcher, loop  # type: ignore[import-untyped]

from ..engine.http_server import Capacity, bounded_server
from ..errors import ConfigError

log = logging.getLogger("scheduler.up")

#: What a person who has pressed Ctrl-C may do next.
ONCE_MORE = "once more ends at once"
#: For the site beside: one answer after another, and nobody has anything to send.
ONE_AT_A_TIME = Capacity(threads=1, max_body_bytes=65_536)
#: How long the loop sleeps when nothing happens; what happens wakes it.
_SLEEP_S = 1.0


@contextlib.contextmanager
def listening(host: str, port: int, *, option: str = "--port") -> Iterator[socket.socket]:
    """A socket that listens at an address, taken before anything is started; ConfigError where that is not free."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no host has such a name"
        raise ConfigError(f"no address to listen on: --host {host[:80]} ({why})") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(128)
        except OSError as error:
            raise ConfigError(_why_not(host, port, option, error)) from error
        yield listener


def _why_not(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; stop the other program, or choose another: {option} {port + 1}"
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than you have; choose one above 1023: {option} 3000"
    return f"cannot listen on port {port} of {host}: {error.strerror}"


def ending_signals() -> list[signal.Signals]:
    """Those that end the service in good order; that of a closed terminal too, unless nohup has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]


def note(number: int, noted: list[int]) -> None:
    """Keep a signal in mind; a closed terminal, of which one may hear twice, is nothing new to one who ends already."""
    if number != signal.SIGHUP or not noted:
        noted.append(number)


class Beside(Protocol):
    """What runs in a thread beside the server and ends with it: the daemon."""

    @property
    def running(self) -> int:
        """How many runs are going on."""
        ...

    def run(self) -> None:
        """Go on until `stop` is called."""
        ...

    def stop(self) -> None:
        """Begin nothing new; called again, end at once."""
        ...


class Site(NamedTuple):
    """A WSGI app, and where it is served."""

    listener: socket.socket
    application: Callable[..., Any]


class UpServer:
    """Serves a WSGI app on a listening socket while a daemon runs in a thread of its own, and another one `beside`."""

    def __init__(
        self,
        listener: socket.socket,
        application: Callable[..., Any],
        *,
        capacity: Capacity,
        supervised: bool = False,
        beside: Site | None = None,
    ) -> None:
        self._map: dict[int, Any] = {}
        self._server = bounded_server(application, listener, capacity, of_loop=self._map)
        # One thread, in which one scrape after another is answered; served until the very end.
        self._beside = beside and bounded_server(beside.application, beside.listener, ONE_AT_A_TIME, of_loop=self._map)
        self._signals: list[int] = []
        self._accepting = True
        #: It is stopped by the process that started it, which tells a person what that means.
        self._supervised = supervised

    def serve_beside(self, daemon: Beside) -> int:
        """Serve until a signal says stop; the exit status: 0, or 128 + the number of the signal that cut it short.

        To be called within `signals_caught`.
        """
        fault: list[BaseException] = []
        ended = threading.Event()
        thread = threading.Thread(target=self._run_daemon, args=(daemon, fault, ended), name="daemon")
        thread.start()
        obeyed = 0
        while not ended.is_set() or (self._is_answering() and obeyed < 2):
            loop(timeout=_SLEEP_S, use_poll=True, map=self._map, count=1)
            for _ in self._signals[obeyed:2]:
                obeyed += 1
                self._obey(daemon, again=obeyed > 1)
        thread.join()
        if fault:
            raise fault[0]
        if obeyed > 1:
            return 128 + self._signals[1]
        for server in filter(None, (self._server, self._beside)):
            server.task_dispatcher.shutdown(timeout=_SLEEP_S)
        close_all(self._map, ignore_all=True)
        return 0

    def _run_daemon(self, daemon: Beside, fault: list[BaseException], ended: threading.Event) -> None:
        try:
            daemon.run()
        except BaseException as error:
            fault.append(error)
        finally:
            ended.set()
            self._server.pull_trigger()

    @contextlib.contextmanager
    def signals_caught(self) -> Iterator[None]:
        """Note the signals that end instead of dying of them, also before there is anything to stop."""
        before = {number: signal.signal(number, self._note) for number in ending_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        # Nothing but this: a handler may interrupt any line, one that prints or holds a lock too.
        note(number, self._signals)
        self._server.pull_trigger()

    def _obey(self, daemon: Beside, *, again: bool) -> None:
        if again:
            log.info("ending at once; what still runs is killed and recorded as abandoned")
        else:
            self._tell(daemon.running)
            self._stop_accepting()
        daemon.stop()

    def _tell(self, going_on: int) -> None:
        waits = f"waiting for {going_on} that go on" if going_on else "none goes on"
        if not self._supervised:
            log.info("stopping: no further runs, %s; %s", waits, ONCE_MORE)
        elif going_on:
            log.info("the process that retires begins no further runs, %s", waits)

    def _stop_accepting(self) -> None:
        # Not server.close(): that closes the trigger too, which wakes the loop when an answer is ready.
        if self._accepting:
            self._accepting = False
            dispatcher.close(self._server)

    def _is_answering(self) -> bool:
        """Whether a request is being answered; one that only keeps its connection open is not waited for."""
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)
