"""SelfCheck: a web process that has had calls checks, by a request on a connection to itself, whether it answers.

A function may break the process for all others: it may empty `sys.modules` or replace what the server is built on. Such
a process still answers its supervisor's pings, because that takes little. So it answers them only while a request on
the ordinary path is answered too.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from ..engine.http_dispatcher import OWN_ADDRESS

#: How long an answer may take.
WAIT_S = 3.0
#: No path of the engine: it answers in JSON that it has none, and counts no call.
_REQUEST = b"GET /__engine/self-check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_ANSWER = b"HTTP/1.1 404"


class SelfCheck:
    """The application of a web process; only the engine answers the process's own requests, without the user's code."""

    def __init__(self, application: Any, engine: Any) -> None:
        self._application = application
        self._engine = engine
        #: Whether a client has made a request since the last answer to the process itself.
        self._is_used = True
        if hasattr(application, "body_limit"):
            self.body_limit = application.body_limit

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if environ["REMOTE_ADDR"] == OWN_ADDRESS:
            return self._engine(environ, start_response)
        self._is_used = True
        return self._application(environ, start_response)

    def passes(self, serve_own: Callable[[socket.socket], None]) -> bool:
        """Whether the process answers, if it had requests; `serve_own` has its server serve a connection."""
        if not self._is_used:
            return True
        self._is_used = False
        with contextlib.suppress(OSError):
            near, far = socket.socketpair()
            with near:
                near.settimeout(WAIT_S)
                near.sendall(_REQUEST)
                serve_own(far)
                if near.recv(64).startswith(_ANSWER):
                    return True
        self._is_used = True
        return False
