"""One connection to our HTTP server: how much a client may send, how slowly, and how a bad request is refused.

Lives here: what differs from waitress's own connections. A request that never reaches the engine (invalid, too large)
is refused as the engine refuses: in JSON, open to other origins. Never here: threads and listening, see http_server.py.
"""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.parser import HTTPRequestParser, ParsingError  # type: ignore[import-untyped]
from waitress.task import ErrorTask  # type: ignore[import-untyped]
from waitress.utilities import BadRequest, RequestEntityTooLarge  # type: ignore[import-untyped]

from . import response
from .failures import TOO_LARGE, Failure
from .forks import within_process
from .request import request_id

# What waitress does not document and this file relies on; test_waitress.py fails when it changes.
#
# HTTPRequestParser   received, parse_header       overridden; `received` returns how many bytes belong to the request
#                     completed, error, empty      a completed request with an error goes to the error task
#                     expect_continue, chunked, content_length, path, body_bytes_received, header_bytes_received
#                     body_rcv                     a ChunkedReceiver has control_line, trailer, and the content's length
# ErrorTask           execute                      overridden; `complete` is set, so that `write` may be called at once
#                     status, response_headers, content_length, set_close_on_finish
# HTTPChannel         writable, _flush_some, received, service   overridden
#                     parser_class, error_task_class    replaced by ours
#                     request                      the request that is arriving, None between two
#                     outbuf_lock                  reentrant; held by a thread that writes
#                     total_outbufs_len, last_activity, will_close, adj.channel_timeout, socket

#: A request may take GRACE_S seconds, and longer as long as it keeps up MIN_SPEED, in bytes per second.
GRACE_S, MIN_SPEED = 30.0, 500
#: Of a body that is too large, so many bytes are read and dropped: most clients read the refusal only after sending.
MAX_DROPPED = 256 * 1024 * 1024
#: waitress scans an unfinished chunk size, or trailer, from its start whenever more of it arrives.
MAX_BETWEEN_CHUNKS = 8 * 1024
#: Bytes of a body that may be chunk sizes, at least five bytes each: half a million chunks cost most of a second.
MAX_CHUNK_SIZES = 2 * 1024 * 1024

FAILURES = {
    400: Failure(400, 400, "The request is not HTTP/1.1."),
    413: TOO_LARGE,
    431: Failure(431, 431, "The headers are larger than the limit."),
    500: Failure(500, 1, "Internal server error."),
    501: Failure(501, 501, "The only supported Transfer-Encoding is chunked."),
}


class IncomingRequest(HTTPRequestParser):  # type: ignore[misc]
    """A request while it arrives; a body that is too large is not kept."""

    expect_continue: bool
    error: Any
    #: waitress logs it, also for a request whose first line could not be parsed.
    path = ""
    _to_drop = 0

    def received(self, data: bytes) -> int:
        """Take the next bytes of the connection; returns how many of them belong to this request."""
        if self._to_drop:
            dropped = min(len(data), self._to_drop)
            self._to_drop -= dropped
            self.body_bytes_received += dropped
            self.completed = not self._to_drop
            return dropped
        taken: int = super().received(data)
        if self.chunked and self.error is None and self._between_chunks > MAX_BETWEEN_CHUNKS:
            self.error, self.completed = BadRequest("a chunk without an end to its size"), True
        elif self.chunked and self.error is None and self._chunk_sizes > MAX_CHUNK_SIZES:
            self.error, self.completed = RequestEntityTooLarge("too many small chunks"), True
        if self.error is not None:
            # A client that waits for 100 Continue is refused: waitress would send it, and parse the body as headers.
            waits, self.expect_continue = self.expect_continue, False
            too_large = isinstance(self.error, RequestEntityTooLarge) and self.body_bytes_received == 0
            if too_large and not waits and self.content_length <= MAX_DROPPED:
                self._to_drop, self.completed = self.content_length, False
        return taken

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the first line and the headers; ParsingError if they are invalid."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # an address or a length that the standard library refuses
            raise ParsingError(str(error)) from error

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


class RefusalTask(ErrorTask):  # type: ignore[misc]
    """The answer to a request that no application sees."""

    def execute(self) -> None:
        """Write the failure as JSON and close the connection: where the next request begins is not known."""
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
    """A connection that is closed when a request arrives too slowly, or when the client does not read the answer."""

    parser_class = IncomingRequest
    error_task_class = RefusalTask

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._arriving: IncomingRequest | None = None
        self._began = 0.0

    def writable(self) -> bool:
        """Whether bytes wait to be sent; called in each turn of the loop."""
        # A thread that is about to send its first bytes holds the lock.
        if self._is_stuck and self.outbuf_lock.acquire(blocking=False):
            try:
                if self._is_stuck:
                    self._shut_down()
            finally:
                self.outbuf_lock.release()
        return bool(super().writable())

    def _flush_some(self, do_close: bool = True) -> bool:
        # waitress's loop takes no lock while no request is answered, though another thread may send a 100 Continue.
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close=do_close))

    def service(self) -> None:
        """Answer the next request; a child process that the site forked ends, instead of waiting for another one."""
        within_process(super().service)

    @property
    def _is_stuck(self) -> bool:
        return bool(self.total_outbufs_len and time.time() - self.last_activity > self.adj.channel_timeout)

    def _shut_down(self) -> None:
        # Not `will_close`: the loop would act on that only when the socket, which is full, is writable again.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def received(self, data: bytes) -> bool:
        """Take the next bytes; a request that is too slow closes the connection."""
        taken: bool = super().received(data)
        now = time.monotonic()
        if self.request is not self._arriving:
            self._arriving, self._began = self.request, now
        elif self._arriving is not None and now - self._began > GRACE_S + self._arriving.size / MIN_SPEED:
            self.will_close = True
        return taken
