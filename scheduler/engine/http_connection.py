"""One connection to our HTTP server: limits the size of requests, and refuses those that are invalid or come from
strangers.

Lives here: the differences from waitress's own connections. A request that never reaches the engine (invalid, too
large) is refused as the engine refuses: in JSON, open to other origins. Never here: the minimum speed (http_speed.py);
which connections are dropped when there are too many (http_listener.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import termios
import time
from array import array
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import BadRequest, RequestEntityTooLarge  # type: ignore[import-untyped]

from . import response
from .failures import TOO_LARGE, Failure
from .forks import within_process
from .host import is_host
from .http_speed import Arrival, Progress
from .request import request_id

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# HTTPRequestParser   received, parse_header       overridden; `received` returns how many bytes belong to the request
#                     completed, error, empty      a completed request with an error goes to the error task
#                     headers, headers_finished, command, version, adj.max_request_body_size
#                     expect_continue, chunked, content_length, path, body_bytes_received, header_bytes_received
#                     body_rcv                     a ChunkedReceiver has control_line, trailer, and the content's length
# ErrorTask           execute                      overridden; `complete` is set, so that `write` may be called at once
#                     status, response_headers, content_length, set_close_on_finish
# HTTPChannel         writable, _flush_some, received, service   overridden too
#                     handle_close                 overridden; called in the loop's thread only
#                     check_client_disconnected    overridden; in the environment as waitress.client_disconnected
#                     send                         overridden; returns how many bytes the socket took
#                     parser_class, error_task_class    replaced by ours; the first is called with `adj`
#                     requests, server.application      the requests that wait for their answer
#                     request                      the request that is arriving, None between two
#                     outbuf_lock                  reentrant; held by a thread that writes
#                     total_outbufs_len, last_activity, will_close, adj.channel_timeout, socket

#: The most bytes of a too large body that are read and dropped: most clients read the refusal only after sending.
MAX_DROPPED = 256 * 1024 * 1024
#: waitress scans an unfinished chunk size, or trailer, from its start whenever more of it arrives.
MAX_BETWEEN_CHUNKS = 8 * 1024
#: The most bytes of chunk sizes in a body, at least five each: half a million chunks cost most of a second.
MAX_CHUNK_SIZES = 2 * 1024 * 1024

#: After a request was refused before its end, the rest is dropped for LINGER_S seconds, and up to MAX_LINGERING bytes:
#: closing at once would reset the connection, and the client might never read the refusal.
LINGER_S, MAX_LINGERING = 5.0, 20 * 1024 * 1024

FAILURES = {
    400: Failure(400, 400, "The request is not HTTP/1.1."),
    413: TOO_LARGE,
    431: Failure(431, 431, "The headers are larger than the limit."),
    500: Failure(500, 1, "Internal server error."),
    501: Failure(501, 501, "The only supported Transfer-Encoding is chunked."),
}


class IncomingRequest(HTTPRequestParser):  # type: ignore[misc]
    """A request while it arrives; does not keep a body that is too large, or from a stranger.

    It calls `body_limit` once the headers are complete, see `Engine.body_limit`; None keeps every body up to the
    server's limit.
    """

    expect_continue: bool
    error: Any
    body_rcv: Any
    #: waitress logs it, even for a request whose first line is invalid.
    path = ""
    #: Whether it was answered before all of it had arrived.
    is_unread = False
    _to_drop = 0

    def __init__(self, adj: Any, body_limit: Callable[[dict[str, str]], int | None] | None = None) -> None:
        super().__init__(adj)
        self._body_limit = body_limit
        self._limit: int = adj.max_request_body_size - 1

    def received(self, data: bytes) -> int:
        """Parse the next bytes of the connection; returns how many of them belong to this request."""
        if self._to_drop:
            dropped = min(len(data), self._to_drop)
            self._to_drop -= dropped
            self.body_bytes_received += dropped
            self.completed = not self._to_drop
            return dropped
        headers_were_finished = self.headers_finished
        taken: int = super().received(data)
        if self.headers_finished and not headers_were_finished and not self.completed and self._is_refused():
            return len(data)
        if self.chunked and self.error is None and self._between_chunks > MAX_BETWEEN_CHUNKS:
            self.error, self.completed = BadRequest("a chunk without an end to its size"), True
        elif self.chunked and self.error is None and self._chunk_sizes > MAX_CHUNK_SIZES:
            self.error, self.completed = RequestEntityTooLarge("too many small chunks"), True
        elif self.error is None and self.body_bytes_received > self._limit:
            self.error, self.completed = RequestEntityTooLarge("larger than its limit"), True
        if self.error is not None:
            # A client that waits for 100 Continue is refused, because waitress would send it and parse the body as
            # headers.
            waits, self.expect_continue = self.expect_continue, False
            too_large = isinstance(self.error, RequestEntityTooLarge) and self.body_bytes_received == 0
            if too_large and not waits and self.content_length <= MAX_DROPPED:
                self._to_drop, self.completed = self.content_length, False
            else:
                self.is_unread = True
        return taken

    def _is_refused(self) -> bool:
        """Whether the headers alone refuse the request; then it is answered at once, and the connection closed."""
        limit = None if self._body_limit is None else self._body_limit(self._environ())
        if limit is None:
            return False
        self._limit = min(self._limit, limit)
        if limit and self.content_length <= self._limit:
            return False
        if limit:
            self.error = RequestEntityTooLarge("larger than its limit")
        # The application refuses it by its headers, as under any other server.
        self.body_rcv, self.headers["CONNECTION"] = None, "close"
        self.completed, self.is_unread, self.expect_continue = True, True, False
        return True

    def _environ(self) -> dict[str, str]:
        """The headers as a WSGI environ."""
        environ = {f"HTTP_{name}": value for name, value in self.headers.items()}
        environ["CONTENT_TYPE"] = self.headers.get("CONTENT_TYPE", "")
        return environ | {"REQUEST_METHOD": self.command, "PATH_INFO": self.path}

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the first line and the headers; ParsingError if they are invalid."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an address or a length that the standard library refuses
            raise ParsingError(str(error)) from error
        if fault := self._fault():
            raise ParsingError(fault)

    def _fault(self) -> str:
        """The part of the request that a proxy may interpret differently than waitress does; empty if none."""
        if self.version not in ("1.0", "1.1") or self.command == "CONNECT":
            return "neither HTTP/1.0 nor HTTP/1.1"
        host = self.headers.get("HOST")
        if host is None:
            return "no Host" if self.version == "1.1" else ""
        if not is_host(host):
            return "not exactly one Host, or an invalid one"
        # Servers disagree about which of the two is the length.
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            return "Content-Length and Transfer-Encoding"
        return ""

    @property
    def _between_chunks(self) -> int:
        """The bytes so far of an unfinished chunk size, or of the trailer after the last chunk."""
        return len(self.body_rcv.control_line) + len(self.body_rcv.trailer)

    @property
    def _chunk_sizes(self) -> int:
        """The bytes of the body so far that are not content."""
        return int(self.body_bytes_received) - len(self.body_rcv)

    @property
    def size(self) -> int:
        """The bytes of the request so far."""
        return int(self.header_bytes_received + self.body_bytes_received)

    @property
    def held(self) -> int:
        """The bytes that are kept, in memory or in a temporary file."""
        return 0 if self._to_drop or self.body_rcv is None else self.size


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """The answer to a request that does not reach the application."""

    def execute(self) -> None:
        """Write the failure as JSON and close the connection, because the next request's beginning is unknown."""
        headers = self.request.headers
        environ = {"HTTP_ORIGIN": headers.get("ORIGIN", "")}
        failure = FAILURES.get(self.request.error.code, FAILURES[400])
        refused = response.failure(failure, environ, request_id(headers.get("X_REQUEST_ID")))
        self.status = refused.status
        self.response_headers.extend(refused.headers)
        self.set_close_on_finish()
        self.content_length = len(refused.body)
        self.write(refused.body)


class Connection(HTTPChannel):  # type: ignore[misc]
    """A connection that closes when a request arrives too slowly, or when the client does not read the answer."""

    error_task_class = RefusalTask

    def __init__(self, server: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(server, *arguments, **options)
        self._body_limit = getattr(server.application, "body_limit", None)
        self._arrival: Arrival | None = None
        self._arriving: IncomingRequest | None = None
        self._waits_since = time.time()
        self._reading: Progress | None = None
        self._sent = 0
        self._has_answered = False
        self._refused = False
        self._lingers_until: float | None = None
        self._lingering = 0

    def parser_class(self, adj: Any) -> IncomingRequest:
        """Make the parser of a new request, with the application's body limit."""
        return IncomingRequest(adj, self._body_limit)

    @property
    def is_waiting(self) -> bool:
        """Whether the connection waits for its client, so that closing it does not interrupt an answer."""
        return not (self.requests or self.total_outbufs_len or self.will_close)

    def check_client_disconnected(self) -> bool:
        """Whether the client has closed the connection, also while nothing is read; called by a thread that answers."""
        try:
            return not self.connected or not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except (OSError, AttributeError):  # closed meanwhile, by the loop
            return True

    @property
    def worth(self) -> tuple[bool, float]:
        """The rank for dropping, lowest first: incomplete requests before idle clients, and the oldest first."""
        return self._has_answered and self.request is None, self._waits_since

    @property
    def held(self) -> int:
        """The bytes of requests that it keeps."""
        requests = [*self.requests, self.request]  # a copy, because another thread removes those that it has answered
        return sum(request.held for request in requests if request is not None)

    def drop(self) -> None:
        """Close it in the next turn of the loop; in this turn, its number may not be given to another connection."""
        self._lingers_until = 0.0
        self.will_close = True

    def writable(self) -> bool:
        """Whether bytes wait to be sent; called in each turn of the loop."""
        if self.request is not None:
            self._time_arrival(self.request)
        if self._lingers_until is not None and time.monotonic() > self._lingers_until:
            self.will_close = True
        self._time_reading()
        # A thread that is about to send its first bytes holds the lock.
        if self._is_stuck and self.outbuf_lock.acquire(blocking=False):
            try:
                if self._is_stuck:
                    self._shut_down()
            finally:
                self.outbuf_lock.release()
        return bool(super().writable())

    def _time_arrival(self, request: IncomingRequest) -> None:
        if self._arriving is not request or self.requests:  # do not read another request while one waits for its answer
            self._arrival, self._arriving, self._waits_since = Arrival(time.monotonic()), request, time.time()
            return
        assert self._arrival is not None
        now = time.monotonic()
        if self._arrival.is_late(now, request.size, headers_are_complete=request.headers_finished):
            self.drop()

    def _time_reading(self) -> None:
        if not self.total_outbufs_len:
            self._reading = None
        elif self._reading is None:
            self._reading = Progress(time.monotonic(), self._read_by_client)
        elif self._reading.is_too_slow(time.monotonic(), self._read_by_client):
            self.drop()
            self._shut_down()

    @property
    def _read_by_client(self) -> int:
        """The bytes that the client has received, without those in the system's send buffer."""
        waiting = array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, waiting)
        return self._sent - waiting[0]

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send some bytes; returns how many the system accepted."""
        sent: int = super().send(data, do_close=do_close)
        self._sent += sent
        return sent

    def handle_close(self) -> None:
        """Close the connection; first drop the rest of a refused request, if it has not arrived yet."""
        if self._refused and self._lingers_until is None:
            self._lingers_until = time.monotonic() + LINGER_S
            self.will_close = False
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client is gone
                self._close()
        else:
            self._close()

    def _close(self) -> None:
        super().handle_close()
        self._forget_arriving()

    def close(self) -> None:
        """Close the connection when the server stops."""
        super().close()
        self._forget_arriving()

    def _forget_arriving(self) -> None:
        if self.request is not None:  # a part of a body may be in a temporary file
            self.request.close()

    def _flush_some(self, do_close: bool = True) -> bool:
        # waitress's loop takes no lock while no request is answered, though another thread may send a 100 Continue.
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close=do_close))

    def service(self) -> None:
        """Answer the next request; a child process that the site forked ends instead of waiting for another one."""
        self._refused = self.requests[0].is_unread
        within_process(super().service)
        self._has_answered, self._waits_since = True, time.time()

    @property
    def _is_stuck(self) -> bool:
        return bool(self.total_outbufs_len and time.time() - self.last_activity > self.adj.channel_timeout)

    def _shut_down(self) -> None:
        # Not `will_close`: the loop would act on that only when the socket, which is full, is writable again.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def received(self, data: bytes) -> bool:
        """Handle the next bytes of the client."""
        if self._lingers_until is not None:
            self._lingering += len(data)
            if self._lingering > MAX_LINGERING:
                self.will_close = True
            return False
        taken: bool = super().received(data)
        self.server.count_received(len(data))
        return taken
