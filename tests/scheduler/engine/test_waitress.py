"""The parts of waitress that it does not document and our HTTP server relies on: each is still what it was.

A failure here is no fault by itself. Compare the named method with that of the version before, adapt the file that
relies on it (each lists what it takes in one comment block), run test_http_connection.py, and only then enter the new
digest.
"""

from __future__ import annotations

import hashlib
import inspect
import socket
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any

import pytest

from scheduler.engine.http_connection import Connection, IncomingRequest
from scheduler.engine.http_dispatcher import Dispatcher
from scheduler.engine.http_server import Capacity, bounded_server

#: The methods that are overridden or whose order of steps matters, and the first 12 digits of the SHA-256 of their
#: source, in waitress 3.0.1 and 3.0.2.
METHODS = {
    "channel.HTTPChannel.received": "08d6df73fb69",
    "channel.HTTPChannel.send_continue": "842ebf929f6d",
    "channel.HTTPChannel.writable": "d0cbd4ae1b3b",
    "channel.HTTPChannel.handle_write": "6c900f395b30",
    "channel.HTTPChannel._flush_some": "fe7a9a752a41",
    "channel.HTTPChannel.handle_close": "8f59b9aaa455",
    "channel.HTTPChannel.service": "f73afa13748e",
    "server.BaseWSGIServer.handle_accept": "69bfcf0fc140",
    "server.BaseWSGIServer.readable": "4eea9c1036b5",
    "parser.HTTPRequestParser.received": "b466c02de37d",
    "parser.HTTPRequestParser.parse_header": "c2c093b90178",
    "receiver.ChunkedReceiver.received": "ce28c1acbffe",
    "task.ErrorTask.execute": "4abe3262db04",
    "task.ThreadedTaskDispatcher.add_task": "1028105a9aed",
    "task.ThreadedTaskDispatcher.shutdown": "f2550ddbfb8d",
}

CHANNEL = (
    "adj close_when_flushed error_task_class last_activity outbuf_lock parser_class request requests socket "
    "total_outbufs_len will_close"
)
PARSER = (
    "body_bytes_received body_rcv chunked completed content_length empty error expect_continue header_bytes_received"
)
SERVER = "active_channels channel_class effective_host effective_port pull_trigger task_dispatcher"


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of waitress as ours makes it, which no loop serves."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = bounded_server(lambda *_: [], listener, Capacity(1), of_loop={})
        yield server
        server.task_dispatcher.shutdown()
        server.close()


@pytest.mark.parametrize("path", METHODS)
def test_a_method_that_ours_builds_on_has_not_changed(path: str) -> None:
    """Its source is that which our method was written against."""
    module, class_name, name = path.split(".")
    method = getattr(getattr(import_module(f"waitress.{module}"), class_name), name)
    digest = hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:12]
    assert digest == METHODS[path], (
        f"waitress {version('waitress')} has another {class_name}.{name} than the one that scheduler/engine/http_*.py "
        f"was written against; compare them, adapt ours, then enter {digest!r} in METHODS"
    )


def test_a_server_that_is_made_has_idle_threads() -> None:
    """Else waitress would warn of a queue when the first request came before they had begun to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = bounded_server(lambda *_: [], listener, Capacity(64), of_loop={})
        assert server.task_dispatcher.active_count == server.task_dispatcher._pings.active_count == 0
        server.task_dispatcher.shutdown()
        server.close()


def missing(owner: object, names: str) -> str:
    """What the assertion shows when waitress has dropped some of the attributes that ours uses."""
    gone = [name for name in names.split() if not hasattr(owner, name)]
    return f"waitress {version('waitress')}: {type(owner).__name__} has no {', '.join(gone)}" if gone else ""


def test_a_server_has_what_ours_uses(server: Any) -> None:
    """It is made as `create_server` makes one for a socket that listens."""
    assert missing(server, SERVER) == ""
    assert isinstance(server.task_dispatcher, Dispatcher)
    assert missing(server.task_dispatcher, "active_count set_thread_count") == ""
    options = {"map", "_start", "_sock", "dispatcher", "adj", "bind_socket", "sockinfo"}
    assert options <= inspect.signature(import_module("waitress.server").TcpWSGIServer).parameters.keys()


def test_a_connection_has_what_ours_uses(server: Any) -> None:
    """And its lock can be taken twice by one thread, as `writable` and `_flush_some` do."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(server, ours, ("", 0), server.adj, map={})
        assert missing(connection, CHANNEL) == ""
        assert missing(connection.adj, "channel_timeout") == ""
        with connection.outbuf_lock:
            assert connection.outbuf_lock.acquire(blocking=False)
            connection.outbuf_lock.release()


def test_a_request_has_what_ours_uses(server: Any) -> None:
    """Also a chunked one, whose unfinished sizes are bounded."""
    request = IncomingRequest(server.adj)
    request.received(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert missing(request, PARSER) == ""
    assert missing(request.body_rcv, "control_line trailer __len__") == ""


def test_an_error_task_may_write_at_once() -> None:
    """It has no `start_response` that would have to be called first."""
    task = import_module("waitress.task")
    assert task.ErrorTask.complete is True
    for name in ("status", "content_length", "set_close_on_finish", "write"):
        assert hasattr(task.Task, name), name


def test_the_loop_takes_one_turn_at_a_time() -> None:
    """`stop` is noticed between two turns, and closing ignores connections that are broken already."""
    wasyncore = import_module("waitress.wasyncore")
    assert {"timeout", "use_poll", "map", "count"} <= inspect.signature(wasyncore.loop).parameters.keys()
    assert {"map", "ignore_all"} <= inspect.signature(wasyncore.close_all).parameters.keys()
