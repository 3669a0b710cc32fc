"""What our HTTP server does with requests that no application should see: too large, too slow, no HTTP."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from scheduler.engine import Engine, http_connection, http_server, http_speed
from scheduler.engine.failures import TOO_LARGE
from scheduler.engine.http_server import MAX_CONNECTIONS, MAX_HEADER_BYTES, Capacity, EngineServer, _connection_limit
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY
from tests.waiting import PATIENCE_S, eventually

LIMIT = 1_000
HEAD = f"POST /1.1/functions/size HTTP/1.1\nHost: x\nX-LC-Id: {APP_ID}\nX-LC-Key: {APP_KEY}\nOrigin: http://a.example\n"


def engine() -> Engine:
    engine = Engine(max_body_bytes=LIMIT)
    engine.define("size")(lambda text="", **_: len(text))
    return engine


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE_S)


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


def read(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of all that comes until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


def body_of(size: int) -> str:
    return '{"text":"' + "x" * (size - len('{"text":""}')) + '"}'


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, 100 * LIMIT, 5_000 * LIMIT])
def test_the_server_and_the_engine_agree_how_large_a_body_may_be(size: int) -> None:
    """To the byte; a client that sends more is refused in JSON after it has sent all, and its page may read why."""
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(HEAD + f"Connection: close\nContent-Length: {size}\n\n") + body_of(size).encode())
        head, body = read(client)
    if size <= LIMIT:
        assert json.loads(body) == {"result": size - len('{"text":""}')}
    else:
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Access-Control-Allow-Origin: http://a.example" in head
        assert (json.loads(body)["code"], json.loads(body)["error"]) == (TOO_LARGE.code, TOO_LARGE.error)


def test_a_client_that_asks_before_it_sends_is_answered_before_it_sends() -> None:
    """As curl does with `Expect: 100-continue`: none for a body that is too large, one for a body that is not."""
    with serving(engine()) as url:
        with connected(url) as client:
            client.sendall(wire(HEAD + f"Expect: 100-continue\nContent-Length: {LIMIT + 1}\n\n"))
            assert read(client)[0].startswith(b"HTTP/1.1 413 ")
        with connected(url) as client:
            client.sendall(wire(HEAD + "Expect: 100-continue\nConnection: close\nContent-Length: 2\n\n"))
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"{}")
            assert json.loads(read(client)[1]) == {"result": 0}


def test_a_client_that_asks_with_a_broken_request_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that it sends afterwards is parsed as headers."""
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(HEAD + "Expect: 100-continue\nContent-Length: -1\n\n" + "x" * 2 * MAX_HEADER_BYTES))
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            assert read(client)[0].split()[1] in (b"400", b"")
    assert caplog.messages == []


def test_a_client_that_disconnects_before_it_is_refused_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No error in the log, and no thread that stays busy."""
    refused = threading.Event()
    execute = http_connection.RefusalTask.execute

    def gone(self: http_connection.RefusalTask) -> None:
        self.channel.connected = False
        try:
            execute(self)
        finally:
            refused.set()

    monkeypatch.setattr(http_connection.RefusalTask, "execute", gone)
    with serving(engine()) as url, connected(url) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert refused.wait(PATIENCE_S)
        assert read(client) == (b"", b"")
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_chunks_without_end_end_at_the_limit() -> None:
    """However many there are, and however small."""
    chunk = b"10\r\n" + b"x" * 16 + b"\r\n"
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(HEAD + "Transfer-Encoding: chunked\n\n"))
        sent = 0
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1_000_000:
                client.sendall(chunk)
                sent += 1
        assert sent < 1_000_000


@pytest.mark.parametrize(("size", "status"), [(100, b"200"), (300, b"413")])
def test_the_number_of_tiny_chunks_is_limited(monkeypatch: pytest.MonkeyPatch, size: int, status: bytes) -> None:
    """Each costs time, however little content it has."""
    monkeypatch.setattr(http_connection, "MAX_CHUNK_SIZES", 1_000)
    chunks = "".join(f"1\n{letter}\n" for letter in body_of(size))
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(f"{HEAD}Connection: close\nTransfer-Encoding: chunked\n\n{chunks}0\n\n"))
        head, _ = read(client)
    assert head.split()[1] == status


@pytest.mark.parametrize("start", ["", "1;note=", "0\n", "0\nA: b\n"])
def test_what_stands_between_chunks_is_short(start: str) -> None:
    """A size, an extension or a trailer without an end would cost more with each of its bytes."""
    with serving(Engine()) as url, connected(url) as client:
        client.sendall(wire(HEAD + "Transfer-Encoding: chunked\n\n" + start))
        client.sendall(b"0" * 2 * http_connection.MAX_BETWEEN_CHUNKS)
        head, body = read(client)
    assert head.split()[1] == b"400"
    assert json.loads(body)["code"] == 400


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("nonsense\n\n", 400),
        ("GET\n\n", 400),
        ("POST /1.1/functions/size HTTP/1.1\nno header\n\n", 400),
        ("POST /1.1/functions/size HTTP/1.1\nA : b\n\n", 400),
        ("POST /1.1/functions/size HTTP/1.1\nA: b\rX-LC-Id: c\n\n", 400),
        (HEAD + "Content-Length: x\n\n", 400),
        (HEAD + "Content-Length: 1, 1\n\n", 400),
        (HEAD + "Transfer-Encoding: gzip\n\n", 501),
        (HEAD + "Transfer-Encoding: chunked\n\nzz\n", 400),
        ("GET http://[ HTTP/1.1\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.1\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.1\nHost:\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.1\nHost: x\nHost: x\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.1\nHost: x, y\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.1\nHost: a@b/c\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.0\nHost: a@b/c\n\n", 400),
        ("GET /__engine/1/ping HTTP/1.9\nHost: x\n\n", 400),
        ("GET /__engine/1/ping HTTP/2.0\nHost: x\n\n", 400),
        ("PRI * HTTP/2.0\n\nSM\n\n", 400),
        ("CONNECT x:443 HTTP/1.1\nHost: x:443\n\n", 400),
        (HEAD + "Content-Length: 5\nTransfer-Encoding: chunked\n\n0\n\nGET / HTTP/1.1\nHost: x\n\n", 400),
        (HEAD + f"Content-Length: {'9' * 5_000}\n\n", 400),
        (HEAD + f"Content-Length: {'9' * 4_000}\n\n", 413),
        (HEAD + f"X: {'x' * MAX_HEADER_BYTES}\n\n", 431),
        (HEAD + "X: y\n" * MAX_HEADER_BYTES, 431),
    ],
)
def test_a_request_that_is_no_http_is_refused_in_json(request_text: str, status: int) -> None:
    """With the shape of every other error, nothing of what was sent, and no traceback."""
    with serving(engine()) as url, connected(url) as client:
        with contextlib.suppress(OSError):  # the server may refuse and close before it has read everything
            client.sendall(wire(request_text))
            client.shutdown(socket.SHUT_WR)
        head, body = read(client)
    assert head.split()[1] == str(status).encode()
    assert json.loads(body).keys() == {"code", "error", "requestId"}
    assert json.loads(body)["error"] == http_connection.FAILURES[status].error
    assert APP_KEY.encode() not in body


@pytest.mark.parametrize(
    "head", ["HTTP/1.0\n", "HTTP/1.0\nHost: x\n", "HTTP/1.1\nHost: [::1]:3000\nConnection: close\n"]
)
def test_a_request_with_a_sound_host_is_answered(head: str) -> None:
    """HTTP/1.0, which probes use, requires none."""
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(f"GET /__engine/1/ping {head}\n"))
        assert read(client)[0].split()[1] == b"200"


@pytest.mark.parametrize("start", [HEAD, HEAD + "Content-Length: 1000\n\n"])
def test_a_request_that_arrives_too_slowly_is_cut(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its headers or in its body."""
    monkeypatch.setattr(http_speed, "HEAD_S", 0.2)
    monkeypatch.setattr(http_speed, "WINDOW_S", 0.2)
    monkeypatch.setattr(http_speed, "MIN_SPEED", 1_000)
    with serving(engine()) as url, connected(url) as client:
        client.sendall(wire(start))
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() - began < PATIENCE_S:
                client.sendall(b"x")
                time.sleep(0.05)
        assert 0.2 < time.monotonic() - began < PATIENCE_S


def test_a_client_that_never_reads_its_answer_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds neither a connection nor, where a site streams, a thread."""

    def site(environ: object, start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * 1_000_000 for _ in range(60))

    monkeypatch.setattr(http_server, "CHANNEL_TIMEOUT_S", 1)
    whole = Engine(site)
    whole.define("large")(lambda: "x" * 20_000_000)
    server = EngineServer(whole, host="127.0.0.1", port=0, capacity=Capacity(2))
    thread = threading.Thread(target=server.serve)
    thread.start()
    clients = [connected(server.url) for _ in range(3)]
    for client, path in zip(clients, ("/1.1/functions/large", "/", "/"), strict=True):
        client.sendall(wire(HEAD.replace("/1.1/functions/size", path) + "\n"))
    channels = server._server.active_channels
    eventually(lambda: len(channels), lambda seen: seen == 3)
    eventually(lambda: channels, lambda seen: not seen)
    with connected(server.url) as client:
        client.sendall(wire("GET /__engine/1/ping HTTP/1.0\n\n"))
        assert b" 200 OK" in read(client)[0]
    server.stop()
    thread.join(PATIENCE_S)
    for client in clients:
        client.close()


def test_two_hundred_connections_of_every_bad_kind_leave_room_for_a_good_one() -> None:
    """Silent, half a header, half a body, pipelined, chunked without end: others are answered at once."""
    starts = ("", "POST / HT", HEAD, HEAD + "Content-Length: 900\n\n{", HEAD + "Transfer-Encoding: chunked\n\n5\n{")
    with serving(engine(), threads=4) as url:
        bad = [connected(url) for _ in range(200)]
        for number, client in enumerate(bad):
            client.sendall(wire(starts[number % len(starts)]))
        with connected(url) as client:
            client.sendall(wire((HEAD + "Content-Length: 2\n\n{}") * 50 + HEAD + "Connection: close\n\n"))
            head, body = read(client)
            assert (head + body).count(b"HTTP/1.1 200 OK") == 51
        for client in bad:
            client.close()


def test_the_failure_of_a_site_is_answered_in_json() -> None:
    """Its traceback goes to the log and not to the client."""

    def site(environ: object, start_response: object) -> list[bytes]:
        raise ZeroDivisionError("the fault of the site")

    with serving(Engine(site)) as url, connected(url) as client:
        client.sendall(wire("GET / HTTP/1.1\nHost: x\nConnection: close\n\n"))
        head, body = read(client)
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["error"] == "Internal server error."
    assert b"fault" not in body


def test_there_are_never_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """An accept that fails because no file can be opened would be repeated at once, for ever."""
    for files, limit in ((1_024, 512), (1, 1), (1_000_000, MAX_CONNECTIONS), (resource.RLIM_INFINITY, MAX_CONNECTIONS)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert _connection_limit() == limit


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_server_listens_at_names_and_at_addresses_of_both_versions(host: str) -> None:
    """And its URL leads there."""
    try:
        server = EngineServer(engine(), host=host, port=0, capacity=Capacity(2))
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        with connected(server.url) as client:
            client.sendall(b"GET /__engine/1/ping HTTP/1.0\r\n\r\n")
            assert b" 200 OK" in read(client)[0]
    finally:
        server.stop()
        thread.join(PATIENCE_S)
    eventually(lambda: not thread.is_alive())
