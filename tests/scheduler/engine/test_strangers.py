"""What a client without credentials may cost: the headers decide, and no body is taken before its sender is known."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from scheduler.engine import (
    Engine,
    HttpsRedirectMiddleware,
    body,
    http_connection,
    http_listener,
    http_server,
    http_speed,
)
from scheduler.engine.http_server import Capacity, EngineServer
from scheduler.engine.http_speed import HEAD_S, WHOLE_S, WINDOW_S, Arrival
from scheduler.engine.request import FORM_LIMIT_BYTES
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.test_http_connection import connected, read, wire
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_HOOK_KEY, WITH_KEY, WITH_MASTER, Client
from tests.waiting import PATIENCE_S, eventually, slowed

MB = 1024 * 1024
UNAUTHORIZED = (401, 401, "Unauthorized.")
WRONG = {"X-LC-Id": APP_ID, "X-LC-Key": "wrong"}
FORM = {"Content-Type": "text/plain"}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with a function, a hook and a site that returns how much it got."""

    def site(environ: Any, start_response: Any) -> list[bytes]:
        size = len(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(size).encode()]

    engine = Engine(site)
    engine.define("size")(lambda text="", **_: len(text))
    engine.before_save("Todo")(lambda todo: None)
    yield engine
    engine.stop()


def head(path: str, headers: dict[str, str], method: str = "POST") -> bytes:
    return wire(f"{method} {path} HTTP/1.1\nHost: x\n" + "".join(f"{k}: {v}\n" for k, v in headers.items()) + "\n")


def answer(url: str, sent: bytes) -> tuple[int, dict[str, Any], float]:
    """Status and body of the answer to a request that is sent so far, and the seconds until the connection ends."""
    with connected(url) as client:
        began = time.monotonic()
        client.sendall(sent)
        first, content = read(client)
    return int(first.split()[1]), json.loads(content or b"{}"), time.monotonic() - began


@pytest.mark.parametrize("framing", [{"Content-Length": "20000000"}, {"Transfer-Encoding": "chunked"}])
@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}])
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/1.1/functions/size", {}, 401),
        ("POST", "/1.1/functions/size", WRONG, 401),
        ("POST", "/1.1/functions/size", {"X-LC-Id": APP_ID}, 401),
        ("POST", "/1.1/functions/size", {"Content-Type": "application/json"}, 401),
        ("POST", "/1.1/functions/size", WRONG | FORM, 401),
        ("PUT", "/__engine/1/call/size", WRONG, 401),
        ("POST", "//1.1/functions/size", WRONG, 401),
        ("POST", "/1.1/functions/none", WRONG, 401),
        ("POST", "/1.1/functions/Todo/beforeSave", WITH_KEY, 401),
        ("POST", "/1.1/functions/Todo/beforeSave", WITH_MASTER, 401),
        ("GET", "/1.1/functions/_ops/metadatas", WITH_KEY, 401),
        ("PATCH", "/1.1/functions/size", {}, 405),
        ("OPTIONS", "/1.1/functions/size", {}, 204),
        ("POST", "/__engine/1/ping", {}, 200),
    ],
)
def test_the_headers_alone_are_answered(
    engine: Engine,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    framing: dict[str, str],
    expect: dict[str, str],
) -> None:
    """At once, without a byte of the body, and the connection is closed."""
    with serving(engine) as url:
        got, _, took_s = answer(url, head(path, headers | framing | expect, method))
    assert got == status
    assert took_s < slowed(2.0)


def test_a_form_without_credentials_is_short(engine: Engine) -> None:
    """Up to 64 kB are taken of a text/plain body, in which credentials may be; a longer one is refused."""
    with serving(engine) as url:
        status, told, _ = answer(url, head("/1.1/functions/size", FORM | {"Content-Length": str(FORM_LIMIT_BYTES + 1)}))
        assert (status, told["code"]) == (413, 413)
        chunks = b"10000\r\n" + b" " * 65_536 + b"\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n"
        start = head("/1.1/functions/size", FORM | {"Transfer-Encoding": "chunked"})
        assert answer(url, start + chunks)[0] == 413
        fields = {"_ApplicationId": APP_ID, "_ApplicationKey": APP_KEY, "text": "x" * 60_000}
        posted = httpx.post(f"{url}/1.1/functions/size", content=json.dumps(fields), headers=FORM, timeout=PATIENCE_S)
        assert posted.json() == {"result": 60_000}


def test_a_form_that_is_not_for_us_is_not_parsed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor by another server, where the engine reads the body itself; nor is more read than 64 kB."""
    parsed: list[int] = []
    parse = body.parse
    monkeypatch.setattr(body, "parse", lambda content: (parsed.append(len(content)), parse(content))[1])
    client = Client(engine, FORM)
    for content in (b'{"a": [' + b"[]," * 20_000 + b"[]]}", b"{", b'{"_ApplicationId": "other"}', b""):
        assert client.call("size", body=content).failure == UNAUTHORIZED
    assert client.call("size", body=b"[" * (FORM_LIMIT_BYTES + 1)).status == 413
    assert parsed == []
    assert client.call("size", {"_ApplicationId": APP_ID, "_ApplicationKey": "wrong"}).failure == UNAUTHORIZED
    assert client.call("size", {"_ApplicationId": APP_ID, "_ApplicationKey": APP_KEY}).json == {"result": 0}
    assert len(parsed) == 2


def test_those_with_credentials_may_send_large_bodies(engine: Engine) -> None:
    """Of a function and of a hook; so may everybody to the site, whose business that is."""
    text = "x" * (2 * MB)
    with serving(engine) as url, httpx.Client(timeout=60) as client:
        for _ in range(2):  # the second time on the same connection
            posted = client.post(f"{url}/1.1/functions/size", json={"text": text}, headers=WITH_KEY)
            assert posted.json() == {"result": 2 * MB}
        hook = f"{url}/1.1/functions/Todo/beforeSave"
        assert client.post(hook, json={"object": {"a": text}}, headers=WITH_HOOK_KEY).status_code == 200
        assert client.post(f"{url}/upload", content=text.encode()).text == str(2 * MB)


def test_a_stranger_who_sends_everything_reads_why(engine: Engine) -> None:
    """The connection is not reset while a client still sends; most read the answer only afterwards."""
    with serving(engine) as url:
        for _ in range(3):
            refused = httpx.post(f"{url}/1.1/functions/size", content=b"x" * (5 * MB), headers=WRONG, timeout=60)
            assert refused.status_code == 401
            assert refused.headers["connection"] == "close"


def test_a_refused_connection_does_not_linger_for_ever(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its client goes on to send, and never closes."""
    monkeypatch.setattr(http_connection, "LINGER_S", 0.2)
    with serving(engine) as url, connected(url) as client:
        client.sendall(head("/1.1/functions/size", WRONG | {"Content-Length": "20000000"}))
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() - began < 30:
                client.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() - began < 30


def test_the_redirect_judges_as_its_engine_does(engine: Engine) -> None:
    """It stands between the server and the engine."""
    with serving(HttpsRedirectMiddleware(engine)) as url:
        assert answer(url, head("/1.1/functions/size", WRONG | {"Content-Length": "9999999"}))[0] == 401
    with serving(HttpsRedirectMiddleware(lambda *_: [])) as url, connected(url) as client:
        client.sendall(head("/1.1/functions/size", {"Content-Length": "9999999"}))
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_an_engine_without_keys_to_check_takes_every_body() -> None:
    """With `auth=False`, no client is a stranger."""
    engine = Engine(auth=False)
    engine.define("size")(lambda text="", **_: len(text))
    with serving(engine) as url:
        posted = httpx.post(f"{url}/1.1/functions/size", json={"text": "x" * MB}, timeout=60)
        assert posted.json() == {"result": MB}


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"1,", b'"",', b'"a,[{",', b"1.5,", b'{"a":[1]},'])
def test_a_body_of_too_many_values_is_refused(piece: bytes) -> None:
    """Their objects would take gigabytes, and seconds in which nothing else runs."""
    content = b'{"a":[' + piece * (20 * MB // len(piece) - 10) + b"1]}"
    began = time.process_time()
    with pytest.raises(body.RefusedError, match="larger than the limit"):
        body.parse(content)
    assert time.process_time() - began < 5


def test_signs_within_texts_are_no_values() -> None:
    """A large text may hold as many commas and brackets as it likes."""
    for text in ("a,[{" * MB, '\\",' * MB, "\\\\," * MB):
        assert body.parse(json.dumps({"a": text}).encode()) == {"a": text}


def test_large_bodies_are_parsed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits too long is refused with 503; small ones do not wait."""
    monkeypatch.setattr(body, "WAIT_S", 0.01)
    large = json.dumps({"a": "x" * 2 * MB}).encode()
    with body._large:
        with pytest.raises(body.RefusedError, match="try again"):
            body.parse(large)
        assert body.parse(b'{"a": 1}') == {"a": 1}
    assert len(body.parse(large)["a"]) == 2 * MB


def slow(pieces: list[tuple[float, int]], *, headers_are_complete: bool) -> float | None:
    """When an arrival is cut that gets so many bytes at each instant; it is looked at each second."""
    arrival, size = Arrival(0.0), 0
    for second in range(1_000):
        size += sum(count for at, count in pieces if second - 1 < at <= second)
        if arrival.is_late(float(second), size, headers_are_complete=headers_are_complete):
            return float(second)
    return None


def test_how_slowly_a_request_may_arrive() -> None:
    """Headers have one bound; a body has one for each stretch, whatever came before, and one in all."""
    each_second = [(float(second), 1) for second in range(1_000)]
    assert slow(each_second, headers_are_complete=False) == HEAD_S + 2
    assert slow(each_second, headers_are_complete=True) == WINDOW_S + 2
    hasty = [(1.0, 12_000_000), *((float(second), 1) for second in range(15, 1_000, 14))]
    cut_after = slow(hasty, headers_are_complete=True)
    assert cut_after is not None
    assert cut_after <= 60
    steady = [(float(second), 600) for second in range(1_000)]
    assert slow(steady, headers_are_complete=True) == WHOLE_S + 2


def test_a_server_that_stood_still_cuts_nobody() -> None:
    """What arrived meanwhile is read between the two looks that it takes to cut."""
    arrival = Arrival(0.0)
    assert not arrival.is_late(1_000.0, 10, headers_are_complete=True)
    assert arrival.is_late(1_001.0, 20_000_000, headers_are_complete=True)  # it took longer than any may
    arrival = Arrival(0.0)
    assert not arrival.is_late(100.0, 10, headers_are_complete=True)
    assert not arrival.is_late(100.1, 100_000, headers_are_complete=True)


def test_half_requests_without_number_never_keep_ping_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are dropped; a request that comes whole is answered at once."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 100)
    with serving(Engine(), threads=2) as url, contextlib.ExitStack() as stack:
        keeper = stack.enter_context(httpx.Client(timeout=60))
        for number in range(300):
            bad = stack.enter_context(connected(url))
            bad.sendall((b"GET / HT", b"", head("/upload", {"Content-Length": "9000"}) + b"x")[number % 3])
            if number % 30 == 0:
                began = time.monotonic()
                assert httpx.get(f"{url}/__engine/1/ping", timeout=60).status_code == 200
                assert keeper.get(f"{url}/__engine/1/ping").status_code == 200
                assert time.monotonic() - began < slowed(5.0)


def test_an_idle_client_is_kept_where_half_requests_can_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is the same after hundreds of others were opened."""
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 100)
    with serving(Engine(), threads=2) as url, contextlib.ExitStack() as stack:
        address = urlsplit(url)
        idle = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        stack.callback(idle.close)
        for _ in range(2):
            idle.request("GET", "/__engine/1/ping")
            assert idle.getresponse().read()
            used = idle.sock
            for _ in range(200):
                stack.enter_context(connected(url)).sendall(b"GET / HT")
            httpx.get(f"{url}/__engine/1/ping", timeout=60)
            assert idle.sock is used


def test_what_bodies_hold_together_is_bounded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest of those that have not come whole are dropped, and a whole one is answered."""
    monkeypatch.setattr(http_listener, "MAX_HELD", 20 * MB)
    monkeypatch.setattr(http_listener, "_COUNT_EVERY", MB)
    part = b"x" * (4 * MB)
    with serving(engine) as url, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(url)) for _ in range(10)]
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.sendall(head("/upload", {"Content-Length": str(8 * MB)}) + part)
        assert httpx.post(f"{url}/upload", content=part, timeout=60).text == str(4 * MB)
        eventually(lambda: [_is_open(client) for client in clients].count(False), lambda closed: closed >= 5)
        assert _is_open(clients[-1])


def _is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_an_answer_is_read_as_fast_as_a_request_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads a byte now and then holds neither a thread of the site nor what was written for it."""
    monkeypatch.setattr(http_speed, "WINDOW_S", 0.3)
    monkeypatch.setattr(http_speed, "MIN_SPEED", 100_000)

    def site(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 30_000_000]

    server = EngineServer(Engine(site), host="127.0.0.1", port=0, capacity=Capacity(2))
    thread = threading.Thread(target=server.serve)
    thread.start()
    channels = server._server.active_channels
    try:
        clients = [connected(server.url) for _ in range(4)]
        for client in clients:
            client.sendall(head("/", {}, "GET"))

        def read_slowly() -> None:
            time.sleep(0.02)
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.recv(1)

        eventually(lambda: len(channels), lambda seen: seen == 4)
        eventually(lambda: not channels, between=read_slowly)
        monkeypatch.undo()
        assert len(httpx.get(f"{server.url}/", timeout=60).content) == 30_000_000
        for client in clients:
            client.close()
    finally:
        server.stop()
        thread.join(PATIENCE_S)


def test_a_slow_body_is_cut_by_the_server(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes at once and a byte now and then, and headers that never end."""
    monkeypatch.setattr(http_speed, "HEAD_S", 0.3)
    monkeypatch.setattr(http_speed, "WINDOW_S", 0.3)
    with serving(engine) as url, connected(url) as body_client, connected(url) as head_client:
        body_client.sendall(head("/upload", {"Content-Length": str(8 * MB)}) + b"x" * (4 * MB))
        head_client.sendall(b"POST / HTTP/1.1\r\nA: ")
        began = time.monotonic()
        for client in (body_client, head_client):
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - began < 30:
                    client.sendall(b"x")
                    time.sleep(0.05)
        assert time.monotonic() - began < 30
