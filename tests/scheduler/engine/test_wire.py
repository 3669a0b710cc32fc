"""Raw requests to the two servers that the manual names: waitress and gunicorn."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_KEY
from tests.waiting import PATIENCE_S, eventually, slowed

CLOUD = f"""
import asyncio
from pathlib import Path
from scheduler.engine import Engine, init
from scheduler.engine.http_server import Capacity, EngineServer

init({APP_ID!r}, {APP_KEY!r})
engine = Engine(fetch_user=lambda token: "user of " + token)


@engine.define
def echo(**params):
    with Path("called").open("a") as file:
        file.write("x")
    return params


@engine.define
async def session(n):
    before = engine.current.session_token
    await asyncio.sleep(0.001)
    return [n, before, engine.current.user, engine.current.request_id]


if __name__ == "__main__":
    server = EngineServer(engine, host="127.0.0.1", port=0, capacity=Capacity.of(engine))
    print("Listening at", server.url, flush=True)
    server.serve()
"""

SERVERS = {
    "waitress": ["wire_cloud.py"],
    "gunicorn": ["-m", "gunicorn", "--bind=127.0.0.1:0", "--worker-class=gthread", "--threads=68", "wire_cloud:engine"],
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The base URL of a server in a process of its own, and the folder that its functions write to."""
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "wire_cloud.py").write_text(CLOUD)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", *SERVERS[request.param]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        url = _listening_url(process)
        (folder / "called").write_text("")
        yield url, folder
        process.terminate()
        assert process.stdout
        printed = process.stdout.read()
    assert "Traceback" not in printed, printed


def _listening_url(process: subprocess.Popen[str]) -> str:
    """The URL that a server prints when it listens; a failure with its output for one that ends before."""
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if listening := re.search(r"Listening at:? (http://[\d.:]+)", line):
            return listening[1]
    pytest.fail("the server ended before it listened:\n" + "".join(printed))


def calls(folder: Path) -> int:
    return len((folder / "called").read_text())


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE_S)


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


HEAD = textwrap.dedent(f"""\
    POST /1.1/functions/echo HTTP/1.1
    Host: x
    Connection: close
    X-LC-Id: {APP_ID}
    X-LC-Key: {APP_KEY}
    """)


def answer(url: str, rest: str, *, end: bool = False) -> bytes:
    """The whole answer to a raw request, until the server closes the connection; b"" if it sends none."""
    with connected(url) as connection:
        connection.sendall(wire(HEAD + rest))
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize(
    ("rest", "called"),
    [
        ('Content-Length: 8\n\n{"a": 1}', True),
        ('Transfer-Encoding: chunked\n\n4\n{"a"\n4\n: 1}\n0\n\n', True),
        ('Transfer-Encoding: chunked\n\n4;note=x\n{"a"\n4\n: 1}\n0\n\n', True),
        ('Transfer-Encoding: chunked\n\nzz\n{"a": 1}\n0\n\n', False),
        ('Transfer-Encoding: chunked\n\n-4\n{"a": 1}\n0\n\n', False),
        ('Transfer-Encoding: chunked\n\n8\n{"a": 1}XX\n0\n\n', False),
        ('Content-Length: 3\n\n{"a": 1}', False),
        ('Content-Length: -1\n\n{"a": 1}', False),
        ('Content-Length: 0x8\n\n{"a": 1}', False),
        ('Content-Length: 8\nContent-Length: 3\n\n{"a": 1}', False),
    ],
)
def test_a_body_is_whole_or_the_function_is_not_called(server: tuple[str, Path], rest: str, called: bool) -> None:
    """Chunked, short, doubled and invalid lengths: an answer, never a 500, never a half-read object."""
    url, folder = server
    before = calls(folder)
    status = answer(url, rest).split(b" ")[1][:1]
    assert status == (b"2" if called else b"4")
    assert calls(folder) == before + called


@pytest.mark.parametrize(
    "rest",
    [
        'Content-Length: 100\n\n{"a": 1}',
        'Transfer-Encoding: chunked\n\n8\n{"a": 1}\n',
        'Transfer-Encoding: chunked\n\n80\n{"a": 1}',
        "Transfer-Encoding: chunked\n\n",
        "Content-Length: 8\n",
    ],
)
@pytest.mark.parametrize("end", [True, False], ids=["half-closed", "gone"])
def test_a_truncated_request_calls_nothing(server: tuple[str, Path], rest: str, end: bool) -> None:
    """Whether the client waits for an answer or disconnects; the server still answers others."""
    url, folder = server
    before = calls(folder)
    if end:
        assert b" 500 " not in answer(url, rest, end=True)
    else:
        with connected(url) as connection:
            connection.sendall(wire(HEAD + rest))
    assert httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
    assert calls(folder) == before


def test_slow_clients_do_not_delay_others(server: tuple[str, Path]) -> None:
    """Forty never finish their headers or bodies: other calls are answered at once."""
    url, _ = server
    slow = [connected(url) for _ in range(40)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(wire(HEAD + ("Content-Length: 1000\n\n{" if number % 2 else "")))
        for number, connection in enumerate(slow):
            connection.sendall(b"{" if number % 2 else b"X-Slow: ")
        started = time.monotonic()
        for _ in range(5):
            assert httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
            assert httpx.post(url + "/1.1/functions/echo", headers=WITH_KEY, timeout=PATIENCE_S).json() == {
                "result": {}
            }
        assert time.monotonic() - started < slowed(5)
    finally:
        for connection in slow:
            connection.close()


def test_a_slow_body_arrives_whole(server: tuple[str, Path]) -> None:
    """One byte at a time."""
    url, _ = server
    with connected(url) as connection:
        for byte in wire(HEAD + 'Content-Length: 8\n\n{"a": 1}'):
            connection.sendall(bytes([byte]))
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    assert received.endswith(b'{"result":{"a":1}}')


def test_a_thousand_concurrent_sessions_never_mix(server: tuple[str, Path]) -> None:
    """Each gets its own session, user and request id, before and after it waits."""
    url, _ = server
    answers: dict[int, object] = {}

    def client(first: int) -> None:
        with httpx.Client(base_url=url, timeout=PATIENCE_S) as http:
            for n in range(first, 1000, 50):
                headers = WITH_KEY | {"X-LC-Session": f"s{n}", "X-Request-Id": f"r{n}"}
                try:
                    answer = http.post("/1.1/functions/session", json={"n": n}, headers=headers)
                except (httpx.ReadError, httpx.RemoteProtocolError):
                    # Gunicorn has closed the connection, after two seconds without a request.
                    answer = http.post("/1.1/functions/session", json={"n": n}, headers=headers)
                answers[n] = answer.json()

    threads = [threading.Thread(target=client, args=(first,)) for first in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {n: {"result": [n, f"s{n}", f"user of s{n}", f"r{n}"]} for n in range(1000)}


def test_a_request_cannot_be_hidden_in_another_one(server: tuple[str, Path]) -> None:
    """Content-Length beside Transfer-Encoding: at most one call is made."""
    url, folder = server
    before = calls(folder)
    hidden = HEAD + "Content-Length: 0\n\n"
    smuggled = f"0\n\n{hidden}"
    answer(
        url,
        f"Content-Length: {len(wire(smuggled))}\nTransfer-Encoding: chunked\n\n{smuggled}".replace(
            "close", "keep-alive"
        ),
    )
    eventually(lambda: httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code, lambda seen: seen == 200)
    assert calls(folder) <= before + 1
