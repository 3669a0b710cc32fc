"""Calling functions by name, locally and on a remote server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.engine import CloudObject, Engine, LeanCloudError, LeanEngineError, cloudfunc, default_engine, init
from scheduler.errors import ArgumentError, ConfigError, UnknownFunctionError
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, MASTER_KEY, WITH_KEY, Client
from tests.waiting import PATIENCE_S, slowed


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine behind a real server, which LEANCLOUD_API_SERVER names; it is not the default engine."""
    engine = Engine()
    with serving(engine) as url:
        monkeypatch.setenv("LEANCLOUD_API_SERVER", url + "/")
        default = Engine()
        yield engine
        default.stop()


def test_a_call_is_local_if_the_default_engine_has_the_name(engine: Engine, client: Client) -> None:
    """A parameter may be called `name`; exceptions are the function's own."""
    engine.define("hello")(lambda name: f"hello, {name}")
    engine.define("both")(lambda: [cloudfunc.run("hello", name="x"), cloudfunc.run.local("hello", name="y")])
    engine.define("rpc")(lambda: cloudfunc.rpc("hello", name=cloudfunc.rpc.local("hello", name="z")))
    assert cloudfunc.run("hello", name="x") == "hello, x"
    assert client.call("both").json == {"result": ["hello, x", "hello, y"]}
    assert client.call("rpc").json == {"result": "hello, hello, z"}
    with pytest.raises(ArgumentError):
        cloudfunc.run("hello")


def test_an_unknown_name_without_a_server_is_an_error(engine: Engine) -> None:
    """The error lists the names that are defined."""
    engine.define("hello")(lambda: None)
    with pytest.raises(UnknownFunctionError, match="known functions: hello"):
        cloudfunc.run("helo")
    with pytest.raises(UnknownFunctionError):
        cloudfunc.run.local("helo")
    with pytest.raises(ConfigError, match="set LEANCLOUD_API_SERVER"):
        cloudfunc.run.remote("hello")


@pytest.mark.parametrize("call", [cloudfunc.run, cloudfunc.run.local, cloudfunc.rpc.local])
def test_an_unknown_name_is_the_error_of_leanclouds_sdk(call: Any, engine: Engine, client: Client) -> None:
    """`except LeanEngineError` sees it; a client gets its code, and no name of another function."""
    engine.define("hello")(lambda: None)
    engine.define("f")(lambda: call("helo"))
    with pytest.raises(LeanEngineError) as raised:
        call("helo")
    assert (raised.value.code, raised.value.status) == (404, 404)
    assert client.call("f").failure == (404, 404, "cloud func named 'helo' not found.")
    with pytest.raises(LeanEngineError, match=r"^Unauthorized\.$") as raised:
        call("_messageReceived")
    assert raised.value.code == 401


def test_what_a_function_raises_locally_is_its_own(engine: Engine) -> None:
    """The exception itself, not a copy."""
    error = KeyError("x")

    @engine.define
    def fails() -> None:
        raise error

    with pytest.raises(KeyError) as raised:
        cloudfunc.run.local("fails")
    assert raised.value is error


def test_in_a_program_without_an_engine_every_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to `run.local`."""
    monkeypatch.setattr(default_engine, "_engines", [])
    with pytest.raises(UnknownFunctionError, match="there are no functions"):
        cloudfunc.run("hello")
    with pytest.raises(UnknownFunctionError):
        cloudfunc.run.local("hello")


def test_a_nested_call_is_part_of_its_caller(engine: Engine, client: Client) -> None:
    """Session and request id are passed on, the deadline holds, and the caller's context is unchanged."""
    current = engine.current
    engine.define("inner")(
        lambda: [current.function, current.session_token, current.request_id, (current.left_s or 0) <= 5]
    )
    engine.define("outer")(lambda: [*cloudfunc.run("inner"), current.function])
    headers = WITH_KEY | {"X-LC-Session": "t", "X-Request-Id": "r"}
    assert client.call("outer", headers=headers).json == {"result": ["inner", "t", "r", True, "outer"]}


def test_a_call_is_remote_if_the_default_engine_has_not_the_name(remote: Engine) -> None:
    """Errors come back with their code."""
    remote.define("hello")(lambda name: f"hello, {name}")

    @remote.define("拒绝")
    def refuses() -> None:
        raise LeanEngineError(123, "no")

    assert cloudfunc.run("hello", name="x") == "hello, x"
    assert cloudfunc.run.remote("hello", name="y") == "hello, y"
    with pytest.raises(LeanCloudError) as raised:
        cloudfunc.run("拒绝")
    assert (raised.value.code, raised.value.error) == (123, "no")
    with pytest.raises(LeanCloudError, match="missing argument"):
        cloudfunc.run("hello")


def test_a_remote_rpc_encodes_typed_values(remote: Engine) -> None:
    """Datetimes and objects arrive as such on both sides."""
    at = datetime(2026, 1, 5, tzinfo=UTC)
    remote.define("later")(lambda todo: todo.set("at", at))
    todo = CloudObject("Todo", {"objectId": "t"})
    assert cloudfunc.rpc.remote("later", todo=todo) == CloudObject("Todo", {"objectId": "t", "at": at})
    assert cloudfunc.rpc("later", todo=todo).get("at") == at


def test_headers_of_a_remote_call(remote: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Session, request id and environment of the caller; the master key if there is no other."""
    seen: list[Any] = []
    current = remote.current
    remote.define("f")(lambda: seen.append([current.session_token, current.request_id]))
    caller = Engine()
    caller.define("ask")(lambda: cloudfunc.run.remote("f"))
    headers = WITH_KEY | {"X-LC-Session": "t", "X-Request-Id": "r"}
    assert Client(caller).call("ask", headers=headers).status == 200
    assert seen == [["t", "r"]]
    init(APP_ID, "", MASTER_KEY)
    assert cloudfunc.run.remote("f") is None
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "stage")
    assert cloudfunc._headers()["X-LC-Prod"] == "0"


def test_an_async_function_makes_a_remote_call(remote: Engine) -> None:
    """Though a loop runs in its thread already."""
    remote.define("f")(lambda: 1)
    caller = Engine()

    @caller.define
    async def ask() -> Any:
        return cloudfunc.run.remote("f")

    assert caller.call("ask") == 1


@contextmanager
def slow_server(head: bytes) -> Iterator[str]:
    """A server that answers a few bytes and then one every 20 ms, for ever."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(head)
            while not stop.wait(0.02):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        thread.join(PATIENCE_S)


def test_a_slow_server_does_not_hold_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is for the whole exchange: the call ends with code 124 when the caller's time is up."""
    with slow_server(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n") as url:
        monkeypatch.setenv("LEANCLOUD_API_SERVER", url)
        engine = Engine(function_limit_s=0.2)
        engine.define("ask")(lambda: cloudfunc.run.remote("f"))
        started = time.monotonic()
        with pytest.raises(LeanCloudError) as raised:
            engine.call("ask")
        assert raised.value.code == 124
        assert time.monotonic() - started < slowed(1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::bad", "ftp://127.0.0.1"])
def test_a_server_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Code 100, as in LeanCloud's SDKs."""
    monkeypatch.setenv("LEANCLOUD_API_SERVER", url)
    with pytest.raises(LeanCloudError, match="cannot call") as raised:
        cloudfunc.run.remote("f")
    assert raised.value.code == 100


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_an_answer_that_is_no_json_object(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    """A proxy's error page is an error, not a result."""

    def proxy(environ: Any, start_response: Any) -> list[bytes]:
        start_response("502 Bad Gateway", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
        return [body]

    with serving(proxy) as url:
        monkeypatch.setenv("LEANCLOUD_API_SERVER", url)
        with pytest.raises(LeanCloudError, match="answered 502 without a JSON object"):
            cloudfunc.run.remote("f")
